"""Pictures of records: what they show, and what is said where there is nothing to show."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qchive import PortalClient, errors
from qchive.client.plots import KCAL
from tests.archive import Archive
from tests.composing import band, energy, grid_scan, run, stretch, torsion_scan, turn
from tests.factories import SPEC, Http, add, claim_and_return, http, make_molecule
from tests.factories import Manager as ComputeManager

PNG = b"\x89PNG\r\n"


@pytest.fixture
def api(archive: Archive) -> Iterator[Http]:
    with http(archive.address) as made:
        yield made


@pytest.fixture
def client(archive: Archive) -> Iterator[PortalClient]:
    with PortalClient(archive.address) as made:
        yield made


def curve(ax: Any) -> list[tuple[float, float]]:
    """The points of the first line."""
    return [(float(x), float(y)) for x, y in ax.lines[0].get_xydata()]


def texts(ax: Any) -> str:
    return "\n".join(text.get_text() for text in ax.texts)


def test_a_torsion_scan_is_a_curve_that_closes(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = torsion_scan(client, (30,))
    run(archive, api)
    (ax,) = client.get_records(record_id).plot().axes
    points = dict(curve(ax))
    assert [*points] == [*range(-180, 181, 30)]
    for angle, height in points.items():
        assert height == pytest.approx((energy(angle) - energy(120)) * KCAL, abs=1e-6)
    assert ax.get_xlabel() == "dihedral H₀–O₁–O₂–H₃ / °"
    assert ax.get_ylabel() == "relative energy / (kcal/mol)"
    assert ax.get_title(loc="left") == f"torsiondrive {record_id} (hf/sto-3g)"
    assert texts(ax) == f"lowest: {energy(120):.6f} Eh at 120°"


def test_a_scan_that_is_not_over_shows_what_there_is(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = torsion_scan(client, (30,))
    run(archive, api, rounds=3)
    (ax,) = client.get_records(record_id).plot().axes
    heights = [height for _, height in curve(ax)[1:]]
    known = sum(not math.isnan(height) for height in heights)
    assert 1 < known < len(heights) == 12
    assert f"running, {known} of 12 points" in ax.get_title(loc="left")


def test_a_range_of_angles_is_shown_as_it_is(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = torsion_scan(client, (30,), dihedral_ranges=[[60, 150]])
    run(archive, api)
    (ax,) = client.get_records(record_id).plot().axes
    assert [x for x, _ in curve(ax)] == [60, 90, 120, 150]


def test_two_angles_are_a_map_or_one_of_them(archive: Archive, api: Http, client: PortalClient) -> None:
    from matplotlib.collections import QuadMesh

    record_id = torsion_scan(client, (60, 90))
    run(archive, api)
    record = client.get_records(record_id)
    ax, bar = record.plot().axes
    (mesh,) = (part for part in ax.collections if isinstance(part, QuadMesh))
    assert mesh.get_array().shape == (4, 6)
    assert bar.get_ylabel() == "relative energy / (kcal/mol)"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("dihedral H₀–O₁–O₂–O₃ / °", "dihedral O₁–O₂–O₃–H₄ / °")
    (one,) = record.plot(axes=1).axes
    assert [x for x, _ in curve(one)] == [-180, -90, 0, 90, 180]
    assert one.get_xlabel() == "dihedral O₁–O₂–O₃–H₄ / °"
    with pytest.raises(errors.NothingToPlot, match="from 0 to 1"):
        record.plot(axes=(0, 2))


def test_a_grid_has_the_units_of_its_steps(archive: Archive, api: Http, client: PortalClient) -> None:
    absolute = grid_scan(client, stretch(2.9, 2.75, 2.6))
    relative = grid_scan(client, stretch(-0.1, 0.0, 0.1, step_type="relative"), preoptimization=False)
    run(archive, api)
    (ax,) = client.get_records(absolute).plot().axes
    assert [x for x, _ in curve(ax)] == [2.9, 2.75, 2.6]
    assert curve(ax)[0][1] == pytest.approx(0.1 * 0.15**2 * KCAL)
    assert ax.get_xlabel() == "distance O₁–O₂ / Bohr"
    assert "2.75 Bohr" in texts(ax)
    (ax,) = client.get_records(relative).plot().axes
    assert ax.get_xlabel() == "change of distance O₁–O₂ / Bohr"


def test_steps_that_decrease_are_still_a_map(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = grid_scan(client, stretch(2.9, 2.75, 2.6), turn(150.0, 120.0))
    run(archive, api)
    ax = client.get_records(record_id).plot().axes[0]
    assert ax.get_xlabel() == "distance O₁–O₂ / Bohr"
    left, right = ax.get_xlim()
    assert left < 2.6 < 2.9 < right


def test_three_dimensions_need_a_choice(archive: Archive, api: Http, client: PortalClient) -> None:
    angle = {"type": "angle", "indices": [0, 1, 2], "steps": [95.0, 100.0], "step_type": "absolute"}
    record_id = grid_scan(client, stretch(2.75, 2.9), turn(120.0), angle)
    run(archive, api)
    record = client.get_records(record_id)
    with pytest.raises(errors.NothingToPlot, match=r"has 3: say which with axes=\(0, 1\)"):
        record.plot()
    assert record.plot(axes=(0, 2)).axes[0].get_ylabel() == "angle H₀–O₁–O₂ / °"


def test_an_elastic_band_shows_its_barrier(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = band(client, optimize_ts=True)
    run(archive, api)
    record = client.get_records(record_id)
    (ax,) = record.plot().axes
    lines = {line.get_label(): line.get_ydata() for line in ax.lines}
    energies = [image.properties["return_energy"] for image in record.final_chain]
    assert list(lines["last chain"]) == pytest.approx([(e - energies[0]) * KCAL for e in energies])
    assert len(lines["first chain"]) == len(energies)
    assert f"barrier {(max(energies) - energies[0]) * KCAL:.1f} kcal/mol" in texts(ax)
    assert any(str(label).startswith("transition state") for label in lines)
    assert ax.get_xlabel() == "image"


def test_a_band_that_ran_out_of_cycles_says_so(archive: Archive, api: Http, client: PortalClient) -> None:
    record_id = band(client, maximum_cycle=1)
    run(archive, api)
    (ax,) = client.get_records(record_id).plot().axes
    assert "not converged" in ax.get_title(loc="left")


def test_an_optimization_shows_how_it_converged(api: Http, client: PortalClient) -> None:
    (record_id,) = add(api, kind="optimization")
    with pytest.raises(errors.NothingToPlot, match="optimization that is waiting, has no step yet: wait for it"):
        client.get_records(record_id).plot()
    claim_and_return(ComputeManager(api))
    (ax,) = client.get_records(record_id).plot().axes
    assert [y for _, y in curve(ax)] == pytest.approx([0.5 * KCAL, 0.0])
    assert texts(ax) == "last step: -1.500000 Eh"


def test_without_results_there_is_no_picture(client: PortalClient) -> None:
    for record_id in (torsion_scan(client), grid_scan(client, stretch(2.75)), band(client)):
        with pytest.raises(errors.NothingToPlot, match=f"Record {record_id}, a .* that is waiting"):
            client.get_records(record_id).plot()


def test_other_records_have_none(client: PortalClient) -> None:
    _, (record_id,) = client.add_singlepoints(make_molecule(), **SPEC)
    with pytest.raises(errors.NothingToPlot, match="no picture of a singlepoint"):
        client.get_records(record_id).plot()


def test_a_picture_is_shown_in_notebooks_and_saved(api: Http, client: PortalClient, tmp_path: Path) -> None:
    (record_id,) = add(api, kind="optimization")
    claim_and_return(ComputeManager(api))
    figure = client.get_records(record_id).plot()
    assert figure._repr_png_().startswith(PNG)
    figure.savefig(tmp_path / "picture.svg")
    assert "<svg" in (tmp_path / "picture.svg").read_text()
    assert "matplotlib.pyplot" not in sys.modules


def test_a_picture_may_be_part_of_another(api: Http, client: PortalClient) -> None:
    from matplotlib.figure import Figure

    (record_id,) = add(api, kind="optimization")
    claim_and_return(ComputeManager(api))
    mine = Figure()
    left, right = mine.subplots(1, 2)
    assert client.get_records(record_id).plot(right) is mine
    assert (len(left.lines), len(right.lines)) == (0, 2)


def test_without_matplotlib_the_extra_is_named(
    api: Http, client: PortalClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    (record_id,) = add(api, kind="optimization")
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(errors.ExtraMissing, match=r"pip install 'qchive\[plot\]'") as caught:
        client.get_records(record_id).plot()
    assert caught.value.fields == {"extra": "plot"}
