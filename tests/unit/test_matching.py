"""Whether a manager would run a task, and what to do when none would."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qchive.server.matching import Need, Offer, advice, objection

PSI4, OLD = {"psi4": ["1.9"], "qcengine": ["0.52"]}, {"psi4": ["1.7"]}
GEO = {"geometric": ["1.1"]}

# programs, versions, tag of the task | the managers' programs and tags | beginning of the advice
TABLE: list[tuple[set[str], dict[str, str], str, list[tuple[dict[str, list[str]], list[str]]], str | None]] = [
    ({"psi4"}, {}, "*", [(PSI4, ["*"])], None),
    ({"psi4"}, {}, "x", [(PSI4, ["*"])], None),
    ({"psi4"}, {"psi4": ">=1.8"}, "x", [(OLD, ["x"]), (PSI4, ["x"])], None),
    ({"psi4"}, {}, "x", [(GEO, ["x"])], "No active manager has psi4: "),
    ({"psi4", "geometric"}, {}, "x", [(GEO, ["x"]), (PSI4, ["x"])], "No active manager has geometric, psi4: "),
    (
        {"psi4"},
        {"psi4": ">=1.8"},
        "x",
        [(OLD, ["x"]), (GEO, ["x"])],
        "No active manager has the versions demanded (psi4 >=1.8 wanted, 1.7 there): ",
    ),
    (
        {"psi4", "geometric"},
        {"psi4": ">=1.8", "geometric": ">=1"},
        "x",
        [(OLD | GEO, ["x"]), (PSI4 | {"geometric": ["0.9"]}, ["x"])],
        "No active manager has the versions demanded (psi4 >=1.8; geometric >=1): ",
    ),
    (
        {"psi4"},
        {"psi4": ">=1.8"},
        "x",
        [(OLD, ["x"]), (PSI4, ["z", "y"])],
        'No active manager that could run it handles tag "x", only y, z: ',
    ),
]


@pytest.mark.parametrize(("programs", "versions", "tag", "managers", "wanted"), TABLE)
def test_advice_names_what_is_missing(
    programs: set[str],
    versions: dict[str, str],
    tag: str,
    managers: list[tuple[dict[str, list[str]], list[str]]],
    wanted: str | None,
) -> None:
    found = advice(Need(frozenset(programs), versions, tag), [Offer(p, t) for p, t in managers], strict=False)
    assert (found or "").startswith(wanted or "")
    assert (found is None) == (wanted is None)


def test_a_star_handles_all_tags_unless_tags_are_strict() -> None:
    need, offer = Need(frozenset(), {}, "x"), Offer({}, ["*"])
    assert advice(need, [offer], strict=False) is None
    assert "tag" in (advice(need, [offer], strict=True) or "")


NAMES = st.sampled_from(["psi4", "geometric", "xtb"])
VERSIONS = st.sampled_from(["1.0", "1.9", "2.0", "odd"])
NEEDS = st.builds(
    Need,
    st.frozensets(NAMES, min_size=1),
    st.dictionaries(NAMES, st.sampled_from([">=1.5", "<1.5", "==1.9"]), max_size=2),
    st.sampled_from(["*", "x", "y", None]),
)
OFFERS = st.lists(
    st.builds(
        Offer,
        st.dictionaries(NAMES, st.lists(VERSIONS, min_size=1, max_size=2)),
        st.lists(st.sampled_from(["*", "x", "y"]), min_size=1),
    ),
    min_size=1,
    max_size=4,
)


@given(NEEDS, OFFERS, st.booleans())
def test_there_is_advice_if_and_only_if_every_manager_objects(need: Need, offers: list[Offer], strict: bool) -> None:
    objections = [objection(need, offer, strict=strict) for offer in offers]
    assert (advice(need, offers, strict=strict) is None) == (None in objections)
