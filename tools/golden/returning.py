"""Work claimed and returned, also late, twice, by others and broken."""

from __future__ import annotations

from typing import Any

from tools.golden.asking import (
    HF,
    KEEP,
    WAVEFUNCTION,
    Exchange,
    activate,
    add,
    ask,
    brief,
    claim,
    failed,
    finished,
    get,
    give_back,
    heartbeat,
    helium,
    name_of,
    optimized,
    post,
    whole,
)

ALL = list("abcdefghijklm")


def _look(record: str, kind: str = "singlepoint") -> Exchange:
    """What became of a record."""
    what = "include=*&include=task&include=outputs&include=native_files"
    own = {"singlepoint": "wavefunction", "optimization": "trajectory"}[kind]
    return get(
        f"what became of {record}", f"records/{kind}/<record {record}>?{what}&include={own}", ids={"id": "record"}
    )


def _manager(name: str, cluster: str) -> Exchange:
    """What is known about a manager."""
    return get(name, f"managers/{name_of(cluster)}?exclude=id")


CLAIMING = [
    activate("alpha", [*ALL, "*"]),
    activate("beta", ALL, {"psi4": [], "qcengine": []}),
    claim("nothing is there", "alpha", ["*"]),
    add("low in a", helium(1.0), "low", compute_tag="a", compute_priority="low"),
    add("normal in a", helium(2.0), "normal", compute_tag="a"),
    add("high in b", helium(3.0), "high", compute_tag="b", compute_priority="high"),
    add("an optimization in b", helium(4.0), "opt", kind="optimization", compute_tag="b", compute_priority="high"),
    add("in c, for others", helium(5.0), "other", spec=HF | {"program": "Other"}, compute_tag="c"),
    whole(
        claim(
            "tags before priorities, and only what its programs can",
            "beta",
            ["a", "b"],
            "normal",
            "low",
            "high",
            limit=3,
        )
    ),
    whole(claim("what is left in any queue", "alpha", ["*"], "opt")),
    claim("nothing fits", "alpha", ["c"]),
    claim("a limit of none", "alpha", ["a"], limit=0),
    claim("a limit below none", "alpha", ["a"], limit=-1),
    claim("a tag it did not announce", "alpha", ["z"]),
    claim("a tag it did not announce beside one it did", "alpha", ["z", "a"]),
    claim("no tag", "alpha", []),
    claim("a program it did not announce", "alpha", ["a"], programs={"other": []}),
    claim("by nobody", "nobody", ["a"]),
    ask(
        "a claim without limit",
        "POST",
        "/compute/v1/tasks/claim",
        {"name_data": {}, "programs": {}, "compute_tags": []},
    ),
    get("running", "records/singlepoint/<record normal>?include=*&include=task", ids={"id": "record"}),
    _manager("what beta holds", "beta"),
]

_MORE: dict[str, Any] = {
    "protocols": KEEP,
    "wavefunction": WAVEFUNCTION,
    "native_files": {"input": "He"},
    "stderr": "a warning",
}
_PARTS = {"compression_type": "zstd", "compression_level": 16}
_MOVED = {
    "_qcfractal_compressed_outputs": {"stdout": _PARTS | {"data": {"$packed": "moved\n"}}},
    "_qcfractal_compressed_native_files": {"input": _PARTS | {"data": {"$packed": "He 0"}}},
    "other": 1,
}

RETURNING = [
    give_back(
        "a failure, with its story",
        "beta",
        {
            "low": failed(
                error={
                    "error_type": "random_error",
                    "error_message": "bad luck",
                    "extras": {"failed_result": {"stdout": "deeper", "stderr": "deepest"}},
                }
            )
        },
    ),
    _look("low"),
    give_back("a success with everything", "beta", {"normal": finished(helium(2.0), "normal", **_MORE)}),
    _look("normal"),
    give_back("an optimization", "alpha", {"opt": optimized(helium(4.0), "opt")}),
    _look("opt", "optimization"),
    give_back(
        "parts moved out of the way", "beta", {"high": finished(helium(3.0), "high", stdout=None, extras=_MOVED)}
    ),
    _look("high"),
    _manager("what beta returned", "beta"),
    give_back("nothing", "beta", {}),
    give_back("returned by nobody", "nobody", {}),
    give_back("an unknown key", "beta", {}, colour="red"),
    ask("results without names", "POST", "/compute/v1/tasks/return", {"results_compressed": {}}),
    ask(
        "results that are no bytes",
        "POST",
        "/compute/v1/tasks/return",
        {"name_data": {"cluster": "beta", "hostname": "here", "uuid": "x"}, "results_compressed": {"1": 5}},
    ),
]

