"""Molecules of all kinds for Hypothesis: ghosts, isotopes, fragments, bonds, charges, and numbers that round badly."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from qchive.molecule.elements import ELEMENTS

SYMBOLS = ["H", "C", "O", "He", "Cl", "Ag", "I", "U", "X"]

awkward = st.one_of(
    st.floats(-1.2, 1.2),
    st.integers(-(10**8), 10**8).map(lambda k: (k + 0.5) * 1e-8),  # ties at the eighth decimal
    st.floats(-1e-6, 1e-6),  # around the threshold below which a coordinate is zero
    st.sampled_from([0.0, -0.0, 5**-9, -(5**-9), 5.12e-7, 5.1199999e-7]),
)


@st.composite
def positions(draw: st.DrawFn, nat: int) -> list[float]:
    """Flat coordinates in Bohr, atoms at least one Bohr apart."""
    return [
        c for i in range(nat) for c in (draw(awkward) + 3.5 * (i % 2), draw(awkward), draw(awkward) + 3.5 * (i // 2))
    ]


def spin(electrons: float) -> float:
    """The lowest multiplicity."""
    return 1 + electrons % 2 if float(electrons).is_integer() else 1.5


@st.composite
def molecules(draw: st.DrawFn) -> dict[str, Any]:
    """A physically possible molecule as plain data, everything about it said explicitly."""
    symbols = draw(st.lists(st.sampled_from(SYMBOLS), min_size=1, max_size=6))
    nat = len(symbols)
    real = draw(st.one_of(st.just([True] * nat), st.lists(st.booleans(), min_size=nat, max_size=nat)))
    cuts = sorted(draw(st.sets(st.integers(1, nat - 1), max_size=2))) if nat > 1 else []
    fragments = [list(range(a, b)) for a, b in zip([0, *cuts], [*cuts, nat], strict=True)]
    charges, spins = [], []
    for fragment in fragments:
        protons = sum(ELEMENTS[symbols[i]].z for i in fragment if real[i])
        charge = draw(st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.33335, 1 / 3])) if protons else 0.0
        charges.append(charge)
        spins.append(spin(protons - charge))
    electrons = sum(ELEMENTS[s].z for s, r in zip(symbols, real, strict=True) if r) - sum(charges)
    molecule: dict[str, Any] = {
        "symbols": symbols,
        "geometry": draw(positions(nat)),
        "real": real,
        "molecular_charge": sum(charges),
        "molecular_multiplicity": spins[0] if len(fragments) == 1 else spin(electrons),
        "fragments": fragments,
        "fragment_charges": charges,
        "fragment_multiplicities": spins,
    }
    if draw(st.booleans()):
        molecule["masses"] = [ELEMENTS[s].mass + draw(st.sampled_from([0.0, 5e-7, 1e-6, 0.25])) for s in symbols]
    if nat > 1 and draw(st.booleans()):
        molecule["connectivity"] = [(0, 1, draw(st.sampled_from([1, 1.5, 0, 5])))]
    return molecule
