"""Records moved from state to state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tools.golden.asking import (
    ABSENT,
    Exchange,
    activate,
    add,
    ask,
    brief,
    claim,
    failed,
    get,
    give_back,
    helium,
    optimized,
    post,
)

STATES = ("waiting", "complete", "running", "error", "cancelled", "deleted", "invalid")
FAMILY = ("opt", "step-1", "step-2")


def _set(name: str, records: list[Any], **body: Any) -> Exchange:
    return ask(name, "PATCH", "/api/v1/records", {"record_ids": records, **body})


def _back(name: str, records: list[Any], status: str) -> Exchange:
    return post(name, "records/revert", {"record_ids": records, "revert_status": status})


def _delete(name: str, records: list[Any], *, soft: bool = True, children: bool = True) -> Exchange:
    body = {"record_ids": records, "soft_delete": soft, "delete_children": children}
    return post(name, "records/bulkDelete", body)


def _are(name: str, records: list[str], *, queued: bool = False) -> Exchange:
    """How they stand: status, manager, whether there is a task, and in which queue."""
    body = {"ids": records, "include": ["status", "manager_name", "task"], "missing_ok": True}
    masks = ["*.task.function*"] if queued else ["*.task"]
    return post(name, "records/bulkGet", body, ids={"*.id": "record"}, masks=masks)


def _ids(batch: str) -> list[str]:
    return [f"<record {batch}-{state}>" for state in STATES]


_NUMBERS = iter(range(1000))


def _batch(batch: str) -> Iterator[Exchange]:
    """One record in every state, on molecules of their own."""
    places = {state: float(next(_NUMBERS)) for state in STATES}
    claimed = ("complete", "running", "error", "invalid")
    for state in claimed:
        yield add(f"{batch}: add {state}", helium(places[state]), f"{batch}-{state}", compute_tag=batch)
    rest = [state for state in STATES if state not in claimed]
    molecules, names = [helium(places[state]) for state in rest], [f"{batch}-{state}" for state in rest]
    yield add(f"{batch}: add the others", molecules, *names, compute_tag=f"{batch}-rest", compute_priority="low")
    yield claim(f"{batch}: claim", "mover", [batch], *(f"{batch}-{state}" for state in claimed))
    results = {
        f"{batch}-{state}": brief(helium(places[state]), f"{batch}-{state}") for state in ("complete", "invalid")
    }
    yield give_back(f"{batch}: return", "mover", results | {f"{batch}-error": failed()})
    yield _set(f"{batch}: cancel one", [f"<record {batch}-cancelled>"], status="cancelled")
    yield _set(f"{batch}: invalidate one", [f"<record {batch}-invalid>"], status="invalid")
    yield _delete(f"{batch}: delete one", [f"<record {batch}-deleted>"])


_BATCHES = (
    ("comment", "modify", "uncancel"),
    ("uninvalidate", "reset"),
    ("undelete", "invalidate"),
    ("delete",),
    ("remove",),
)
"""What can be tried on the same records one after the other, because it leaves most of them alone."""


def _each() -> Iterator[Exchange]:
    """Every operation on every state, and on what is not there."""
    operations: dict[str, Callable[[str, list[Any]], Exchange]] = {
        "reset": lambda name, ids: _set(name, ids, status="waiting"),
        "cancel": lambda name, ids: _set(name, ids, status="cancelled"),
        "invalidate": lambda name, ids: _set(name, ids, status="invalid"),
        "delete": _delete,
        "uncancel": lambda name, ids: _back(name, ids, "cancelled"),
        "uninvalidate": lambda name, ids: _back(name, ids, "invalid"),
        "undelete": lambda name, ids: _back(name, ids, "deleted"),
        "modify": lambda name, ids: _set(name, ids[:4], compute_tag="New Tag", compute_priority="high"),
        "comment": lambda name, ids: _set(name, ids, comment="said"),
        "remove": lambda name, ids: _delete(name, ids, soft=False),
    }
    for batch in _BATCHES:
        yield from _batch(batch[0])
        for what in batch:
            yield operations[what](f"{what} all", [*_ids(batch[0]), ABSENT])
            yield _are(f"{what}: how they are", _ids(batch[0]), queued=what == "modify")


def _there_and_back() -> Iterator[Exchange]:
    """Down the stack and up again (S6 to S9)."""
    yield from _batch("stack")
    ids = _ids("stack")
    steps = [
        _set("stack: cancel", ids, status="cancelled"),
        _set("stack: invalidate", ids, status="invalid"),
        _delete("stack: delete", ids),
        _back("stack: undelete", ids, "deleted"),
        _back("stack: uncancel", ids, "cancelled"),
        _back("stack: uninvalidate", ids, "invalid"),
    ]
    for step in steps:
        yield step
        yield _are(f"after {step['name']}", ids, queued=step["name"] == "stack: uncancel")
    yield claim("what came back is claimed", "mover", ["stack"], "stack-again")
    yield get("a new task", "records/singlepoint/<record stack-running>/task", masks=["id"])


def _relatives() -> Iterator[Exchange]:
    """An optimization and its steps."""
    yield add("relatives: add", helium(900.0), "opt", kind="optimization", compute_tag="family")
    yield claim("relatives: claim", "mover", ["family"], "opt")
    yield give_back("relatives: return", "mover", {"opt": optimized(helium(900.0), "opt")})
    yield get(
        "relatives: steps",
        "records/optimization/<record opt>/trajectory",
        ids={"*": "record"},
        names={"record": ["step-1", "step-2"]},
    )
    opt, first, second = family = [f"<record {one}>" for one in FAMILY]
    moves = [
        _set("invalidate a step", [first], status="invalid"),
        _back("uninvalidate the step", [first], "invalid"),
        _back("uninvalidate the optimization", [opt], "invalid"),
        _delete("delete the optimization and its steps", [opt]),
        _back("undelete the optimization", [opt], "deleted"),
        _delete("delete the optimization alone", [opt], children=False),
        _back("undelete it alone", [opt], "deleted"),
        _delete("delete a step", [second], children=False),
        _back("undelete the step's optimization", [opt], "deleted"),
        _back("undelete the step", [second], "deleted"),
        _set("cancel what is complete", family, status="cancelled"),
        _delete("remove a step", [first], soft=False),
        ask("delete by DELETE", "DELETE", "/api/v1/records/<record opt>"),
        _back("undelete what DELETE deleted", [opt], "deleted"),
        _delete("remove the optimization alone", [opt], soft=False, children=False),
        _delete("remove the steps", [first, second], soft=False),
    ]
    for move in moves:
        yield move
        yield _are(f"after: {move['name']}", family)


def _odd() -> Iterator[Exchange]:
    """Unusual requests."""
    one = "<record odd>"
    yield add("odd: add", helium(950.0), "odd")
    yield _set("a repeated id", [one, one, ABSENT, one], status="cancelled")
    yield _back("a repeated id back", [one, ABSENT, one], "cancelled")
    yield _set("nobody", [], status="cancelled")
    yield _back("nobody back", [], "cancelled")
    yield _delete("delete nobody", [])
    yield _set("everything at once", [one], status="cancelled", comment="stop")
    yield _back("cancelled back", [one], "cancelled")
    yield _set("a tag and words", [one], compute_tag="X", comment="moved")
    yield _set("older names", [one], tag="Older", priority=2)
    yield _are("after older names", [one], queued=True)
    yield _set("a tag that is empty", [one], compute_tag="")
    yield _set("nothing to do", [one])
    yield _set("empty words", [one], comment="")
    yield _set("a status nobody sets", [one], status="complete")
    yield _set("a status that is none", [one], status="finished")
    yield _back("a status nobody takes back", [one], "waiting")
    yield _set("an unknown key", [one], state="cancelled")
    yield post("delete without saying how", "records/bulkDelete", {"record_ids": [one]})
    yield ask("DELETE", "DELETE", "/api/v1/records/<record odd>")
    yield ask("DELETE again", "DELETE", "/api/v1/records/<record odd>")
    yield ask("DELETE none", "DELETE", f"/api/v1/records/{ABSENT}")
    yield get("its comments", "records/singlepoint/<record odd>/comments", ids={"*.id": "comment"})


_BODY = [*_each(), *_there_and_back(), *_relatives(), *_odd()]
_TAGS = sorted({tag for one in _BODY if "claim" in one["path"] for tag in one["body"]["compute_tags"]})
EXCHANGES = [activate("mover", ["*", *_TAGS]), *_BODY]
