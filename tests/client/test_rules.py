"""Follow-on rules as people use them from Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from qchive import PortalClient
from qchive.errors import InvalidRule, NotFound, UnknownKind
from qchive.kinds.singlepoint import QCSpecification
from tests.archive import Archive
from tests.factories import Http, complete, http
from tests.following import HESSIAN, follow

FILTER = {"record_type": "optimization", "method": ["hf"]}


@pytest.fixture
def client(archive: Archive) -> Iterator[PortalClient]:
    with PortalClient(archive.address) as made:
        yield made


@pytest.fixture
def api(archive: Archive) -> Iterator[Http]:
    with http(archive.address) as made:
        yield made


def test_a_rule_is_added_followed_and_removed(archive: Archive, client: PortalClient, api: Http) -> None:
    before = complete(api, "optimization")
    assert client.preview_rule("hessians", FILTER, "singlepoint", HESSIAN) == 1
    rule = client.add_rule("hessians", FILTER, "singlepoint", HESSIAN, compute_priority="high", backfill=True)
    assert isinstance(rule.specification, QCSpecification)
    assert rule.filter == {"record_type": ["optimization"], "method": ["hf"]}
    source = complete(api, "optimization")
    follow(archive.conninfo)
    rule.refresh()
    assert (rule.made, rule.waiting, rule.looking_back) == (2, 0, False)
    first, second = rule.follow_ons()
    assert (first.source_id, second.source_id) == (before, source)
    record, made = client.get_records([source, second.record_id])
    assert record.follow_ons == made.followed_from == [second]
    assert record.followed_from == made.follow_ons == []
    assert made.molecule == record.final_molecule
    assert repr(rule) == "<Rule id=1 'hessians' enabled: 2 made, 0 found, 0 failed>"
    assert "hessians" in rule._repr_html_()
    client.remove_rule("hessians")
    assert list(client.query_rules()) == []
    assert record.follow_ons == [second]


def test_rules_are_found_by_name_and_by_id(client: PortalClient) -> None:
    rule = client.add_rule("hessians", FILTER, "singlepoint", HESSIAN)
    assert client.get_rule(rule) is rule
    assert client.get_rule("hessians").id == client.get_rule(rule.id).id == rule.id
    assert not client.disable_rule("hessians").enabled
    assert [one.id for one in client.query_rules(enabled=False, name="hessians")] == [rule.id]
    assert client.enable_rule(rule.id, backfill=True).looking_back
    assert "made" in dir(rule)
    with pytest.raises(AttributeError, match="no nonsense"):
        _ = rule.nonsense
    with pytest.raises(NotFound, match="no rule 'other'"):
        client.get_rule("other")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"filter": {}}, InvalidRule),
        ({"filter": {"nonsense": 1}}, TypeError),
        ({"record_type": "nonsense"}, UnknownKind),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_error(
    client: PortalClient, change: dict[str, Any], error: type[Exception]
) -> None:
    given: dict[str, Any] = {"name": "n", "filter": FILTER, "record_type": "singlepoint", "specification": HESSIAN}
    with pytest.raises(error):
        client.add_rule(**(given | change))
