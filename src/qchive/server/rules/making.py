"""What rules make: a record of each record that they follow, with the rule's specification, on its final molecule.

A batch in one transaction, which also notes what came from what: so it is done once, or not at all and again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from qchive.db import specifications, statements
from qchive.db.pool import Connection, Database
from qchive.errors import Forbidden
from qchive.kinds import Kind
from qchive.kinds.kind import FINAL_MOLECULE, InputRefused, Part
from qchive.server import access, adding
from qchive.server.settings import Settings

BATCH = 500
"""Records in one transaction."""

NO_MOLECULE = "It has neither a final molecule nor only one: there is nothing to go on with"


class Cannot(Exception):
    """Why a rule makes nothing at all just now."""


class Plan(msgspec.Struct, frozen=True):
    """What a rule makes."""

    id: int
    owner: str | None
    kind: str
    specification: bytes
    tag: str
    priority: int
    find_existing: bool
    role: str | None
    """That of the owner's account; None if there is none, or it is disabled."""


async def make(db: Database, kinds: Mapping[str, Kind], settings: Settings, rule_id: int) -> int:
    """Make records of some of what a rule follows; how many of these are done with.

    Raises:
        Cannot: the rule makes nothing; why is for its state.
    """

    async def work(conn: Connection) -> int:
        plans = await statements.rows(conn, "rules/plan", Plan, id=rule_id)
        if not plans:
            return 0  # disabled meanwhile
        order = _order(plans[0], kinds, settings)
        waiting = await statements.tuples(conn, "rules/open", rule_id=rule_id, limit=BATCH)
        gone = [i for i, status in waiting if status != "complete"]
        if gone:
            await statements.execute(conn, "rules/forget", rule_id=rule_id, ids=gone)
        sources = [i for i, status in waiting if status == "complete"]
        if sources:
            await _make(conn, rule_id, order, sources)
        return len(waiting)

    return await db.run(work)


def _order(plan: Plan, kinds: Mapping[str, Kind], settings: Settings) -> adding.Order:
    if plan.kind not in kinds:
        raise Cannot(f"This server does not know records of type {plan.kind}")
    if settings.secure and plan.owner is not None:
        _check(plan)
    kind = kinds[plan.kind]
    specification = msgspec.json.decode(plan.specification, type=kind.specification)
    prepared = specifications.prepare(kind, specification)
    return adding.Order(prepared, {}, plan.tag, plan.priority, plan.find_existing, plan.owner)


def _check(plan: Plan) -> None:
    """A rule does what its owner may do, and nothing any more when that person may not."""
    if plan.role is None:
        raise Cannot(f"Its owner, {plan.owner}, has no account any more, or it is disabled")
    try:
        access.check(access.Caller(plan.role, plan.owner), "records:add")
    except Forbidden:
        raise Cannot(f"Its owner, {plan.owner}, may not add records any more") from None


async def _make(conn: Connection, rule_id: int, order: adding.Order, sources: Sequence[int]) -> None:
    found = await statements.tuples(conn, "rules/molecules", ids=list(sources), final=FINAL_MOLECULE)
    parts = order.specification.kind.inputs.parts
    refused = {source: NO_MOLECULE for source, molecule in found if molecule is None}
    of = [source for source, molecule in found if molecule is not None]
    placed = [list(parts(molecule)) for _, molecule in found if molecule is not None]
    fit: dict[int, Sequence[Part]] = {}
    for source, group in zip(of, await adding.settle(conn, order, placed), strict=True):
        if isinstance(group, InputRefused):
            refused[source] = str(group)
        else:
            fit[source] = group
    meta, ids = await adding.put(conn, order, list(fit.values()))
    new = set(meta.inserted_idx)
    await statements.execute(
        conn,
        "rules/made",
        rule_id=rule_id,
        source_ids=[*fit, *refused],
        made_ids=[*ids, *(None for _ in refused)],
        states=[*("made" if n in new else "found" for n in range(len(fit))), *("failed" for _ in refused)],
        problems=[*(None for _ in fit), *refused.values()],
    )