_ORDER = ("twice", "cancelled", "deleted", "removed", "foreign", "mixed", "properties")


def _late() -> list[Exchange]:
    asked = [add(f"add {what}", helium(10.0 + i), what, compute_tag="d") for i, what in enumerate(_ORDER)]
    result = {what: brief(helium(10.0 + i), what) for i, what in enumerate(_ORDER)}
    driver = {"driver": "properties", "return_result": {"dipole": [0.0, 0.0, 1.5], "mine": None}}
    gone = {"record_ids": ["<record deleted>"], "soft_delete": True, "delete_children": True}
    return [
        *asked,
        claim("all of them", "alpha", ["d"], *_ORDER),
        ask(
            "cancel one meanwhile",
            "PATCH",
            "/api/v1/records",
            {"record_ids": ["<record cancelled>"], "status": "cancelled"},
        ),
        post("delete one meanwhile", "records/bulkDelete", gone),
        post(
            "remove one meanwhile",
            "records/bulkDelete",
            gone | {"record_ids": ["<record removed>"], "soft_delete": False},
        ),
        give_back("late for all three", "alpha", {what: result[what] for what in ("cancelled", "deleted", "removed")}),
        give_back("by another manager", "beta", {"foreign": result["foreign"]}),
        give_back("the first time", "alpha", {"twice": result["twice"]}),
        give_back(
            "good, late and unknown together", "alpha", {"mixed": result["mixed"], "cancelled": result["cancelled"]}
        ),
        give_back("properties", "alpha", {"properties": result["properties"] | driver}),
        _look("properties"),
        _look("foreign"),
        _look("cancelled"),
        post(
            "how all are",
            "records/bulkGet",
            {"ids": [f"<record {what}>" for what in _ORDER], "include": ["status", "manager_name"], "missing_ok": True},
            ids={"*.id": "record"},
        ),
    ]


_SHORT = {"error_type": "unknown_error", "error_message": "no idea"}


def _failing() -> list[Exchange]:
    """One record's failures, resets and success."""
    step = brief(helium(30.0), "again")
    reset = {"record_ids": ["<record again>"], "status": "waiting"}
    return [
        add("add again", helium(30.0), "again", compute_tag="e"),
        claim("a first try", "alpha", ["e"], "try-1"),
        give_back("it fails", "alpha", {"try-1": failed()}),
        claim("what failed is not handed out", "alpha", ["e"]),
        ask("reset", "PATCH", "/api/v1/records", reset),
        claim("a second try", "beta", ["e"], "try-2"),
        give_back("it fails in few words", "beta", {"try-2": {"success": False, "error": _SHORT}}),
        ask("reset again", "PATCH", "/api/v1/records", reset),
        claim("a third try", "beta", ["e"], "try-3"),
        give_back("it succeeds", "beta", {"try-3": step}),
        _look("again"),
        post(
            "found by the first manager's name",
            "records/query",
            {"history_manager_name": [name_of("alpha")], "record_id": ["<record again>"]},
            ids={"*": "record"},
        ),
    ]


_BROKEN = {
    "rubbish": {"$bytes": "cnViYmlzaA=="},
    "no result": {"schema_name": "other"},
    "a failure without a reason": {"success": False},
    "a result of another kind": optimized(helium(53.0), "a result of another kind"),
    "a success that is none": brief(helium(54.0), "a success that is none") | {"success": False},
    "two things": brief(helium(55.0), "two things") | {"mine": 1},
}

MEANT = [
    give_back("a success again", "alpha", {"twice": brief(helium(10.0), "twice")}),
    add("add lost", helium(40.0), "lost", compute_tag="f"),
    add("add taken", helium(41.0), "taken", compute_tag="f"),
    claim("both are taken", "alpha", ["f"], "lost", "taken"),
    heartbeat("alpha leaves", "alpha", "inactive"),
    claim("one is taken by another", "beta", ["f"], "taken-again", limit=1),
    give_back("alpha returns nevertheless", "alpha", {"taken": brief(helium(41.0), "taken")}),
    claim("alpha claims nevertheless", "alpha", ["g"]),
    *(
        exchange
        for i, what in enumerate(_BROKEN)
        for exchange in (
            add(f"add {what}", helium(50.0 + i), what, compute_tag="h"),
            claim(f"take {what}", "beta", ["h"], what),
            give_back(f"return {what}", "beta", {what: _BROKEN[what]}),
        )
    ),
    post(
        "how these are",
        "records/bulkGet",
        {"ids": [f"<record {what}>" for what in _BROKEN], "include": ["status"]},
        ids={"*.id": "record"},
    ),
]

EXCHANGES = [*CLAIMING, *RETURNING, *_late(), *_failing(), *MEANT]
