"""What a method name means to our PySCF harness: level of theory, functional, dispersion correction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from qcengine.exceptions import InputError

from qchive.worker.programs.dispersion import Dispersion

Correlation = Literal["mp2", "ccsd", "ccsd(t)"]

_CORRELATION: dict[str, Correlation] = {"mp2": "mp2", "ccsd": "ccsd", "ccsd(t)": "ccsd(t)"}
_SUFFIXES: dict[str, Literal["d3bj", "d3zero", "d4"]] = {
    "d3bj": "d3bj", "d3(bj)": "d3bj", "d3zero": "d3zero", "d3(0)": "d3zero", "d3(zero)": "d3zero", "d4": "d4",
}  # fmt: skip
_DISPERSION = re.compile(r"(?P<base>.+)-(?P<suffix>d[234].*)")
# Functionals that were made together with a correction, which libxc does not include: alone they are not the method
# of that name, so it has to be asked for (b97-d-d3bj), or the method is not offered at all (wb97x-d, b97-3c).
_MADE_WITH_DISPERSION = frozenset(
    {"b97d", "wb97xd", "wb97xd3", "b973c", "oblypd", "opbed", "opwlypd", "otpssd", "ssbd", "revssbd", "cf22d"}
)
# Published names whose functional is another one, without its VV10 part: (functional, damping parameters).
# Najibi and Goerigk, J. Chem. Theory Comput. 14, 5725 (2018); J. Comput. Chem. 41, 2562 (2020).
_INSTEAD_OF_VV10 = {"wb97x": ("wb97x-v", "wb97x"), "wb97m": ("wb97m-v", "wb97m"), "b97m": ("b97m-v", "b97m")}
# B97-D3(BJ) and B97-D4 correct the functional of B97-D, not Becke's hybrid B97.
_OTHER_NAMES = {"b97": ("b97-d", "b97d"), "b97-d": ("b97-d", "b97d"), "b3lypg": ("b3lyp", "b3lyp"),
                "b3lyp5": ("b3lyp5", "b3lyp")}  # fmt: skip
_B3LYP = {"b3lyp": "B3LYP with VWN(RPA) as in Gaussian", "b3lypg": "B3LYP with VWN(RPA) as in Gaussian",
          "b3lyp5": "B3LYP with VWN5"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Method:
    """A level of theory: Hartree–Fock, a functional, or a correlation method on Hartree–Fock."""

    correlation: Correlation | None = None
    functional: str | None = None
    vv10: bool = False
    dispersion: Dispersion | None = None
    description: str = ""


def parse(name: str) -> Method:
    """The method of that name; InputError if there is none, or if only a part of it could be computed."""
    asked = name.strip().lower()
    if asked in _CORRELATION:
        return Method(correlation=_CORRELATION[asked])
    base, model = _split(asked)
    if base in ("hf", "scf"):
        return Method(dispersion=Dispersion(model, "hf") if model else None)
    if base in _CORRELATION:
        raise InputError(f"{asked}: dispersion corrections are for Hartree-Fock and density functionals")
    return _functional(asked, base, model)


def _split(asked: str) -> tuple[str, Literal["d3bj", "d3zero", "d4"] | None]:
    """Functional and dispersion model of a name like b3lyp-d3(bj)."""
    match = _DISPERSION.fullmatch(asked)
    if match is None or asked == "wb97x-d3":
        return asked, None
    if match["suffix"] not in _SUFFIXES:
        raise InputError(f"{asked}: the dispersion corrections are -d3bj, -d3zero and -d4, not -{match['suffix']}")
    return match["base"], _SUFFIXES[match["suffix"]]


def _functional(asked: str, base: str, model: Literal["d3bj", "d3zero", "d4"] | None) -> Method:
    """The density functional `base` with the dispersion model, if any."""
    if model is None:
        names, hybrid = _components(asked, base)
        if any(part in _MADE_WITH_DISPERSION for part in (_bare(n) for n in names)):
            raise InputError(
                f"{asked}: this functional belongs to a dispersion correction that PySCF does not add; "
                "ask for another one, such as b97-d3bj, wb97x-d3bj or wb97x-d4"
            )
        return Method(functional=base, vv10=_has_vv10(base), description=_describe(base, names, hybrid))
    replaced = _INSTEAD_OF_VV10.get(base) if model != "d3zero" else None
    functional, parameters = replaced or _OTHER_NAMES.get(base, (base, base))
    names, hybrid = _components(asked, functional)
    description = _describe(functional, names, hybrid) + (" without its VV10 part" if replaced else "")
    vv10 = _has_vv10(functional) and not replaced
    if vv10:
        raise InputError(f"{asked}: {functional} has a dispersion term (VV10) already")
    return Method(functional=functional, dispersion=Dispersion(model, parameters), description=description)


def _components(asked: str, functional: str) -> tuple[dict[str, float], float]:
    """libxc's names and factors of what a functional consists of, and its share of exact exchange at short range."""
    from pyscf.dft import libxc

    names = {int(code): key.lower() for key, code in libxc.XC_CODES.items() if not isinstance(code, str) and code and
             re.match(r"(hyb_)?m?(gga|lda)_", key.lower())}  # fmt: skip
    try:
        hybrid, parts = libxc.parse_xc(functional)
        libxc.xc_type(functional)
    except (AssertionError, AttributeError, IndexError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise InputError(f"{asked} is no method or functional PySCF knows ({error})") from error
    components = {names.get(int(code), f"libxc {int(code)}"): float(factor) for code, factor in parts}
    if not components or any("_k_" in name for name in components):
        raise InputError(f"{asked} is no exchange-correlation functional")
    return components, float(hybrid[0])


def _bare(libxc_name: str) -> str:
    """b97d of gga_xc_b97_d: libxc's names stand in PySCF's table with and without underscores."""
    return re.sub(r"^(hyb_)?m?(gga|lda)_(xc|x|c)_", "", libxc_name).replace("_", "")


def _describe(functional: str, names: dict[str, float], hybrid: float) -> str:
    """For provenance: what the functional consists of, in libxc's words, and which variant of B3LYP it is."""
    parts = [name if factor == 1 else f"{factor:g} {name}" for name, factor in names.items()]
    if hybrid:
        parts.append(f"{hybrid:g} HF")
    text = " + ".join(parts)
    return f"{_B3LYP[functional]}: {text}" if functional in _B3LYP else text


def _has_vv10(functional: str) -> bool:
    from pyscf.dft import libxc

    return bool(libxc.is_nlc(functional))
