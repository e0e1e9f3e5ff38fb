"""Follow-on rules: when a record that fits a filter completes, a given specification is submitted on its final
molecule. Ours; other servers of the protocol have nothing like it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from qchive.api.endpoint import Body, Count, Endpoint, Queue, Text
from qchive.api.records import Selection
from qchive.kinds.kind import Id
from qchive.status import PriorityEnum
from qchive.wire import Json

MOST = 1000
"""How many rules or follow-ons an answer lists at most."""

RuleName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$", examples=["hessians"])]
"""What a rule is called; its owner has no other of that name."""


class RuleAdd(Queue, kw_only=True):
    """A new rule: which records it follows, and what it submits of each."""

    name: RuleName
    filter: Selection
    """Which records; of these, it follows the complete ones."""
    record_type: Text
    """The kind of what is submitted: one that computes one molecule."""
    specification: dict[str, Any]
    """That of what is submitted."""
    find_existing: bool = True
    """Whether a computation that is there already is used, or done again."""
    backfill: bool = False
    """Whether it also follows what is complete already."""
    enabled: bool = True


class RulePreview(msgspec.Struct, kw_only=True):
    """What a rule would find."""

    complete: Count
    """How many complete records fit its filter now."""


class Rule(msgspec.Struct, kw_only=True):
    """A follow-on rule, and how far it is."""

    id: int
    name: str
    owner: str | None
    """To whom all belongs that it makes: who added it."""
    filter: Json
    """Which records it follows."""
    record_type: str
    """The kind of what it submits."""
    specification: Json
    compute_tag: str
    compute_priority: PriorityEnum
    find_existing: bool
    enabled: bool
    created_on: datetime
    looking_back: bool
    """Whether it still looks through what was complete before."""
    waiting: int
    """Records that it follows, for which nothing has been submitted yet."""
    made: int
    """Records that it followed with a new record."""
    found: int
    """Records that it followed with one that was there already."""
    failed: int
    """Records of which it cannot make anything."""
    looped: int
    """Records that it did not follow because they came from it."""
    problem: str | None
    """Why it submits nothing just now."""


class RuleChange(Body, kw_only=True):
    """Enable or disable a rule."""

    enabled: bool
    backfill: bool = False
    """Whether it also follows what is complete already; else only what completes from now on."""


class RuleQuery(Body, kw_only=True):
    """Rules, newest first; AND between filters, OR inside a list."""

    name: list[Text] | None = None
    owner_user: list[int | Text] | None = None
    enabled: bool | None = None
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 100
    cursor: Id | None = None


class FollowOn(msgspec.Struct, kw_only=True):
    """That a rule followed a record, and what came of it."""

    rule_id: int
    rule: str
    """Its name."""
    source_id: int
    """The record that was followed."""
    record_id: int | None
    """The record that came of it; None if there is none."""
    state: str
    """`made`, `found` there already, `waiting` to be submitted, `failed`, or `looped`: left alone because it came from
    the rule itself."""
    problem: str | None
    """Why there is no record."""
    time: datetime


class Provenance(msgspec.Struct, kw_only=True):
    """What rules have to do with a record."""

    came_from: list[FollowOn]
    """What it was submitted for, the oldest first."""
    led_to: list[FollowOn]
    """What was submitted because it completed, the oldest first."""


class RuleSlice(Body, kw_only=True):
    """Part of a list that is ordered by the ids of the records followed: those above the cursor."""

    limit: Annotated[int, Meta(ge=0, le=MOST)] = MOST
    cursor: Id = 0


def _row(name: str, method: str, path: str, may: str, answer: Any, doc: str, **more: Any) -> Endpoint:
    return Endpoint(
        name=f"rules.{name}", method=method, path=f"/api/v1/{path}", may=may, answer=answer, doc=doc, **more
    )


_EXAMPLE = {
    "name": "hessians",
    "filter": {"record_type": ["optimization"], "method": ["gfn2-xtb"]},
    "record_type": "singlepoint",
    "specification": {"program": "tblite", "driver": "hessian", "method": "gfn2-xtb", "basis": None},
}

PREVIEW = _row(
    "preview",
    "POST",
    "rules/preview",
    "records:add",
    RulePreview,
    "Check a rule without adding it, and count what it would find complete now.",
    body=RuleAdd,
    example=_EXAMPLE,
)
ADD = _row("add", "POST", "rules", "records:add", Rule, "Add a follow-on rule.", body=RuleAdd, example=_EXAMPLE)
QUERY = _row(
    "query", "POST", "rules/query", "records:read", list[Rule], "Rules, newest first.", body=RuleQuery, example={}
)
GET = _row("get", "GET", "rules/{rule_id:int}", "records:read", Rule, "A rule, and how far it is.")
CHANGE = _row(
    "change", "PATCH", "rules/{rule_id:int}", "records:modify", Rule, "Enable or disable a rule.", body=RuleChange
)
REMOVE = _row(
    "remove",
    "DELETE",
    "rules/{rule_id:int}",
    "records:modify",
    None,
    "Remove a rule. What it made stays, and so does what that came from.",
)
FOLLOW_ONS = _row(
    "follow_ons",
    "POST",
    "rules/{rule_id:int}/follow_ons",
    "records:read",
    list[FollowOn],
    "What a rule followed, and what came of it.",
    body=RuleSlice,
)
OF_RECORD = _row(
    "of_record",
    "GET",
    "records/{record_id:int}/follow_ons",
    "records:read",
    Provenance,
    "What a record came from by follow-on rules, and what came from it.",
)

ENDPOINTS = (PREVIEW, ADD, QUERY, GET, CHANGE, REMOVE, FOLLOW_ONS, OF_RECORD)
