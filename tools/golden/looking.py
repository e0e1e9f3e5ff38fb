"""Records in every state, looked at in every way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tools.golden.asking import (
    ABSENT,
    HF,
    KEEP,
    OPT,
    WAVEFUNCTION,
    Exchange,
    activate,
    add,
    ask,
    claim,
    failed,
    finished,
    get,
    give_back,
    heartbeat,
    helium,
    optimized,
    post,
)

STATES = ("waiting", "running", "complete", "error", "cancelled", "deleted", "invalid")
KINDS = {"singlepoint": "sp", "optimization": "opt"}
SPEC = {
    "singlepoint": HF | {"keywords": {"maxiter": 50}, "protocols": KEEP},
    "optimization": OPT | {"keywords": {"maxiter": 7}},
}

_RECORD = {"ids": {"id": "record"}}
_RECORDS = {"ids": {"*.id": "record"}}
_HISTORY = {"ids": {"*.id": "attempt"}}
_PARTS = ("task", "service", "comments", "native_files", "children_status", "children_errors")


def _made(kind: str) -> Iterator[Exchange]:
    """One record in every state."""
    short, tag = KINDS[kind], kind
    for i, state in enumerate(STATES):
        yield add(
            f"{kind}: add the {state} one",
            helium(float(i)),
            f"{short}-{state}",
            kind=kind,
            spec=SPEC[kind],
            compute_tag=f"{tag}-{state}",
            compute_priority=i % 3,
        )
    for state in ("running", "complete", "error", "invalid"):
        task = f"{short}-{state}"
        yield claim(f"{kind}: claim the {state} one", "looker", [f"{tag}-{state}"], task)
    for i, state in ((2, "complete"), (6, "invalid")):
        yield give_back(f"{kind}: return the {state} one", "looker", {f"{short}-{state}": _result(kind, i, state)})
    yield give_back(f"{kind}: return the error one", "looker", {f"{short}-error": failed()})
    one = f"<record {short}-{{}}>".format
    yield ask(f"{kind}: cancel", "PATCH", "/api/v1/records", {"record_ids": [one("cancelled")], "status": "cancelled"})
    yield ask(f"{kind}: invalidate", "PATCH", "/api/v1/records", {"record_ids": [one("invalid")], "status": "invalid"})
    yield post(
        f"{kind}: delete",
        "records/bulkDelete",
        {"record_ids": [one("deleted")], "soft_delete": True, "delete_children": True},
    )
    for words in ("first", "second ✓"):
        ids = [one("complete"), one("waiting")]
        yield ask(f"{kind}: say {words}", "PATCH", "/api/v1/records", {"record_ids": ids, "comment": words})


def _result(kind: str, i: int, state: str) -> Exchange:
    if kind == "optimization":
        return optimized(helium(float(i)), f"opt-{state}")
    more: dict[str, Any] = {
        "native_files": {"input": "He", "binary": "x"},
        "wavefunction": WAVEFUNCTION,
        "stderr": "a warning",
    }
    return finished(helium(float(i)), f"sp-{state}", **more)


_LONG = ["*function_kwargs_compressed", "*molecule", "*wavefunction.data"]
"""What is looked at in the complete ones."""


def _looked_at(kind: str) -> Iterator[Exchange]:
    """Every address of each of them."""
    for state in STATES:
        one = f"records/{kind}/<record {KINDS[kind]}-{state}>"
        what = f"{kind}, {state}"
        yield get(what, one, **_RECORD)
        own = f"{KINDS[kind]}-{state}"
        masks = [] if state == "complete" else _LONG
        names = {"attempt": [own], "record": [f"{own}-first", f"{own}-last"]}
        yield get(f"{what}: everything", f"{one}?include=**", **_RECORD, names=names, masks=masks)
        if kind == "optimization" and state not in ("complete", "error"):
            continue  # what follows is the same for both kinds
        asked = "" if kind == "singlepoint" else "?include=**"
        yield get(f"{what}: whatever the type", f"records/<record {own}>{asked}", **_RECORD, masks=masks)
        for part in _PARTS if state in ("complete", "error") else ("task",):
            yield get(f"{what}: {part}", f"{one}/{part}", **_PART_IDS.get(part, {}))
        yield get(f"{what}: compute_history", f"{one}/compute_history", **_HISTORY)
        part, ids = ("wavefunction", {}) if kind == "singlepoint" else ("trajectory", {"*": "record"})
        yield get(f"{what}: {part}", f"{one}/{part}", ids=ids)
        yield get(
            f"{what}: why it waits",
            f"records/<record {KINDS[kind]}-{state}>/waiting_reason",
            masks=["reason", "details.*"],
        )


_PART_IDS: dict[str, Exchange] = {
    "task": {"masks": ["id"]},
    "comments": {"ids": {"*.id": "comment"}},
    "children_errors": {"ids": {"*": "record"}},
}


def _outputs() -> Iterator[Exchange]:
    """What programs wrote."""
    for kind, state, attempt, names in (
        ("singlepoint", "complete", "sp-complete", ("stdout", "stderr", "error")),
        ("singlepoint", "error", "sp-error", ("stdout", "stderr", "error")),
        ("optimization", "complete", "opt-complete", ("stdout",)),
    ):
        entry = f"records/{kind}/<record {KINDS[kind]}-{state}>/compute_history/<attempt {attempt}>"
        what = f"outputs of the {state} {kind}"
        yield get(f"{what}: the attempt", entry, ids={"id": "attempt"})
        yield get(f"{what}: all", f"{entry}/outputs")
        for name in names:
            for part in ("", "/data", "/uncompressed_data"):
                yield get(f"{what}: {name}{part}", f"{entry}/outputs/{name}{part}")
    one = "records/singlepoint/<record sp-complete>"
    yield get(
        "an attempt of another record", "records/singlepoint/<record sp-error>/compute_history/<attempt sp-complete>"
    )
    yield get(
        "outputs of another record's attempt",
        "records/singlepoint/<record sp-error>/compute_history/<attempt sp-complete>/outputs",
    )
    yield get("an attempt that is none", f"{one}/compute_history/{ABSENT}")
    yield get("outputs of an attempt that is none", f"{one}/compute_history/{ABSENT}/outputs")
    yield get("an output that is none", f"{one}/compute_history/<attempt sp-complete>/outputs/other")
    for name in ("input", "other"):
        for part in ("", "/data", "/uncompressed_data"):
            yield get(f"native file {name}{part}", f"{one}/native_files/{name}{part}")
    yield get("a wavefunction", f"{one}/wavefunction/data")
    yield get("no wavefunction", "records/singlepoint/<record sp-waiting>/wavefunction/data")


_INCLUDES = (
    "include=*",
    "include=status",
    "include=status&include=manager_name",
    "include=*&include=task",
    "include=*&include=comments",
    "include=*&include=compute_history",
    "include=*&include=outputs",
    "include=outputs",
    "include=*&include=native_files",
    "include=*&include=service",
    "include=*&include=other",
    "exclude=properties&exclude=specification",
    "exclude=id&exclude=status",
    "include=**&exclude=properties&exclude=extras",
)
_OF_SINGLEPOINT = (
    "include=*&include=molecule",
    "include=*&include=wavefunction",
    "include=*&include=molecules",
    "include=molecule",
)
_OF_OPTIMIZATION = (
    "include=*&include=initial_molecule",
    "include=*&include=final_molecule",
    "include=*&include=trajectory",
    "include=molecules",
    "include=energies",
    "exclude=energies",
)


def _parts() -> Iterator[Exchange]:
    """Parts of a record."""
    for asked in (*_INCLUDES, *_OF_SINGLEPOINT):
        yield get(f"singlepoint with {asked}", f"records/singlepoint/<record sp-complete>?{asked}", **_RECORD)
    for asked in _OF_OPTIMIZATION:
        yield get(f"optimization with {asked}", f"records/optimization/<record opt-complete>?{asked}", **_RECORD)
    for asked in (*_INCLUDES[::3], "include=*&include=molecule"):
        yield get(f"any with {asked}", f"records/<record sp-complete>?{asked}", **_RECORD)
    yield get("waiting, with its task", "records/singlepoint/<record sp-waiting>?include=*&include=task", **_RECORD)
    yield get("running, with its task", "records/singlepoint/<record sp-running>?include=*&include=task", **_RECORD)


def _several() -> Iterator[Exchange]:
    """Several at once, and none."""
    mixed = ["<record opt-complete>", "<record sp-waiting>", "<record sp-error>", "<record opt-complete>"]
    yield post("several of any type", "records/bulkGet", {"ids": mixed}, **_RECORDS)
    yield post(
        "several with everything", "records/bulkGet", {"ids": mixed[1:], "include": ["**"]}, **_RECORDS, masks=_LONG
    )
    yield post("several with parts", "records/bulkGet", {"ids": mixed, "include": ["status"]}, **_RECORDS)
    yield post("several, one missing", "records/bulkGet", {"ids": [*mixed, ABSENT]})
    yield post(
        "several, one may miss",
        "records/bulkGet",
        {"ids": [ABSENT, mixed[1]], "missing_ok": True, "include": ["status"]},
        **_RECORDS,
    )
    singles = ["<record sp-invalid>", "<record sp-deleted>", "<record sp-cancelled>"]
    yield post(
        "several single points",
        "records/singlepoint/bulkGet",
        {"ids": singles, "include": ["*", "molecule"]},
        **_RECORDS,
    )
    yield post(
        "without some parts",
        "records/singlepoint/bulkGet",
        {"ids": singles, "exclude": ["specification", "properties"]},
        **_RECORDS,
    )
    yield post("a wrong type", "records/singlepoint/bulkGet", {"ids": mixed})
    yield post(
        "a wrong type may miss",
        "records/singlepoint/bulkGet",
        {"ids": mixed[:2], "missing_ok": True, "include": ["status"]},
        **_RECORDS,
    )
    yield post(
        "optimizations",
        "records/optimization/bulkGet",
        {"ids": ["<record opt-error>", "<record opt-complete>"], "include": ["**"]},
        **_RECORDS,
        masks=_LONG,
    )
    yield post("no records", "records/bulkGet", {"ids": []})
    yield post("too many", "records/bulkGet", {"ids": {"$repeat": [1, 1001]}})
    yield post("too many of a type", "records/singlepoint/bulkGet", {"ids": {"$repeat": [1, 1001]}})
    yield get("none", f"records/{ABSENT}")
    yield get("none of the type", f"records/singlepoint/{ABSENT}")
    yield get("one of another type", "records/singlepoint/<record opt-waiting>")
    yield get("an unknown type", "records/other/<record opt-waiting>")
    yield get("a word for an id", "records/one")
    for part in (*_PARTS, "compute_history", "wavefunction", "trajectory"):
        kind = "optimization" if part == "trajectory" else "singlepoint"
        yield get(f"{part} of none", f"records/{kind}/{ABSENT}/{part}")
    yield get("why none waits", f"records/{ABSENT}/waiting_reason", masks=["reason"])
    yield get("a step", "records/singlepoint/<record opt-complete-first>?include=**", **_RECORD)
    yield get("a step, whatever the type", "records/<record opt-complete-last>", **_RECORD)


EXCHANGES = [
    activate("looker", ["*", *(f"{kind}-{state}" for kind in KINDS for state in STATES)]),
    *(exchange for kind in KINDS for exchange in _made(kind)),
    *(exchange for kind in KINDS for exchange in _looked_at(kind)),
    *_outputs(),
    *_parts(),
    *_several(),
    heartbeat("the manager leaves", "looker", "inactive"),
    get("no longer running", "records/singlepoint/<record sp-running>", **_RECORD),
    get("nobody is there", "records/<record sp-waiting>/waiting_reason", masks=["reason"]),
]
