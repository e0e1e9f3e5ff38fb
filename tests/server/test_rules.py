"""Follow-on rules: what completes is followed, each record once, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from tests.accounts import SECURE, as_user, secure
from tests.acting import do
from tests.archive import Archive, prepared, running
from tests.factories import (
    OPTIMIZATION,
    SPEC,
    Http,
    Manager,
    add,
    claim_and_return,
    claimed,
    complete,
    failure,
    http,
    make_molecule,
    make_result,
    sql,
    started,
    until,
)
from tests.following import HESSIAN, add_rule, follow, made, numbers
from tests.server.test_services import add_reaction
from tests.ticking import tick
from tests.upkeep_process import upkeep

from qchive.kinds import KINDS
from qchive.kinds.kind import InputRefused, Part, one_molecule
from qchive.kinds.reaction import ROLE, reaction


def test_a_complete_optimization_is_followed_by_a_hessian_of_its_final_molecule(archive: Archive, api: Http) -> None:
    rule = add_rule(api, compute_priority="high")
    source = complete(api, "optimization")
    assert follow(archive.conninfo) == 1
    ((_, record_id),) = made(api, rule).items()
    record = api.record(record_id)
    assert record["record_type"] == "singlepoint"
    assert record["specification"]["driver"] == "hessian"
    assert record["molecule_id"] == api.record(source)["final_molecule_id"] != api.record(source)["initial_molecule_id"]
    (task,) = Manager(api, tags=["follow"]).claim()
    assert (task["record_id"], task["tag"], task["priority"]) == (record_id, "follow", 2)
    assert numbers(api, rule) == {"made": 1}


def test_a_record_without_a_final_molecule_is_followed_on_its_only_one(archive: Archive, api: Http) -> None:
    rule = add_rule(api, filter={"record_type": ["singlepoint"], "driver": ["energy"]})
    source = complete(api)
    follow(archive.conninfo)
    assert api.record(made(api, rule)[source])["molecule_id"] == api.record(source)["molecule_id"]


def test_an_optimization_can_be_what_is_submitted(archive: Archive, api: Http) -> None:
    better = {**OPTIMIZATION, "qc_specification": {**SPEC, "method": "mp2"}}
    rule = add_rule(
        api,
        filter={"record_type": ["optimization"], "method": ["hf"]},
        record_type="optimization",
        specification=better,
    )
    source = complete(api, "optimization")
    follow(archive.conninfo)
    record = api.record(made(api, rule)[source])
    assert record["initial_molecule_id"] == api.record(source)["final_molecule_id"]


def test_only_what_fits_the_filter_and_is_complete_is_followed(archive: Archive, api: Http) -> None:
    rule = add_rule(api, filter={"record_type": ["optimization"], "compute_tag": ["mine"]})
    manager = Manager(api)
    (fits,) = add(api, kind="optimization", compute_tag="mine")
    add(api, kind="optimization", compute_tag="other")
    claim_and_return(manager)
    failing, (task,) = claimed(api, "optimization")
    failing.give_one(task["id"], failure())
    follow(archive.conninfo)
    assert list(made(api, rule)) == [fits]
    assert sql(archive.conninfo, "SELECT count(*) FROM completion") == [(0,)]


def test_steps_of_a_trajectory_are_not_followed(archive: Archive, api: Http) -> None:
    rule = add_rule(api, filter={"record_type": ["singlepoint"], "driver": ["gradient"]}, backfill=True)
    complete(api, "optimization")
    assert follow(archive.conninfo) == 0
    body = {"name": "x", "filter": {"driver": ["gradient"]}, "record_type": "singlepoint", "specification": HESSIAN}
    assert api.post("rules/preview", body) == {"complete": 0}
    assert numbers(api, rule) == {}


def test_nothing_is_noted_while_no_rule_is_enabled(archive: Archive, api: Http) -> None:
    rule = add_rule(api, enabled=False)
    complete(api, "optimization")
    assert sql(archive.conninfo, "SELECT count(*) FROM completion") == [(0,)]
    api.patch(f"rules/{rule['id']}", {"enabled": True})
    complete(api, "optimization")
    assert sql(archive.conninfo, "SELECT count(*) FROM completion") == [(1,)]


def test_a_computation_that_is_there_already_is_found(archive: Archive, api: Http) -> None:
    rule = add_rule(api, filter={"record_type": ["singlepoint"], "driver": ["energy"]})
    again = add_rule(api, "again", filter={"record_type": ["singlepoint"], "driver": ["energy"]}, find_existing=False)
    molecule = make_molecule()
    (known,) = add(api, molecules=[molecule], spec=HESSIAN, compute_tag="elsewhere")
    (source,) = add(api, molecules=[molecule], compute_tag="here")
    claim_and_return(Manager(api, tags=["here"]))
    follow(archive.conninfo)
    assert made(api, rule) == {source: known}
    assert numbers(api, rule) == {"found": 1}
    assert made(api, again)[source] != known
    assert numbers(api, again) == {"made": 1}
    led_to = api.get(f"records/{source}/follow_ons")["led_to"]
    assert [(one["rule"], one["state"]) for one in led_to] == [("hessians", "found"), ("again", "made")]


# --- once ---------------------------------------------------------------------------------------------------------


def test_a_record_is_followed_once_by_each_rule_however_often_it_becomes_complete(archive: Archive, api: Http) -> None:
    rules = [add_rule(api), add_rule(api, "energies", specification=SPEC)]
    source = complete(api, "optimization")
    follow(archive.conninfo)
    before = [made(api, rule) for rule in rules]
    do(api, "invalidate", source)
    do(api, "uninvalidate", source)
    do(api, "delete", source)
    do(api, "undelete", source)
    api.patch(f"rules/{rules[0]['id']}", {"enabled": True, "backfill": True})
    assert follow(archive.conninfo) == 0
    assert [made(api, rule) for rule in rules] == before
    assert [numbers(api, rule) for rule in rules] == [{"made": 1}, {"made": 1}]


def test_a_result_that_is_returned_again_is_not_followed_again(archive: Archive, api: Http) -> None:
    rule = add_rule(api)
    manager, task = started(api, "optimization")
    for _ in range(2):
        assert manager.give_one(task["id"], make_result(task)) is None
        follow(archive.conninfo)
    assert numbers(api, rule) == {"made": 1}


def test_a_record_that_is_invalid_before_it_is_followed_is_followed_when_it_is_trusted_again(
    archive: Archive, api: Http
) -> None:
    rule = add_rule(api)
    source = complete(api, "optimization")
    do(api, "invalidate", source)
    assert follow(archive.conninfo) == 0
    do(api, "uninvalidate", source)
    assert follow(archive.conninfo) == 1
    assert list(made(api, rule)) == [source]


def test_a_record_that_is_invalidated_between_matching_and_submitting_is_left_alone(
    archive: Archive, api: Http
) -> None:
    rule = add_rule(api)
    source = complete(api, "optimization")
    sql(archive.conninfo, "DELETE FROM completion")
    sql(archive.conninfo, "INSERT INTO follow_on VALUES (%s, %s, NULL, 'waiting', '{1}')", rule["id"], source)
    sql(archive.conninfo, "UPDATE rule SET matched = 1")
    do(api, "invalidate", source)
    follow(archive.conninfo)
    assert numbers(api, rule) == {}
    do(api, "uninvalidate", source)
    follow(archive.conninfo)
    assert numbers(api, rule) == {"made": 1}


def test_several_runners_at_once_follow_each_record_once(archive: Archive, api: Http) -> None:
    done_before = _complete(api, 700)
    rule = add_rule(api, filter={"compute_tag": ["many"]}, backfill=True)
    gradient = {**SPEC, "driver": "gradient"}
    other = add_rule(api, "other", filter={"compute_tag": ["many"]}, specification=gradient, find_existing=False)
    done_after = _complete(api, 600)
    assert follow(archive.conninfo, at_once=2) == 700 + 2 * 600
    assert sorted(made(api, other)) == sorted(done_after)
    assert numbers(api, rule) == {"made": 1300}
    assert numbers(api, other) == {"made": 600}
    assert sql(archive.conninfo, "SELECT count(DISTINCT made_id) FROM follow_on") == [(1900,)]
    assert sql(archive.conninfo, "SELECT count(*) FROM record WHERE tag = 'follow'") == [(1900,)]
    followed = sql(archive.conninfo, "SELECT source_id FROM follow_on WHERE rule_id = %s", rule["id"])
    assert {i for (i,) in followed} == {*done_before, *done_after}


def _complete(api: Http, n: int) -> list[int]:
    ids = [i for size in (n // 2, n - n // 2) if size for i in add(api, size, compute_tag="many")]
    manager = Manager(api, tags=["many"])
    while claim_and_return(manager):
        pass
    return ids


def test_upkeep_follows_at_once_and_goes_on_after_it_was_killed(archive: Archive, api: Http) -> None:
    rule = add_rule(api, filter={"compute_tag": ["many"]})
    with upkeep(archive.conninfo) as first, upkeep(archive.conninfo):
        _complete(api, 1)
        until(lambda: numbers(api, rule) == {"made": 1})
        first.kill()
        _complete(api, 20)
        until(lambda: numbers(api, rule) == {"made": 21})
    _complete(api, 20)
    with upkeep(archive.conninfo) as killed:
        until(lambda: numbers(api, rule) != {"made": 21})
        killed.kill()
    with upkeep(archive.conninfo):
        until(lambda: numbers(api, rule) == {"made": 41})
    assert sql(archive.conninfo, "SELECT count(*) FROM record WHERE tag = 'follow'") == [(41,)]


# --- what was complete before -------------------------------------------------------------------------------------


def test_what_was_complete_before_is_followed_only_if_asked_for(archive: Archive, api: Http) -> None:
    before = complete(api, "optimization")
    rule, all_of_them = add_rule(api), add_rule(api, "all", backfill=True, specification=SPEC)
    after = complete(api, "optimization")
    do(api, "invalidate", before)
    do(api, "uninvalidate", before)
    follow(archive.conninfo)
    assert list(made(api, rule)) == [after]
    assert list(made(api, all_of_them)) == [before, after]
    assert not api.get(f"rules/{all_of_them['id']}")["looking_back"]


def test_a_rule_that_is_disabled_follows_nothing_until_it_is_enabled_again(archive: Archive, api: Http) -> None:
    rule, other = add_rule(api), add_rule(api, "other", specification=SPEC)
    path = f"rules/{rule['id']}"
    assert not api.patch(path, {"enabled": False})["enabled"]
    meanwhile = complete(api, "optimization")
    follow(archive.conninfo)
    api.patch(path, {"enabled": True})
    after = complete(api, "optimization")
    follow(archive.conninfo)
    assert list(made(api, rule)) == [after]
    assert list(made(api, other)) == [meanwhile, after]
    api.patch(path, {"enabled": True, "backfill": True})
    assert follow(archive.conninfo) == 1
    assert list(made(api, rule)) == [meanwhile, after]


def test_looking_back_waits_for_who_did_not_see_the_rule(archive: Archive, api: Http) -> None:
    import psycopg

    source = complete(api, "optimization")
    with psycopg.connect(archive.conninfo) as conn:
        conn.execute("SELECT pg_current_xact_id()")
        rule = add_rule(api, backfill=True)
        assert follow(archive.conninfo) == 0
        assert api.get(f"rules/{rule['id']}")["looking_back"]
    assert follow(archive.conninfo) == 1
    assert list(made(api, rule)) == [source]


def test_a_database_that_moved_does_not_wait_for_transactions_of_its_old_server(archive: Archive, api: Http) -> None:
    complete(api, "optimization")
    rule = add_rule(api, backfill=True)
    sql(archive.conninfo, "UPDATE rule SET fence = 1::bigint << 60, upto = 1000000")
    assert follow(archive.conninfo) == 1
    assert numbers(api, rule) == {"made": 1}


# --- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"specification": {"program": "psi4"}}, "invalid_specification", "missing required field"),
        ({"specification": {**HESSIAN, "driver": "nonsense"}}, "invalid_specification", "driver"),
        ({"record_type": "nonsense"}, "unknown_kind", "singlepoint or optimization"),
        ({"record_type": "reaction"}, "invalid_rule", "not about one molecule"),
        ({"filter": {"status": ["error"]}}, "invalid_rule", "complete records only"),
        ({"filter": {"error_class": ["random"]}}, "invalid_rule", "error_class"),
        ({"filter": {"nonsense": 1}}, "invalid_body", "nonsense"),
        ({"name": ""}, "invalid_body", "name"),
        ({"filter": {}}, "invalid_rule", "never end"),
        ({"filter": {"record_type": ["singlepoint"], "program": ["PSI4"]}}, "invalid_rule", "never end"),
        ({"filter": {"driver": ["hessian"], "compute_tag": ["Follow"]}}, "invalid_rule", "never end"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(shared_api: Http, change: dict[str, Any], code: str, said: str) -> None:
    body = {"name": "n", "filter": {"record_type": ["optimization"]}, "record_type": "singlepoint"}
    body |= {"specification": HESSIAN, "compute_tag": "follow", **change}
    for path in ("rules", "rules/preview"):
        refusal = shared_api.refused("POST", f"/api/v1/{path}", body)
        assert (refusal.status, refusal.reply["code"]) == (400, code)
        assert said in refusal.reply["msg"]


def test_a_name_is_taken_until_its_rule_is_removed(archive: Archive, api: Http) -> None:
    rule = add_rule(api)
    with pytest.raises(AssertionError, match="choose another name"):
        add_rule(api)
    source = complete(api, "optimization")
    follow(archive.conninfo)
    assert api.ask("DELETE", f"/api/v1/rules/{rule['id']}") is None
    assert api.refused("GET", f"/api/v1/rules/{rule['id']}").reply["code"] == "not_found"
    assert api.refused("DELETE", f"/api/v1/rules/{rule['id']}").reply["code"] == "not_found"
    assert api.refused("PATCH", f"/api/v1/rules/{rule['id']}", {"enabled": True}).reply["code"] == "not_found"
    assert api.post("rules/query", {}) == []
    assert [one["rule"] for one in api.get(f"records/{source}/follow_ons")["led_to"]] == ["hessians"]
    add_rule(api)


def test_a_rule_does_not_follow_what_came_from_it(archive: Archive, api: Http) -> None:
    """Two rules that lead to each other: each follows once, and says where it stopped."""
    loose, tight = ({**OPTIMIZATION, "keywords": {"convergence_set": name}} for name in ("GAU", "GAU_TIGHT"))
    there = add_rule(
        api,
        "there",
        filter={"record_type": ["optimization"], "compute_tag": ["a"]},
        record_type="optimization",
        specification=tight,
        compute_tag="b",
    )
    back = add_rule(
        api,
        "back",
        filter={"record_type": ["optimization"], "compute_tag": ["b"]},
        record_type="optimization",
        specification=loose,
        compute_tag="a",
    )
    add(api, kind="optimization", spec=loose, compute_tag="a")
    manager = Manager(api, tags=["a", "b"])
    for _ in range(6):
        claim_and_return(manager)
        follow(archive.conninfo)
    assert claim_and_return(manager) == []
    assert numbers(api, there) == {"made": 1, "looped": 1}
    assert numbers(api, back) == {"made": 1}
    (left,) = (one for one in api.post(f"rules/{there['id']}/follow_ons", {}) if one["state"] == "looped")
    assert left["problem"] == "It came from this rule itself"


def test_a_part_of_what_a_rule_made_came_from_it_too(archive: Archive, api: Http) -> None:
    rule = add_rule(api, filter={"record_type": ["singlepoint"], "compute_tag": ["a"]})
    (first,) = add(api, compute_tag="a")
    manager = Manager(api, tags=["a"])
    claim_and_return(manager)
    follow(archive.conninfo)
    (parent,) = made(api, rule).values()
    (child,) = add(api, compute_tag="a")
    sql(archive.conninfo, "INSERT INTO record_child (parent_id, role, child_id) VALUES (%s, 'r', %s)", parent, child)
    claim_and_return(manager)
    follow(archive.conninfo)
    assert list(made(api, rule)) == [first]
    assert numbers(api, rule) == {"made": 1, "looped": 1}


def test_what_cannot_be_followed_says_why_and_does_not_stop_others(archive: Archive, api: Http) -> None:
    rule = add_rule(api, filter={"compute_tag": ["t"]})
    reaction = add_reaction(api)
    tick(archive.conninfo)
    manager = Manager(api, tags=["t"])
    parts = claim_and_return(manager)
    tick(archive.conninfo)
    follow(archive.conninfo)
    assert sorted(made(api, rule)) == sorted(parts)
    (failed,) = api.get(f"records/{reaction}/follow_ons")["led_to"]
    assert failed["state"] == "failed"
    assert "neither a final molecule nor only one" in failed["problem"]
    assert numbers(api, rule) == {"made": 2, "failed": 1}


def test_a_rule_that_fails_says_why_and_does_not_stop_others(archive: Archive, api: Http) -> None:
    bad, good = add_rule(api, "bad", specification=SPEC), add_rule(api, "good")
    unreadable = add_rule(api, "unreadable")
    sql(archive.conninfo, "UPDATE rule SET kind = 'nonsense' WHERE id = %s", bad["id"])
    sql(archive.conninfo, "UPDATE rule SET filter = '{\"record_id\": 5}' WHERE id = %s", unreadable["id"])
    source = complete(api, "optimization")
    assert follow(archive.conninfo) == 1
    assert list(made(api, good)) == [source]
    assert api.get(f"rules/{bad['id']}")["problem"] == "This server does not know records of type nonsense"
    assert "Its filter cannot be used" in api.get(f"rules/{unreadable['id']}")["problem"]
    assert numbers(api, bad) == {"waiting": 1}
    sql(archive.conninfo, "UPDATE rule SET kind = 'singlepoint' WHERE id = %s", bad["id"])
    assert follow(archive.conninfo) == 1
    assert numbers(api, bad) == {"made": 1}
    assert api.get(f"rules/{bad['id']}")["problem"] is None


def test_a_rule_waits_for_a_server_that_knows_its_kind(archive: Archive, api: Http) -> None:
    rule = add_rule(api)
    complete(api, "optimization")
    fewer = {name: kind for name, kind in KINDS.items() if name != "singlepoint"}
    assert follow(archive.conninfo, fewer) == 0
    assert follow(archive.conninfo) == 1
    assert numbers(api, rule) == {"made": 1}


def _settle(_: Any, parts: Sequence[Part], molecules: Mapping[int, Any]) -> Sequence[Part]:
    if any(len(molecules[int(part.molecule)]["symbols"]) > 2 for part in parts):  # type: ignore[arg-type]
        raise InputRefused("More than two atoms")
    return parts


ALONE = msgspec.structs.replace(reaction, name="alone", inputs=one_molecule("molecules", ROLE), settle=_settle)
"""A composite kind about one molecule."""


def test_a_composite_record_can_be_what_is_submitted(databases: Any) -> None:
    kinds = {**KINDS, "alone": ALONE}
    with prepared(databases) as conninfo, running(conninfo, kinds=kinds) as archive, http(archive.address) as api:
        rule = add_rule(api, record_type="alone", specification={"singlepoint_specification": SPEC})
        good, bad = add(api, kind="optimization", molecules=[make_molecule(), make_molecule(symbols=["He"] * 3)])
        claim_and_return(Manager(api))
        follow(conninfo, kinds)
        assert list(made(api, rule)) == [good]
        (failed,) = api.get(f"records/{bad}/follow_ons")["led_to"]
        assert (failed["state"], failed["problem"]) == ("failed", "More than two atoms")
        tick(conninfo, kinds)
        assert api.statuses(list(made(api, rule).values())) == ["running"]
        assert len(claim_and_return(Manager(api, tags=["follow"]))) == 1
        tick(conninfo, kinds)
        assert api.statuses(list(made(api, rule).values())) == ["complete"]


# --- what came from what ------------------------------------------------------------------------------------------


def test_both_sides_show_what_came_from_what(archive: Archive, api: Http) -> None:
    rule = add_rule(api)
    source = complete(api, "optimization")
    follow(archive.conninfo)
    ((_, record_id),) = made(api, rule).items()
    (led_to,) = api.get(f"records/{source}/follow_ons")["led_to"]
    (came_from,) = api.get(f"records/{record_id}/follow_ons")["came_from"]
    assert led_to == came_from
    assert (led_to["rule"], led_to["source_id"], led_to["record_id"]) == ("hessians", source, record_id)
    assert api.get("records/999/follow_ons") == {"came_from": [], "led_to": []}


@pytest.mark.parametrize("action", ["cancel", "delete", "remove", "invalidate"])
def test_what_happens_to_the_one_leaves_the_other_alone(archive: Archive, api: Http, action: str) -> None:
    rule = add_rule(api)
    first, second = (complete(api, "optimization") for _ in range(2))
    follow(archive.conninfo)
    of_first, of_second = (made(api, rule)[i] for i in (first, second))
    do(api, action, first)
    do(api, action, of_second)
    assert api.statuses([of_first, second]) == ["waiting", "complete"]
    assert follow(archive.conninfo) == 0
    assert made(api, rule) == {first: of_first, second: of_second}


# --- people -------------------------------------------------------------------------------------------------------


def test_what_a_rule_makes_belongs_to_who_added_it_and_stops_with_their_rights(databases: Any) -> None:
    with secure(databases) as archive, contextlib.ExitStack() as logged_in:
        person, admin = (
            logged_in.enter_context(as_user(archive.address, name)) for name in ("submit_user", "admin_user")
        )
        rule = add_rule(person)
        assert rule["owner"] == "submit_user"
        add_rule(admin, enabled=False)  # names are each person's own
        sources = [_complete_one(admin) for _ in range(2)]
        follow(archive.conninfo, settings=SECURE)
        assert {admin.record(i)["owner_user"] for i in made(admin, rule).values()} == {"submit_user"}
        me = admin.get("users/submit_user")
        for change, said in (({"role": "read"}, "may not add records"), ({"enabled": False}, "disabled")):
            admin.ask("PATCH", "/api/v1/users", {**me, **change})
            _complete_one(admin)
            assert follow(archive.conninfo, settings=SECURE) == 0
            assert said in admin.get(f"rules/{rule['id']}")["problem"]
        admin.ask("PATCH", "/api/v1/users", me)
        assert follow(archive.conninfo, settings=SECURE) == 2
        assert len(made(admin, rule)) == len(sources) + 2
        found = admin.post("rules/query", {"owner_user": ["submit_user"], "enabled": True, "name": ["hessians"]})
        assert [one["id"] for one in found] == [rule["id"]]


def _complete_one(admin: Http) -> int:
    return complete(admin, "optimization")


def test_an_api_token_for_some_tags_makes_rules_for_these(databases: Any) -> None:
    from tests.accounts import api_token, as_token

    with secure(databases) as archive, as_user(archive.address, "submit_user") as person:
        token, _ = api_token(person, scope="unlimited?tag=follow")
        with as_token(archive.address, token) as limited:
            add_rule(limited)
            body = {"name": "x", "filter": {"record_type": ["optimization"]}, "compute_tag": "other"}
            body |= {"record_type": "singlepoint", "specification": HESSIAN}
            assert limited.refused("POST", "/api/v1/rules", body).reply["code"] == "forbidden"


def test_a_rule_shows_what_it_does(shared_api: Http) -> None:
    rule = add_rule(shared_api, "shown", backfill=True)
    assert rule == shared_api.get(f"rules/{rule['id']}")
    assert rule["filter"]["record_type"] == ["optimization"]
    assert rule["specification"]["driver"] == "hessian"
    assert (rule["compute_tag"], rule["compute_priority"], rule["find_existing"]) == ("follow", 1, True)
    refusal = shared_api.refused("PATCH", f"/api/v1/rules/{rule['id']}", {"enabled": False, "backfill": True})
    assert refusal.reply["code"] == "invalid_rule"
