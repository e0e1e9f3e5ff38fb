"""Faults of our own: people get an id to ask about, managers are hung up on, the server goes on."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest
from tests.factories import Http, Manager, add, make_result, sql


def test_an_unforeseen_error_has_an_id_that_stands_in_the_log(
    archive: Any, api: Http, caplog: pytest.LogCaptureFixture
) -> None:
    sql(archive.conninfo, "ALTER TABLE comment RENAME TO gone")
    with caplog.at_level(logging.ERROR, "qchive.server"):
        refusal = api.refused("GET", f"/api/v1/records/{add(api)[0]}", include="comments")
    assert (refusal.status, refusal.reply["code"]) == (500, "internal_error")
    assert str(refusal.reply["error_id"]) in refusal.reply["msg"]
    assert "comment" not in refusal.reply["msg"], "what went wrong is nobody's business but the admin's"
    assert str(refusal.reply["error_id"]) in caplog.text
    assert 'relation "comment" does not exist' in caplog.text
    assert api.post("records/query", {}) == [1]


def test_a_manager_is_hung_up_on_instead_of_being_told_an_error_that_would_end_it(archive: Any, api: Http) -> None:
    (record_id,) = add(api)
    manager = Manager(api)
    (task,) = manager.claim()
    sql(archive.conninfo, "ALTER TABLE worker RENAME TO gone")
    for ask in (manager.claim, manager.beat, lambda: manager.give({task["id"]: make_result(task)})):
        with pytest.raises(httpx.TransportError):
            ask()
    sql(archive.conninfo, "ALTER TABLE gone RENAME TO worker")
    assert manager.give_one(task["id"], make_result(task)) is None
    assert api.statuses([record_id]) == ["complete"]


def test_an_error_that_comes_again_each_time_is_not_tried_again(archive: Any, api: Http) -> None:
    sql(
        archive.conninfo,
        "CREATE FUNCTION full() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE program_limit_exceeded USING MESSAGE = 'index row size exceeds maximum'; END $$",
    )
    sql(archive.conninfo, "CREATE TRIGGER t BEFORE INSERT ON molecule FOR EACH ROW EXECUTE FUNCTION full()")
    refusal = api.refused("POST", "/api/v1/molecules/bulkCreate", [{"symbols": ["He"], "geometry": [0, 0, 0]}])
    assert refusal.status == 500


def test_a_deadlock_is_tried_again(archive: Any, api: Http) -> None:
    sql(archive.conninfo, "CREATE SEQUENCE tries")
    sql(
        archive.conninfo,
        "CREATE FUNCTION twice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('tries') < 3 THEN RAISE deadlock_detected; END IF; RETURN NEW; END $$",
    )
    sql(archive.conninfo, "CREATE TRIGGER t BEFORE INSERT ON record FOR EACH ROW EXECUTE FUNCTION twice()")
    assert add(api) == [3]
    assert sql(archive.conninfo, "SELECT last_value FROM tries") == [(3,)]


def test_what_only_postgresql_refuses_costs_its_neighbours_nothing(archive: Any, api: Http) -> None:
    sql(archive.conninfo, "ALTER TABLE result ADD CHECK (octet_length(properties) < 500)")
    add(api, 3)
    manager = Manager(api)
    tasks = manager.claim()
    results = {t["id"]: make_result(t) for t in tasks}
    results[tasks[1]["id"]]["properties"] = {"long": "x" * 600}
    answer = manager.give(results)
    assert answer["accepted_ids"] == [tasks[0]["id"], tasks[2]["id"]]
    assert answer["rejected_info"][0][1].startswith("Internal server error")
    assert api.statuses([t["record_id"] for t in tasks]) == ["complete", "error", "complete"]
