"""Pictures of records, by matplotlib: scans, paths, convergence. Energies are in kcal/mol, relative to one that is
named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from qchive.errors import ExtraMissing, NothingToPlot
from qchive.status import RecordStatusEnum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from qcelemental.models import Molecule

    from qchive.client.composites import GridoptimizationRecord, NEBRecord, TorsiondriveRecord
    from qchive.client.records import BaseRecord
    from qchive.client.tasks import OptimizationRecord

KCAL = 627.5094740631
"""kcal/mol in a Hartree."""

RELATIVE = "relative energy / (kcal/mol)"
_COLOUR, _ACCENT, _PALE = "#1f5fa8", "#c2410c", "#9aa5b1"
_SIZE = (6.4, 4.2)
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
Values = dict[tuple[int, ...], float]


def figure(ax: Axes | None, draw: Callable[[Axes], Any]) -> Figure:
    """Draw on these axes, or on those of a new figure, which needs no display.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as e:
        raise ExtraMissing(
            "Pictures need matplotlib, which is not installed: pip install 'qchive[plot]'", extra="plot"
        ) from e

    class Picture(Figure):
        """A figure that notebooks show, whatever their backend is."""

        def _repr_png_(self) -> bytes:
            import io

            written = io.BytesIO()
            self.savefig(written, format="png", dpi=110)
            return written.getvalue()

    if ax is not None:
        draw(ax)
        return ax.get_figure(root=True)  # type: ignore[return-value]
    made = Picture(figsize=_SIZE, layout="constrained")
    FigureCanvasAgg(made)
    draw(made.add_subplot())
    return made


# --- scans --------------------------------------------------------------------------------------------------------


class _Axis(NamedTuple):
    """A dimension of a scan."""

    label: str
    unit: str
    values: Sequence[float]
    turn: bool = False
    """Whether it is an angle that goes all the way round."""


def torsion_scan(ax: Axes, record: TorsiondriveRecord, axes: Sequence[int] | int | None) -> None:
    """The energy along dihedral angles."""
    energies = record.final_energies
    _need(energies, record, "grid point with an energy")
    atoms = _atoms(record.initial_molecules[0])
    keywords = record.specification.keywords
    found = []
    for n, (dihedral, spacing) in enumerate(zip(keywords.dihedrals, keywords.grid_spacing, strict=True)):
        inside = sorted({point[n] for point in energies})
        whole = keywords.dihedral_ranges is None
        values = range(spacing - 180, 181, spacing) if whole else range(inside[0], inside[-1] + 1, spacing)
        found.append(_Axis(f"dihedral {'–'.join(atoms[i] for i in dihedral)}", "°", list(values), whole))
    places = [{value: n for n, value in enumerate(axis.values)} for axis in found]
    by_index = {tuple(p[v] for p, v in zip(places, point, strict=True)): e for point, e in energies.items()}
    _scan(ax, record, found, by_index, axes)


def grid_scan(ax: Axes, record: GridoptimizationRecord, axes: Sequence[int] | int | None) -> None:
    """The energy along distances, angles and dihedral angles."""
    energies = {point: e for point, e in record.final_energies.items() if point != "preoptimization"}
    _need(energies, record, "grid point with an energy")
    atoms = _atoms(record.initial_molecule)
    found = []
    for scan in record.specification.keywords.scans:
        label = f"{scan.type.value} {'–'.join(atoms[i] for i in scan.indices)}"
        change = "change of " if scan.step_type.value == "relative" else ""
        found.append(_Axis(change + label, "Bohr" if scan.type.value == "distance" else "°", scan.steps))
    _scan(ax, record, found, energies, axes)


def _scan(
    ax: Axes, record: BaseRecord, dimensions: Sequence[_Axis], energies: Values, axes: Sequence[int] | int | None
) -> None:
    wanted = _chosen(len(dimensions), axes)
    values: Values = {}
    for point, energy in energies.items():
        kept = tuple(point[n] for n in wanted)
        values[kept] = min(energy, values.get(kept, energy))
    lowest = min(values, key=lambda point: (values[point], point))
    relative = {point: (energy - values[lowest]) * KCAL for point, energy in values.items()}
    total = 1
    for axis in dimensions:
        total *= len(axis.values)
    state = "" if len(energies) >= total else f"{len(energies)} of {total} points"
    note = f"lowest: {values[lowest]:.6f} Eh at "
    shown = [dimensions[n] for n in wanted]
    note += ", ".join(_text(axis, axis.values[i]) for axis, i in zip(shown, lowest, strict=True))
    _title(ax, record, state, note)
    (_curve if len(shown) == 1 else _map)(ax, shown, relative, lowest)


