"""Molecules: added, read, found, changed, removed."""

from __future__ import annotations

from tools.golden.asking import ABSENT, add, ask, get, helium, post

WATER = {"symbols": ["O", "H", "H"], "geometry": [0.0, 0.0, 0.0, 0.0, 1.43, 1.1, 0.0, -1.43, 1.1]}
RICH = {
    "schema_name": "qcschema_molecule",
    "schema_version": 2,
    "symbols": ["O", "H", "H", "He"],
    "geometry": [0, 0, 0, 0, 1.5, 1, 0, -1.5, 1, 0, 0, 6.123456789],
    "name": "something",
    "comment": "what it is",
    "real": [True, True, True, False],
    "mass_numbers": [18, 1, 2, 4],
    "atom_labels": ["", "left", "right", ""],
    "connectivity": [[0, 1, 1.0], [0, 2, 1.5]],
    "fragments": [[0, 1, 2], [3]],
    "fragment_charges": [1.0, 0.0],
    "fragment_multiplicities": [2, 1],
    "molecular_charge": 1.0,
    "molecular_multiplicity": 2,
    "fix_com": True,
    "fix_orientation": True,
    "fix_symmetry": "c1",
    "identifiers": {"smiles": "O", "canonical_isomeric_smiles": "[18OH2]"},
    "extras": {"nested": {"list": [1, 2.5, None], "text": "ångström"}},
    "provenance": {"creator": "somebody", "version": "1", "routine": "by hand"},
}
TRUSTED = {"symbols": ["H"], "geometry": [0.0, 0.0, 0.0], "molecular_charge": 0.0, "molecular_multiplicity": 1}

_ADDED = {"ids": {"1.*": "molecule"}}
_FOUND = {"ids": {"*": "molecule"}}
_ONE = {"ids": {"id": "molecule"}}
_MANY = {"ids": {"*.id": "molecule"}}
_VERSIONS = {"masks": ["provenance.version", "*.provenance.version"]}


def _add(name: str, molecules: list[object], *names: str) -> dict[str, object]:
    return post(name, "molecules/bulkCreate", molecules, **_ADDED, names={"molecule": list(names)})


def _query(name: str, **filters: object) -> dict[str, object]:
    return post(name, "molecules/query", filters, **_FOUND)


