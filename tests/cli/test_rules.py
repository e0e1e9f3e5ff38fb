"""`qchive rules`."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import AtTerminal, Run
from tests.factories import Http, complete
from tests.following import follow

THEN = ("--then", "hessian", "--then-program", "psi4", "--then-method", "hf", "--then-basis", "sto-3g")


def add(qchive: Run, name: str = "hessians", *more: object) -> Any:
    ended = qchive("rules", "add", name, "--kind", "optimization", *THEN, *more, "--json")
    assert ended.code == 0, ended.err
    return ended.json


def test_a_rule_is_added_and_shown_with_what_came_of_it(qchive: Run, api: Http, here: Any) -> None:
    complete(api, "optimization")
    ended = qchive("rules", "add", "hessians", "--kind", "optimization", *THEN, "--then-tag", "h", "--dry-run")
    assert ended.out == "1 complete record would be followed at once with --backfill\n"
    assert qchive("rules", "add", "x", "--kind", "optimization", *THEN, "--dry-run", "--json").json == {"complete": 1}
    ended = qchive("rules", "add", "hessians", "--kind", "optimization", *THEN)
    assert ended.out == (
        "Rule 1, hessians, is enabled: of record_type optimization it submits hessian, psi4 hf/sto-3g\n"
    )
    source = complete(api, "optimization")
    follow(here.conninfo)
    shown = qchive("rules", "show", "hessians", "--json").json
    (one,) = shown["follow_ons"]
    assert (one["source_id"], shown["made"], shown["waiting"]) == (source, 1, 0)
    assert shown["specification"]["driver"] == "hessian"
    told = qchive("rules", "show", 1).out
    assert str(one["record_id"]) in told
    assert "psi4 hf/sto-3g" in told
    assert f"record {source}, by the rule hessians" in qchive("records", "show", one["record_id"]).out
    assert f"record {one['record_id']}, by the rule hessians" in qchive("records", "show", source).out
    (described,) = qchive("records", "show", source, "--json").json
    assert [f["record_id"] for f in described["follow_ons"]] == [one["record_id"]]


def test_an_optimization_is_submitted_with_everything_that_can_be_said(qchive: Run, api: Http) -> None:
    rule = qchive(
        *("rules", "add", "better", "--kind", "optimization", "--method", "hf", "--then", "optimization"),
        *("--then-program", "psi4", "--then-method", "mp2", "--then-basis", "def2-svp", "--then-keyword", "maxiter=50"),
        *("--then-optimizer-keyword", "maxiter=9", "--then-protocol", "trajectory=final", "--then-priority", "high"),
        *("--then-tag", "big", "--again", "--disabled", "--json"),
    ).json
    assert rule["specification"]["program"] == "geometric"
    assert rule["specification"]["keywords"] == {"maxiter": 9}
    assert rule["specification"]["qc_specification"]["keywords"] == {"maxiter": 50}
    assert rule["specification"]["protocols"] == {"trajectory": "final"}
    assert (rule["compute_tag"], rule["compute_priority"]) == ("big", "high")
    assert (rule["find_existing"], rule["enabled"]) == (False, False)
    assert "optimization by geometric, psi4 mp2/def2-svp" in qchive("rules", "list").out


def test_rules_are_listed_disabled_enabled_and_removed(qchive: Run, api: Http) -> None:
    first, second = add(qchive), add(qchive, "others", "--backfill")
    ended = qchive("rules", "disable", "hessians")
    assert ended.out.startswith("Rule 1, hessians, is disabled")
    assert [r["id"] for r in qchive("rules", "list", "--disabled", "--json").json] == [first["id"]]
    assert [r["id"] for r in qchive("rules", "list", "--enabled", "--json").json] == [second["id"]]
    assert "looking back" in qchive("rules", "list", "--name", "others").out
    assert qchive("rules", "enable", 1, "--backfill", "--json").json["looking_back"]
    assert qchive("rules", "remove", "hessians").code == 2
    asked = AtTerminal("rules", "remove", "hessians")
    asked.asks("remove the rule hessians, which made 0 records? [y/N]")
    assert asked.answer("y").out == "Rule 1, hessians, is removed\n"
    assert qchive("rules", "remove", 2, "--yes", "--json").json == {"removed": 2}
    assert qchive("rules", "list", "--json").json == []


def test_what_makes_no_sense_is_said(qchive: Run, api: Http) -> None:
    ended = qchive("rules", "show", "nonsense")
    assert (ended.code, ended.err) == (1, "qchive: There is no rule 'nonsense'\n")
    ended = qchive("rules", "add", "loop", "--kind", "singlepoint", *THEN)
    assert ended.code == 1
    assert "would never end" in ended.err
    ended = qchive("rules", "add", "x", "--kind", "optimization", "--then", "energy")
    assert (ended.code, "--then-program" in ended.err) == (2, True)
    ended = qchive("rules", "add", "x", "--kind", "optimization", *THEN, "--then-optimizer-keyword", "a=1")
    assert ended.code == 2