def _chosen(count: int, axes: Sequence[int] | int | None) -> list[int]:
    if axes is None and count > 2:
        raise NothingToPlot(
            f"A picture has at most two dimensions, and this scan has {count}: say which with axes=(0, 1) "
            "(on the command line --axis 0 --axis 1); along the others the lowest energy counts. "
            "All energies are in `final_energies`"
        )
    wanted = list(range(count)) if axes is None else [axes] if isinstance(axes, int) else list(axes)
    if not 1 <= len(wanted) <= 2 or len(set(wanted)) < len(wanted) or not all(0 <= n < count for n in wanted):
        raise NothingToPlot(f"axes {wanted} are not one or two different numbers from 0 to {count - 1}")
    return wanted


def _text(axis: _Axis, value: float) -> str:
    return f"{value:g}{'' if axis.unit == '°' else ' '}{axis.unit}"


def _curve(ax: Axes, axes: Sequence[_Axis], relative: Values, lowest: tuple[int, ...]) -> None:
    (axis,) = axes
    # Points that are missing leave a gap in the line.
    whole = [(x, relative.get((n,), float("nan"))) for n, x in enumerate(axis.values)]
    around = [(axis.values[-1] - 360, whole[-1][1])] if axis.turn else []
    xs, ys = zip(*around, *whole, strict=True)
    ax.plot(xs, ys, "-o", color=_COLOUR, markersize=5)
    if around:  # the point at 180° once more
        ax.plot(*around[0], "o", color="white", markeredgecolor=_COLOUR, markersize=5, zorder=3)
    ax.plot(axis.values[lowest[0]], 0.0, "o", color=_ACCENT, markersize=7, zorder=4)
    _frame(ax)
    _angles(ax.xaxis, axis)
    ends = (*axis.values, axis.values[-1] - 360) if axis.turn else axis.values
    if margin := 0.03 * (max(ends) - min(ends)):
        ax.set_xlim(min(ends) - margin, max(ends) + margin)
    ax.set(xlabel=f"{axis.label} / {axis.unit}", ylabel=RELATIVE)


def _map(ax: Axes, axes: Sequence[_Axis], relative: Values, lowest: tuple[int, ...]) -> None:
    import numpy as np

    across, up = axes
    # Steps may decrease, and are drawn in the order of their values.
    columns, lines = np.argsort(across.values), np.argsort(up.values)
    z = np.array([[relative.get((int(i), int(j)), np.nan) for i in columns] for j in lines])
    xs, ys = np.array(across.values)[columns], np.array(up.values)[lines]
    ax.set_facecolor("#eceff3")
    mesh = ax.pcolormesh(_edges(xs), _edges(ys), np.ma.masked_invalid(z), cmap="viridis", rasterized=True)
    ax.get_figure().colorbar(mesh, ax=ax, label=RELATIVE)  # type: ignore[union-attr]
    at = across.values[lowest[0]], up.values[lowest[1]]
    ax.plot(*at, "*", color=_ACCENT, markeredgecolor="white", markersize=15, zorder=4)
    if np.isfinite(z).sum() > 3 and np.isfinite(z).all() and min(z.shape) > 3:
        ax.contour(xs, ys, z, levels=6, colors="white", linewidths=0.7, alpha=0.6)
    if across.turn and up.turn:
        ax.set_aspect("equal")
    _angles(ax.xaxis, across)
    _angles(ax.yaxis, up)
    ax.set(xlabel=f"{across.label} / {across.unit}", ylabel=f"{up.label} / {up.unit}")


def _edges(values: Any) -> Any:
    """Where the cells around these values begin and end."""
    import numpy as np

    if len(values) == 1:
        return np.array([values[0] - 0.5, values[0] + 0.5])
    middles = (values[1:] + values[:-1]) / 2
    return np.concatenate([[2 * values[0] - middles[0]], middles, [2 * values[-1] - middles[-1]]])


def _angles(which: Any, axis: _Axis) -> None:
    """Ticks where people look for them on a circle."""
    if axis.unit == "°":
        from matplotlib.ticker import MultipleLocator

        span = max(axis.values) - min(axis.values)
        if span >= 120:
            which.set_major_locator(MultipleLocator(60 if span > 180 else 30))


# --- paths --------------------------------------------------------------------------------------------------------