EXCHANGES = [
    _add("add none", []),
    _add("add one", [helium()], "he"),
    _add("add it again, and another twice", [helium(), WATER, WATER], "water"),
    _add("add one with everything", [RICH], "rich"),
    _add("provenance knows three keys", [helium(provenance={"creator": "somebody", "more": 1})]),
    _add("add a charged one", [{"symbols": ["Li"], "geometry": [0, 0, 0], "molecular_charge": 1}], "cation"),
    _add("a doublet is found by itself", [{"symbols": ["Li"], "geometry": [0, 0, 0]}], "li"),
    _add("symbols of any case", [{"symbols": ["LI", "h"], "geometry": [0, 0, 0, 0, 0, 3.0]}], "lih"),
    _add("what is not is refused", [TRUSTED]),
    _add("atoms too close", [{"symbols": ["He", "He"], "geometry": [0, 0, 0, 0, 0, 0.001]}]),
    _add("an unknown element", [{"symbols": ["Xx"], "geometry": [0, 0, 0]}]),
    _add("too few coordinates", [{"symbols": ["He"], "geometry": [0, 0]}]),
    _add("no symbols", [{"geometry": [0, 0, 0]}]),
    _add("an unknown key", [helium(molecule_hash="x")]),
    _add("an unknown identifier", [helium(identifiers={"nickname": "x"})]),
    _add("one bad among good", [helium(9.0), {"symbols": ["Xx"], "geometry": [0, 0, 0]}]),
    post("too many to add", "molecules/bulkCreate", {"$repeat": [helium(), 1001]}),
    get("get one", "molecules/<molecule he>", **_ONE, **_VERSIONS),
    get("get the one with everything", "molecules/<molecule rich>", **_ONE, **_VERSIONS),
    get("get one with a part", "molecules/<molecule water>?include=geometry&include=symbols", **_ONE),
    get("get one without parts", "molecules/<molecule water>?exclude=provenance&exclude=identifiers", **_ONE),
    get("get one with everything and less", "molecules/<molecule he>?include=*&exclude=provenance", **_ONE),
    get("get one with an unknown part", "molecules/<molecule he>?include=symbols&include=other", **_ONE),
    get("get none", f"molecules/{ABSENT}"),
    get("get by a word", "molecules/helium"),
    get("get with an unknown parameter", "molecules/<molecule he>?includes=symbols"),
    post(
        "get several",
        "molecules/bulkGet",
        {"ids": ["<molecule lih>", "<molecule cation>", "<molecule li>", "<molecule lih>"]},
        **_MANY,
        **_VERSIONS,
    ),
    post(
        "get parts of several",
        "molecules/bulkGet",
        {"ids": ["<molecule water>", "<molecule he>"], "include": ["name"]},
        **_MANY,
    ),
    post("get none of them", "molecules/bulkGet", {"ids": []}),
    post("get a missing one", "molecules/bulkGet", {"ids": ["<molecule he>", ABSENT]}),
    post(
        "a missing one may miss",
        "molecules/bulkGet",
        {"ids": [ABSENT, "<molecule he>"], "missing_ok": True, "include": ["symbols"]},
        **_MANY,
    ),
    post("too many to get", "molecules/bulkGet", {"ids": {"$repeat": [1, 1001]}}),
    _query("query all"),
    _query("query a page", limit=2),
    _query("query the next page", limit=2, cursor="<molecule li>"),
    _query("query nothing", limit=0),
    _query("query by id", molecule_id=["<molecule he>", "<molecule water>", ABSENT]),
    _query("query by an empty list", molecule_id=[]),
    _query("query by formula", molecular_formula=["OH2"]),
    _query("query by formula in small letters", molecular_formula=["h2o"]),
    _query("query by two formulas", molecular_formula=["HLi", "He"]),
    _query("query by hash", molecule_hash=["b3855c64e9f61158f5e449e2df7b79bf1fa599d7"]),
    _query("query by identifier", identifiers={"smiles": ["O", "C"]}),
    _query("query by two identifiers", identifiers={"smiles": ["O"], "inchi": ["x"]}),
    _query("query by all at once", molecular_formula=["He"], molecule_id=["<molecule water>"]),
    _query("query by an unknown filter", molecular_hash=["x"]),
    ask(
        "rename",
        "PATCH",
        "/api/v1/molecules/<molecule he>",
        {"name": "first", "comment": "noble", "identifiers": {"smiles": "[He]", "molecule_hash": "x"}},
    ),
    get("the renamed one", "molecules/<molecule he>", **_ONE, **_VERSIONS),
    ask(
        "more identifiers",
        "PATCH",
        "/api/v1/molecules/<molecule he>",
        {"identifiers": {"inchi": "one", "smiles": None}},
    ),
    get("identifiers together", "molecules/<molecule he>?include=identifiers&include=name&include=comment", **_ONE),
    ask(
        "other identifiers",
        "PATCH",
        "/api/v1/molecules/<molecule he>",
        {"identifiers": {"inchi": "two"}, "overwrite_identifiers": True},
    ),
    get("identifiers replaced", "molecules/<molecule he>?include=identifiers", **_ONE),
    ask("change nothing", "PATCH", "/api/v1/molecules/<molecule he>", {}),
    ask("change none", "PATCH", f"/api/v1/molecules/{ABSENT}", {"name": "nobody"}),
    ask("change what cannot be", "PATCH", "/api/v1/molecules/<molecule he>", {"symbols": ["Ne"]}),
    add("a record that uses one", "<molecule water>", "user"),
    post("remove several", "molecules/bulkDelete", ["<molecule water>", "<molecule li>", ABSENT, "<molecule lih>"]),
    post("remove none of them", "molecules/bulkDelete", []),
    ask("remove one", "DELETE", "/api/v1/molecules/<molecule cation>"),
    ask("remove a used one", "DELETE", "/api/v1/molecules/<molecule water>"),
    ask("remove none", "DELETE", f"/api/v1/molecules/{ABSENT}"),
    _query("what is left"),
    ask(
        "files",
        "POST",
        "/api/v1/molecules/fromFiles",
        {"dummy": True},
        files={
            "he.xyz": "1\n\nHe 0 0 2\n",
            "bad.xyz": "nonsense",
            "ne.json": '{"symbols": ["Ne"], "geometry": [0, 0, 0]}',
        },
        ids={"0.*.0.1": "molecule"},
        masks=["1.*"],
    ),
    ask(
        "a file of the wrong kind", "POST", "/api/v1/molecules/fromFiles", {"dummy": True}, files={"he.py": "He 0 0 0"}
    ),
    _add("what is validated is trusted", [TRUSTED | {"validated": True, "name": "trusted"}], "trusted"),
]
