"""Records added and found."""

from __future__ import annotations

from typing import Any

from tools.golden.asking import (
    ABSENT,
    HF,
    OPT,
    Exchange,
    activate,
    add,
    claim,
    finished,
    get,
    give_back,
    helium,
    name_of,
    optimized,
    post,
    whole,
)

UFF = {
    "program": "RDKit",
    "driver": "gradient",
    "method": "UFF",
    "basis": None,
    "keywords": {"deep": {"k": 1}, "other": 2},
}
INNER = {"program": "PSI4", "driver": "energy", "method": "B3LYP", "basis": "", "protocols": {"wavefunction": "all"}}
_RECORD = {"ids": {"id": "record"}}


def _find(name: str, kind: str = "", **filters: Any) -> Exchange:
    path = f"records/{kind}/query" if kind else "records/query"
    return post(f"{kind or 'any'}: {name}", path, filters, ids={"*": "record"})


def _single(name: str, **filters: Any) -> Exchange:
    return _find(name, "singlepoint", **filters)


def _path(name: str, **filters: Any) -> Exchange:
    return _find(name, "optimization", **filters)


def _added(name: str, record: str) -> list[Exchange]:
    """How a record that was added looks."""
    kind = "optimization" if record.startswith("opt") else "singlepoint"
    return [get(name, f"records/{kind}/<record {record}>?include=*&include=task", **_RECORD)]


ADDING = [
    add("add none", []),
    add("add one", helium(), "hf", compute_tag="Tag One", compute_priority="high"),
    add("add it again", helium(), compute_tag="other", compute_priority=0),
    add(
        "add it as written otherwise",
        helium(),
        spec=HF | {"program": "PSI4", "method": "Hf", "basis": "STO-3G", "keywords": {}, "protocols": {}},
    ),
    add("add it as a new one", helium(), "again", find_existing=False),
    add("add several, one of them twice", [helium(1.0), helium(1.0), helium()], "second"),
    add("add by the molecule's id", "<molecule he>", "uff", spec=UFF),
    add(
        "older names of tag and priority",
        helium(2.0),
        "older",
        compute_tag=...,
        compute_priority=...,
        tag="Older",
        priority="low",
        owner_group=None,
    ),
    add(
        "keywords differ", helium(), "keywords", spec=HF | {"keywords": {"a": 1, "B": "X", "c": None, "d": [1.5, True]}}
    ),
    add("keywords in another order", helium(), spec=HF | {"keywords": {"d": [1.5, True], "c": None, "B": "X", "a": 1}}),
    add("numbers differ in type", helium(), "float", spec=HF | {"keywords": {"a": 1.0}}),
    add("numbers of the other type", helium(), "int", spec=HF | {"keywords": {"a": 1}}),
    add(
        "protocols that are defaults",
        helium(),
        spec=HF
        | {
            "protocols": {
                "wavefunction": "none",
                "stdout": True,
                "native_files": "none",
                "error_correction": {"default_policy": True},
            }
        },
    ),
    add(
        "protocols that are not",
        helium(),
        "protocols",
        spec=HF
        | {
            "protocols": {
                "wavefunction": "all",
                "stdout": False,
                "error_correction": {"default_policy": False, "policies": {"a": True}},
            }
        },
    ),
    add("an optimization", helium(), "opt", kind="optimization", compute_tag="path"),
    add(
        "its inner specification is brought into shape",
        helium(),
        "opt-inner",
        kind="optimization",
        spec={
            "program": "Geometric",
            "qc_specification": INNER,
            "keywords": {"A": 1.5},
            "protocols": {"trajectory": "final"},
        },
    ),
    add("an optimization again", "<molecule he>", kind="optimization", spec=OPT | {"protocols": {"trajectory": "all"}}),
    add("an unknown molecule", [helium(), ABSENT]),
    add("a molecule that is none", [helium(5.0), {"symbols": ["Xx"], "geometry": [0, 0, 0]}]),
    add("no specification", helium(), spec={}),
    add("no basis", helium(), spec={k: v for k, v in HF.items() if k != "basis"}),
    add("an unknown driver", helium(), spec=HF | {"driver": "dipole"}),
    add("a deferred driver", helium(), "deferred", spec=HF | {"driver": "deferred"}),
    add("an unknown key", helium(), compute_tags="x"),
    add("a priority that is none", helium(), compute_priority="urgent"),
    post(
        "too many to add",
        "records/singlepoint/bulkCreate",
        {"specification": HF, "molecules": {"$repeat": [helium(), 501]}, "compute_tag": "*", "compute_priority": 1},
    ),
    post("an unknown type", "records/other/bulkCreate", {"specification": HF, "molecules": [helium()]}),
    *(
        exchange
        for record in ("hf", "uff", "older", "keywords", "protocols", "opt", "opt-inner")
        for exchange in _added(f"{record} as it was added", record)
    ),
]

