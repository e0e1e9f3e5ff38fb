"""Compute managers: coming, living, leaving, being looked at."""

from __future__ import annotations

from typing import Any

from tools.golden.asking import (
    PROGRAMS,
    Exchange,
    activate,
    add,
    ask,
    claim,
    get,
    heartbeat,
    helium,
    manager,
    name_of,
    post,
)

_ONE = {"ids": {"id": "manager"}}
_MANY = {"ids": {"*.id": "manager"}}


def _query(name: str, /, **filters: Any) -> Exchange:
    return post(name, "managers/query", filters, **_MANY)


def _active(name: str, programs: Any, /, **more: Any) -> Exchange:
    return post(name, "managers/queryActive", {"programs": programs, **more})


EXCHANGES = [
    activate("one", ["A", "*", "a", ""], PROGRAMS | {"RDKit": ["2024.3", "2024.9"], "": ["1"], "xTB": []}),
    activate("two", ["B"]),
    activate("old", [], name="the older name of tags")
    | {
        "body": {
            "name_data": manager("old"),
            "programs": PROGRAMS,
            "tags": ["Old"],
            "manager_version": "0.71",
            "username": "ann",
        }
    },
    activate("with space and-dash", ["c"]),
    activate("none", ["a"], {}, name="no programs"),
    activate("none", ["a"], {"": []}, name="programs without names"),
    activate("none", [], name="no tags"),
    activate("none", ["a"], name="an unknown key", colour="red"),
    ask(
        "no name", "POST", "/compute/v1/managers", {"programs": PROGRAMS, "compute_tags": ["a"], "manager_version": "1"}
    ),
    get("one", f"managers/{name_of('one')}", **_ONE),
    get("one with parts", f"managers/{name_of('one')}?include=name&include=status", **_ONE),
    get("one without parts", f"managers/{name_of('one')}?exclude=programs&exclude=created_on", **_ONE),
    get("the older", f"managers/{name_of('old')}", **_ONE),
    get("with a space", f"managers/{name_of('with space and-dash').replace(' ', '%20')}", **_ONE),
    get("nobody", "managers/nobody"),
    post("several", "managers/bulkGet", {"names": [name_of("two"), name_of("one"), name_of("two")]}, **_MANY),
    post(
        "several with parts", "managers/bulkGet", {"names": [name_of("two")], "include": ["cluster", "tags"]}, **_MANY
    ),
    post("several and nobody", "managers/bulkGet", {"names": [name_of("two"), "nobody"]}),
    post(
        "nobody may miss",
        "managers/bulkGet",
        {"names": ["nobody", name_of("two")], "missing_ok": True, "include": ["name"]},
        **_MANY,
    ),
    post("no names", "managers/bulkGet", {"names": []}),
    post("too many names", "managers/bulkGet", {"names": {"$repeat": ["x", 1001]}}),
    heartbeat("a heartbeat", "one"),
    heartbeat("a heartbeat in capitals", "two", "ACTIVE"),
    heartbeat("a heartbeat of nobody", "nobody"),
    heartbeat("a heartbeat with an unknown status", "one", "tired"),
    heartbeat("a heartbeat with an unknown key", "one", colour="red"),
    ask("a heartbeat without figures", "PATCH", f"/compute/v1/managers/{name_of('one')}", {"status": "active"}),
    get("after the heartbeat", f"managers/{name_of('one')}", **_ONE),
    _query("all"),
    _query("a page", limit=2),
    _query("the next page", limit=2, cursor="<manager old>"),
    _query("by id", manager_id=["<manager two>"]),
    _query("by name", name=[name_of("one"), "nobody"]),
    _query("by no name", name=[]),
    _query("by cluster", cluster=["two", "old"], include=["name"]),
    _query("by host", hostname=["here"], include=["name"], limit=1),
    _query("by status", status=["active"], include=["name"]),
    _query("by a status that is none", status=["tired"]),
    _query(
        "by times", modified_after="2000-01-01T00:00:00", modified_before="2100-01-01T00:00:00", exclude=["programs"]
    ),
    _query("by an unknown filter", tag=["a"]),
    _active("who runs psi4 for a", {"psi4": []}, compute_tag=["a"]),
    _active("who runs psi4 for A", {"PSI4": []}, compute_tag=["A"]),
    _active("who runs psi4 for b or old", {"psi4": [], "qcengine": []}, compute_tag=["b", "old"]),
    _active("who runs it for all", {"rdkit": []}, compute_tag=["*"]),
    _active("who runs it by the older name", {"psi4": []}, tag=["b"]),
    _active("who runs what nobody has", {"other": []}, compute_tag=["b"]),
    _active("who runs nothing", {}, compute_tag=["b"]),
    _active("who runs it for nobody", {"psi4": []}, compute_tag=[]),
    add("work for two", helium(), "held", compute_tag="b"),
    claim("two takes it", "two", ["b"], "held"),
    get("two works", f"managers/{name_of('two')}", **_ONE),
    heartbeat("two leaves", "two", "inactive"),
    get("two has left", f"managers/{name_of('two')}", **_ONE),
    get(
        "its work waits again",
        "records/singlepoint/<record held>?include=*&include=task&include=compute_history",
        ids={"id": "record"},
    ),
    _query("who has left", status=["inactive"], include=["name"]),
    _active("nobody is left for b", {"psi4": []}, compute_tag=["b"]),
    activate("one", ["A", "*", "a", ""], name="one announces itself otherwise"),
    activate("two", ["B"], name="one that left announces itself again"),
    heartbeat("two leaves again", "two", "inactive"),
    heartbeat("a heartbeat of one that has left", "two"),
    get("whether it is there", f"managers/{name_of('two')}", **_ONE),
]
