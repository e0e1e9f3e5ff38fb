"""Composite kinds for tests: stairs are climbed step by step, towers are made of stairs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from qchive.kinds import KINDS
from qchive.kinds.flow import Batch, Done, Flow, Given, Progress, Request, Steps
from qchive.kinds.kind import Facets, Kind, Part, one_molecule
from qchive.kinds.singlepoint import QCSpecification
from tests.factories import SPEC, Http, make_molecule, unpacked


class StairsSpecification(msgspec.Struct):
    """So many single points, one after the other."""

    steps: int
    program: str = "stairs"
    wing: str = ""


def stairs(change: Callable[[int], dict[str, Any]] = lambda n: {}, *, checkpoints: bool = False) -> Kind:
    """A kind that computes its molecule a few times in a row, each time with other keywords."""

    def run(given: Given) -> Steps:
        (molecule,) = given.molecules["initial_molecule"]
        wing = {"wing": given.specification.wing} if given.specification.wing else {}
        first = given.checkpoint["n"] if given.checkpoint else 0
        total = given.checkpoint["total"] if given.checkpoint else 0.0
        for n in range(first, given.specification.steps):
            spec = msgspec.convert({**SPEC, "keywords": {"step": n, **wing, **change(n)}}, QCSpecification)
            request = Request(
                role="step", kind="singlepoint", specification=spec, parts=(Part("molecule", molecule.id),), position=n
            )
            (ended,) = yield Batch(
                requests=[request],
                progress=Progress(stage="climbing", done=n, total=given.specification.steps),
                checkpoint={"n": n, "total": total} if checkpoints else None,
            )
            total += ended.energy or 0.0
        return Done(properties={"total": total})

    return Kind(
        name="stairs",
        specification=StairsSpecification,
        inputs=one_molecule("initial_molecules", "initial_molecule"),
        facets=lambda spec: Facets("stairs"),
        filters={"program": "program"},
        molecules=("initial_molecule",),
        flow=Flow(run=run, provenance=lambda: {"creator": "stairs", "version": "1", "routine": "climb"}),
    )


def failing(problem: Callable[[], BaseException]) -> Kind:
    """A kind whose flow fails at once."""

    def run(_: Given) -> Steps:
        raise problem()
        yield

    return replace(stairs(), flow=Flow(run=run, provenance=lambda: {"creator": "stairs"}))


def together(*more: Kind) -> dict[str, Kind]:
    """All kinds, and these."""
    return {**KINDS, **{kind.name: kind for kind in more}}


class TowersSpecification(msgspec.Struct):
    """So many storeys, each with stairs of two steps in each of its two wings."""

    storeys: int
    program: str = "towers"


def towers() -> Kind:
    """A kind whose children are composite themselves."""

    def run(given: Given) -> Steps:
        (molecule,) = given.molecules["initial_molecule"]
        total = 0.0
        for n in range(given.specification.storeys):
            requests = [
                Request(
                    role="stairs",
                    kind="stairs",
                    specification=StairsSpecification(steps=2, wing=f"{n}{wing}"),
                    parts=(Part("initial_molecule", molecule.id),),
                    key=wing,
                    position=n,
                    needs=frozenset({"properties"}),
                )
                for wing in ("east", "west")
            ]
            ended = yield Batch(requests=requests, progress=Progress(stage="building", done=n))
            total += sum(one.properties["total"] for one in ended if one.properties)
        return Done(properties={"total": total})

    return Kind(
        name="towers",
        specification=TowersSpecification,
        inputs=one_molecule("initial_molecules", "initial_molecule"),
        facets=lambda spec: Facets("towers"),
        filters={"program": "program"},
        molecules=("initial_molecule",),
        flow=Flow(run=run, provenance=lambda: {"creator": "towers", "version": "1", "routine": "build"}),
    )


TOYS = {**KINDS, "stairs": stairs(), "towers": towers()}


def climb(api: Http, steps: int = 3, *, kind: str = "stairs", **more: Any) -> int:
    """New stairs."""
    body = {
        "specification": {"steps": steps},
        "initial_molecules": [more.pop("molecule", None) or make_molecule()],
        "compute_tag": "*",
        "compute_priority": 1,
        **more,
    }
    _, (record_id,) = api.post(f"records/{kind}/bulkCreate", body)
    return int(record_id)


def error_of(api: Http, record_id: int) -> dict[str, Any]:
    """What went wrong last."""
    entry = api.record(record_id, "compute_history", "outputs")["compute_history"][-1]
    return unpacked(entry["outputs"]["error"]["data"])  # type: ignore[no-any-return]


def build(api: Http, storeys: int = 1, **more: Any) -> int:
    """A new tower."""
    return climb(api, kind="towers", specification={"storeys": storeys}, **more)


def children(api: Http, record_id: int) -> list[int]:
    """What a record waits for, or waited for last."""
    service = api.record(record_id, "service")["service"]
    return [d["record_id"] for d in service["dependencies"]]