WORKING = [
    activate("first", ["older", "tag one"]),
    activate("second", ["*", "path"]),
    claim("the first takes two", "first", ["tag one", "older"], "hf", "older"),
    give_back("and returns one", "first", {"hf": finished(helium(), "hf")}),
    whole(claim("the second takes an optimization", "second", ["path"], "opt")),
]

FINDING = [
    _find("all"),
    _find("a page", limit=3),
    _find("the next page", limit=3, cursor="<record opt>"),
    _find("none at all", limit=0),
    _find("by id", record_id=["<record hf>", "<record opt>", ABSENT]),
    _find("by no id", record_id=[]),
    _find("by type", record_type=["optimization"]),
    _find("by an unknown type", record_type=["other"]),
    _find("by status", status=["complete", "running"]),
    _find("by status in capitals", status=["COMPLETE"]),
    _find("by manager", manager_name=[name_of("first")]),
    _find("by manager of the past", history_manager_name=[name_of("first")]),
    _find("by unknown manager", manager_name=["nobody"]),
    _find("by dataset", dataset_id=[1]),
    _find("by project", project_id=[1]),
    _find("by owner", owner_user=["somebody"]),
    _find("by creator", creator_user=["somebody"]),
    _find("by two things", status=["waiting"], record_type=["optimization"]),
    _find("since long ago", created_after="2000-01-01T00:00:00", modified_after="2000-01-01T00:00:00Z"),
    _find("before long ago", created_before="2000-01-01"),
    _find("until far ahead", created_before="2100-01-01T00:00:00+02:00", modified_before="2100-01-01T00:00:00"),
    _find("changed after far ahead", modified_after="2100-01-01T00:00:00"),
    _find("by what is none", recordid=[1]),
    _single("all"),
    _single("a page", limit=4, cursor="<record uff>"),
    _single("by program", program=["RDKIT"]),
    _single("by driver", driver=["gradient"]),
    _single("by method", method=["UFF", "b3lyp"]),
    _single("by basis", basis=["STO-3G"]),
    _single("by no basis", basis=[None]),
    _single("by an empty basis", basis=[""]),
    _single("by molecule", molecule_id=["<molecule he>"]),
    _single("by keywords", keywords=[{"deep": {"k": 1}}]),
    _single("by either keywords", keywords=[{"deep": {"k": 1}}, {"B": "X"}]),
    _single("by empty keywords", keywords=[{}]),
    _single("by an optimization's filter", qc_program=["psi4"]),
    _single(
        "by all", program=["psi4"], method=["hf"], basis=["sto-3g"], molecule_id=["<molecule he>"], status=["complete"]
    ),
    _path("all"),
    _path("by program", program=["Geometric"]),
    _path("by inner program", qc_program=["PSI4"]),
    _path("by inner method", qc_method=["B3LYP"]),
    _path("by inner basis", qc_basis=["sto-3g"]),
    _path("by no inner basis", qc_basis=[None]),
    _path("by first molecule", initial_molecule_id=["<molecule he>"]),
    _path("by last molecule", final_molecule_id=["<molecule he>"]),
    post("an unknown type to query", "records/other/query", {}),
]

FAMILY = [
    give_back("the optimization is returned", "second", {"opt": optimized(helium(), "opt")}),
    get(
        "its steps",
        "records/optimization/<record opt>/trajectory",
        ids={"*": "record"},
        names={"record": ["step-1", "step-2"]},
    ),
    _find("children", parent_id=["<record opt>"]),
    _single("children", parent_id=["<record opt>"], driver=["gradient"]),
    _find("parents", child_id=["<record step-1>"]),
    _path("parents", child_id=["<record step-2>", "<record hf>"]),
    get("a step has no task", "records/singlepoint/<record step-1>/task"),
    add("what a step has computed", helium(), spec=HF | {"driver": "gradient"}),
]

LENIENT = [
    add("an unknown protocol", helium(), spec=HF | {"protocols": {"wave": "all"}}),
    add("a priority too high", helium(), compute_priority=3),
    add("no tag", helium(4.0), compute_tag=...),
    add("no priority", helium(4.5), compute_priority=...),
    add("an empty tag", helium(3.0), "untagged", compute_tag=""),
    add("a tag of null", helium(3.5), "null-tag", compute_tag=None),
    *_added("what an empty tag became", "untagged"),
]

EXCHANGES = [
    post("a molecule", "molecules/bulkCreate", [helium()], ids={"1.*": "molecule"}, names={"molecule": ["he"]}),
    *ADDING,
    *WORKING,
    *FINDING,
    *FAMILY,
    *LENIENT,
]