def path(ax: Axes, record: NEBRecord) -> None:
    """The energy along a nudged elastic band."""
    first, last = _chains(record)
    _need(last, record, "chain whose energies are all known")
    start = last[0]
    relative = [(energy - start) * KCAL for energy in last]
    if first is not None:
        pale: dict[str, Any] = {"color": _PALE, "linewidth": 1, "markersize": 3, "label": "first chain"}
        ax.plot(range(len(first)), [(energy - start) * KCAL for energy in first], "--o", **pale)
    ax.plot(range(len(last)), relative, "-o", color=_COLOUR, markersize=5, label="last chain")
    top = max(range(len(relative)), key=relative.__getitem__)
    _barrier(ax, top, relative)
    found = _transition(record)
    if found is not None:
        height = (found - start) * KCAL
        label = f"transition state: {height:.1f} kcal/mol"
        ax.plot(top, height, "*", color=_ACCENT, markersize=13, zorder=4, label=label)
    _frame(ax)
    _whole_numbers(ax)
    ax.legend(frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.13))
    ax.set(xlabel="image", ylabel=RELATIVE)
    state = "" if (record.properties or {}).get("converged", True) else "not converged"
    _title(ax, record, state, f"first image: {start:.6f} Eh")


def _barrier(ax: Axes, top: int, relative: Sequence[float]) -> None:
    if not 0 < top < len(relative) - 1:
        return  # the path has no barrier between its ends
    height = relative[top]
    ax.axhline(0.0, color=_PALE, linewidth=0.8, linestyle=":")
    arrow = {"arrowstyle": "<->", "color": _ACCENT, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=(top, height), xytext=(top, 0.0), arrowprops=arrow)
    right = top <= (len(relative) - 1) / 2
    ax.annotate(
        f"barrier {height:.1f} kcal/mol",
        xy=(top, height * 0.15),  # where the path is far away
        xytext=(6 if right else -6, 0),
        textcoords="offset points",
        ha="left" if right else "right",
        va="center",
        color=_ACCENT,
        fontsize=9,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )


def _chains(record: NEBRecord) -> tuple[list[float] | None, list[float]]:
    """Energies in Hartree of the first and of the last chain that has all of them; the first only where it is
    another."""
    chains = [
        [(image.properties or {}).get("return_energy") for image in images]
        for _, images in sorted(record.singlepoints.items())
    ]
    known = [chain for chain in chains if None not in chain]
    first = known[0] if len(known) > 1 else None
    return first, (known[-1] if known else [])  # type: ignore[return-value]


def _transition(record: NEBRecord) -> float | None:
    if "transition" not in {**record._view("optimizations")}:
        return None
    found = record.ts_optimization
    return found.energies[-1] if found is not None and found.energies else None


def convergence(ax: Axes, record: OptimizationRecord) -> None:
    """The energy at each step of an optimization."""
    energies = record.energies or []
    _need(energies, record, "step")
    ax.plot(range(len(energies)), [(e - energies[-1]) * KCAL for e in energies], "-o", color=_COLOUR, markersize=5)
    ax.plot(len(energies) - 1, 0.0, "o", color=_ACCENT, markersize=7, zorder=4)
    _frame(ax)
    _whole_numbers(ax)
    ax.set(xlabel="step", ylabel=RELATIVE)
    _title(ax, record, "", f"last step: {energies[-1]:.6f} Eh")


# --- what all have ------------------------------------------------------------------------------------------------


def _need(found: Mapping[Any, Any] | Sequence[Any], record: BaseRecord, what: str) -> None:
    if not found:
        raise NothingToPlot(
            f"Record {record.id}, a {record.record_type} that is {record.status.value}, has no {what} yet"
            + (": wait for it" if record.status in (RecordStatusEnum.waiting, RecordStatusEnum.running) else "")
        )


def _atoms(molecule: Molecule) -> list[str]:
    """Atoms as people name them; numbers count from 0, as in specifications."""
    return [f"{symbol}{str(n).translate(_SUBSCRIPTS)}" for n, symbol in enumerate(molecule.symbols)]


def _title(ax: Axes, record: BaseRecord, state: str, note: str) -> None:
    """What is drawn, and in the line below what the energies are relative to."""
    asked = record._kind.facets(record.specification)
    level = "/".join(part for part in (asked.method, asked.basis) if part)
    status = "" if record.status is RecordStatusEnum.complete else record.status.value
    about = ", ".join(part for part in (level, status, state) if part)
    title = f"{record.record_type} {record.id}" + (f" ({about})" if about else "")
    ax.set_title(title, loc="left", fontsize=11, pad=20)
    ax.annotate(
        note,
        (0.0, 1.0),
        xycoords="axes fraction",
        xytext=(0, 6),
        textcoords="offset points",
        color=_ACCENT,
        fontsize=9,
    )


def _frame(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    ax.margins(y=0.12)


def _whole_numbers(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
