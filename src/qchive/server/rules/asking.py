"""Follow-on rules as people see them: added, looked at, enabled and disabled, removed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from qchive import wire
from qchive.api import rules as api
from qchive.api.records import Selection
from qchive.db import specifications, statements, where
from qchive.db.pool import Connection
from qchive.db.specifications import Prepared
from qchive.errors import InvalidRule, InvalidSpecification, NotFound, UnknownKind
from qchive.kinds.kind import Facets
from qchive.server import access
from qchive.server.context import Context
from qchive.server.rules.channel import CHANNEL
from qchive.status import PriorityEnum, RecordStatusEnum
from qchive.wire import Json

_OF_FAILURES = ("error_class", "error_type", "error_text", "fingerprint")
_OF_FACETS = {"program": "qc_program", "driver": "driver", "method": "method", "basis": "basis"}
_NEVER_NEW = ("record_id", "parent_id", "child_id", "dataset_id", "project_id")
"""Filters that nothing fits which a rule has just made."""


async def preview(ctx: Context, body: api.RuleAdd) -> api.RulePreview:
    """Check a rule without adding it, and count the complete records that fit its filter."""
    _checked(ctx, body)

    async def work(conn: Connection) -> list[int]:
        return await statements.composed(conn, *where.followable(body.filter))

    return api.RulePreview(complete=(await ctx.db.read(work))[0])


async def add(ctx: Context, body: api.RuleAdd) -> api.Rule:
    """Add a rule. It belongs to whoever asks, and so does what it makes."""
    specification = _checked(ctx, body)

    async def work(conn: Connection) -> api.Rule:
        spec_id = (await specifications.ensure(conn, [specification]))[specification.hash]
        added = await statements.column(
            conn,
            "rules/add",
            name=body.name,
            owner=ctx.caller.username,
            filter=msgspec.json.encode(body.filter).decode(),
            kind=body.record_type,
            spec_id=spec_id,
            tag=body.queue_tag or "*",
            priority=int(PriorityEnum.normal if body.queue_priority is None else body.queue_priority),
            find_existing=body.find_existing,
            enabled=body.enabled,
            backfill=body.backfill,
        )
        if not added:
            raise InvalidRule(f"There is a rule {body.name!r} already: choose another name, or remove that one first")
        await statements.execute(conn, "rules/notify", channel=CHANNEL)
        return await _one(conn, added[0])

    return await ctx.db.run(work)


def _checked(ctx: Context, body: api.RuleAdd) -> Prepared:
    """The specification of a rule that can do what it says.

    Raises:
        UnknownKind, InvalidSpecification, InvalidRule: it cannot; the message says why.
        Forbidden: the API token is limited to other compute tags.
    """
    kind = ctx.kinds.get(body.record_type)
    fit = [k.name for k in ctx.kinds.values() if not k.internal and k.inputs.single]
    if kind is None:
        raise UnknownKind(f"There is no kind {body.record_type!r}: use {' or '.join(fit)}", kind=body.record_type)
    if kind.name not in fit:
        raise InvalidRule(f"A {kind.name} is not about one molecule: a rule can submit {' or '.join(fit)}")
    access.check_tag(ctx.caller, body.queue_tag or "*")
    try:
        given = msgspec.convert(body.specification, kind.specification)
    except (msgspec.ValidationError, ValueError, RecursionError) as problem:
        raise InvalidSpecification(f"No {kind.name} has such a specification: {problem}") from problem
    specification = specifications.prepare(kind, given)
    _check_filter(body.filter)
    if _fits_itself(ctx, body, specification.facets):
        raise InvalidRule(
            f"What this rule makes would fit its own filter, so it would never end: narrow the filter, for instance by "
            f"record_type, method or compute_tag, so that no such {kind.name} fits"
        )
    return specification


def _check_filter(selection: Selection) -> None:
    if selection.status is not None and RecordStatusEnum.complete not in selection.status:
        raise InvalidRule("A rule follows complete records only: leave status out of its filter")
    if useless := [name for name in _OF_FAILURES if getattr(selection, name) is not None]:
        raise InvalidRule(f"A rule follows complete records, which have no {', '.join(useless)}: leave that out")


def _fits_itself(ctx: Context, body: api.RuleAdd, facets: Facets) -> bool:
    """Whether what a rule makes will certainly fit its filter."""
    given = {name: v for name in body.filter.__struct_fields__ if (v := getattr(body.filter, name)) is not None}
    if any(name in given for name in _NEVER_NEW):
        return False
    now = datetime.now(UTC)
    if any(wire.utc(given[name]) < now for name in ("created_before", "modified_before") if name in given):
        return False
    user = {str(ctx.caller.username).lower(), str(ctx.caller.user_id)}
    asked: dict[str, set[Any]] = {
        "record_type": {body.record_type},
        "compute_tag": {body.queue_tag or "*"},
        "owner_user": user,
        "creator_user": user,
        **{name: {getattr(facets, of) or ""} for name, of in _OF_FACETS.items()},
    }
    # Who will compute it is not known; everything else that can be asked for, it is.
    known = all(asked[name] & {str(v or "").lower() for v in given[name]} for name in asked if name in given)
    return known and not {"manager_name", "history_manager_name"} & given.keys()


async def query(ctx: Context, body: api.RuleQuery) -> list[api.Rule]:
    """Rules that fit, newest first."""

    async def work(conn: Connection) -> list[api.Rule]:
        return await _rules(conn, await statements.composed(conn, *where.rules(body, body.limit)))

    return await ctx.db.read(work)


async def get(ctx: Context, rule_id: int) -> api.Rule:
    """One rule."""
    return await ctx.db.read(lambda conn: _one(conn, rule_id))


async def change(ctx: Context, body: api.RuleChange, rule_id: int) -> api.Rule:
    """Enable or disable a rule."""
    if body.backfill and not body.enabled:
        raise InvalidRule("A rule that is disabled follows nothing: leave backfill out")

    async def work(conn: Connection) -> api.Rule:
        await statements.execute(conn, "rules/change", id=rule_id, enabled=body.enabled, backfill=body.backfill)
        await statements.execute(conn, "rules/notify", channel=CHANNEL)
        return await _one(conn, rule_id)

    return await ctx.db.run(work)


async def remove(ctx: Context, rule_id: int) -> None:
    """Remove a rule; what it made stays."""

    async def work(conn: Connection) -> None:
        if not await statements.column(conn, "rules/remove", id=rule_id):
            raise _unknown(rule_id)

    await ctx.db.run(work)


async def follow_ons(ctx: Context, body: api.RuleSlice, rule_id: int) -> list[api.FollowOn]:
    """What a rule followed, and what came of it."""

    async def work(conn: Connection) -> list[api.FollowOn]:
        await _one(conn, rule_id)
        return await statements.rows(
            conn, "rules/follow_ons", api.FollowOn, rule_id=rule_id, after=body.cursor, limit=body.limit
        )

    return await ctx.db.read(work)


async def of_record(ctx: Context, record_id: int) -> api.Provenance:
    """What a record came from by rules, and what came from it; also of a record that is there no more."""

    async def work(conn: Connection) -> list[api.FollowOn]:
        return await statements.rows(conn, "rules/of_record", api.FollowOn, id=record_id, limit=api.MOST)

    found = await ctx.db.read(work)
    return api.Provenance(
        came_from=[one for one in found if one.record_id == record_id],
        led_to=[one for one in found if one.source_id == record_id],
    )


async def _one(conn: Connection, rule_id: int) -> api.Rule:
    found = await _rules(conn, [rule_id])
    if not found:
        raise _unknown(rule_id)
    return found[0]


def _unknown(rule_id: int) -> NotFound:
    return NotFound(f"There is no rule {rule_id}", ids=[rule_id])


async def _rules(conn: Connection, ids: list[int]) -> list[api.Rule]:
    rows: list[dict[str, Any]] = await statements.rows(conn, "rules/get", dict, ids=ids)
    return [
        api.Rule(
            **{
                **row,
                "filter": Json(row["filter"].encode()),
                "specification": Json(row["specification"]),
                "compute_priority": PriorityEnum(row["compute_priority"]),
            }
        )
        for row in rows
    ]
