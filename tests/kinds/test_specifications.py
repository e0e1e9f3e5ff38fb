"""Specifications: what they become when they are read, and what makes two the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.factories import OPTIMIZATION, SPEC

from qchive.kinds import KINDS
from qchive.kinds.kind import Facets, Part


def body(kind: str, spec: dict[str, Any]) -> bytes:
    return KINDS[kind].body(msgspec.convert(spec, KINDS[kind].specification))


def shown(kind: str, spec: dict[str, Any]) -> Any:
    return msgspec.json.decode(body(kind, spec))


def test_a_short_specification_is_filled_in() -> None:
    assert shown("singlepoint", SPEC) == {**SPEC, "keywords": {}, "protocols": {}}
    assert shown("optimization", OPTIMIZATION) == {
        "program": "geometric",
        "keywords": {},
        "protocols": {},
        "qc_specification": {**SPEC, "driver": "deferred", "keywords": {}, "protocols": {}},
    }


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ({"wavefunction": "none", "stdout": True, "native_files": "none"}, {}),
        ({"error_correction": {"default_policy": True, "policies": None}}, {}),
        ({"error_correction": {"default_policy": True, "policies": {}}}, {}),
        (
            {"error_correction": {"default_policy": False, "policies": {}}},
            {"error_correction": {"default_policy": False}},
        ),
        (
            {"error_correction": {"policies": {"maxiter": True}}},
            {"error_correction": {"policies": {"maxiter": True}}},
        ),
        ({"wavefunction": "all", "stdout": False}, {"wavefunction": "all", "stdout": False}),
    ],
)
def test_only_protocols_that_differ_from_the_defaults_are_kept(given_: Any, kept: Any) -> None:
    assert shown("singlepoint", {**SPEC, "protocols": given_})["protocols"] == kept


def test_keywords_are_kept_as_they_are() -> None:
    keywords = {"B": "MiXed", "a": [1, 1.0, -0.0, 1e-300], "n": {"z": None, "y": True}}
    assert shown("singlepoint", {**SPEC, "keywords": keywords})["keywords"] == keywords
    assert b'"B":"MiXed","a":[1,1.0,-0.0,1e-300],"n":{"y":true,"z":null}' in body(
        "singlepoint", {**SPEC, "keywords": keywords}
    )


KEYWORDS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.booleans(), max_size=4)
WORDS = st.text(min_size=1, max_size=20).filter(lambda t: "\0" not in t)


@given(program=WORDS, method=WORDS, basis=st.none() | WORDS, keywords=KEYWORDS)
def test_reading_what_was_read_changes_nothing(program: str, method: str, basis: str | None, keywords: Any) -> None:
    spec = {"program": program, "driver": "energy", "method": method, "basis": basis, "keywords": keywords}
    once = shown("singlepoint", spec)
    assert body("singlepoint", once) == body("singlepoint", spec)
    assert once["program"] == program.lower()
    inner = {"program": "geometric", "qc_specification": spec}
    assert body("optimization", shown("optimization", inner)) == body("optimization", inner)


@given(KEYWORDS, KEYWORDS)
def test_different_keywords_are_different_specifications(one: Any, other: Any) -> None:
    kind = KINDS["singlepoint"]
    hashes = {kind.specification_hash(body("singlepoint", {**SPEC, "keywords": k})) for k in (one, other)}
    same = msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
    assert (len(hashes) == 1) is same


def test_kind_and_molecule_are_part_of_what_a_record_is() -> None:
    identities = {
        KINDS[kind].identity(b"h", [Part(role, molecule)], demands)
        for kind, role in (("singlepoint", "molecule"), ("optimization", "initial_molecule"))
        for molecule in (1, 2)
        for demands in ({}, {"psi4": ">=1"})
    }
    assert len(identities) == 8


def test_facets_are_what_people_search_by() -> None:
    single = KINDS["singlepoint"].facets(msgspec.convert({**SPEC, "basis": ""}, KINDS["singlepoint"].specification))
    assert (single.program, single.driver, single.method, single.basis) == ("psi4", "energy", "hf", None)
    spec = {**OPTIMIZATION, "keywords": {"maxiter": 3}}
    optimization = KINDS["optimization"].facets(msgspec.convert(spec, KINDS["optimization"].specification))
    assert (optimization.program, optimization.qc_program, optimization.method) == ("geometric", "psi4", "hf")
    assert optimization.keywords == {"maxiter": 3}
    assert optimization.driver is None


def test_every_filter_is_a_facet() -> None:
    for kind in KINDS.values():
        assert set(kind.filters.values()) <= set(Facets.__struct_fields__)
        if not kind.internal:
            kind.facets(msgspec.convert(kind.example["specification"], kind.specification))
