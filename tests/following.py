"""Follow-on rules for tests: adding them, and doing what they say when a test wants it, as upkeep would at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from qchive.db.pool import Database
from qchive.kinds import KINDS, Kind
from qchive.server.settings import Settings
from qchive.server.upkeep.rules import Follower
from tests.factories import SPEC, Http

HESSIAN: dict[str, Any] = {**SPEC, "driver": "hessian"}
OF_OPTIMIZATIONS: dict[str, Any] = {"record_type": ["optimization"]}


def add_rule(api: Http, name: str = "hessians", filter: Any = None, **more: Any) -> dict[str, Any]:
    """A new rule: Hessians of optimizations, unless said otherwise."""
    body = {
        "name": name,
        "filter": OF_OPTIMIZATIONS if filter is None else filter,
        "record_type": "singlepoint",
        "specification": HESSIAN,
        "compute_tag": "follow",
        **more,
    }
    return api.post("rules", body)  # type: ignore[no-any-return]


def follow(conninfo: str, kinds: Mapping[str, Kind] = KINDS, settings: Settings | None = None, at_once: int = 1) -> int:
    """Do all that rules say until nothing is left, by several runners at once; how many records were followed."""

    async def one() -> int:
        db = Database(conninfo, size=3)
        await db.open()
        try:
            return await Follower(db, settings or Settings(), kinds).round()
        finally:
            await db.close()

    async def all_of_them() -> int:
        return sum(await asyncio.gather(*(one() for _ in range(at_once))))

    return asyncio.run(all_of_them())


def made(api: Http, rule: Mapping[str, Any]) -> dict[int, int]:
    """What a rule made or found, by what it followed."""
    found = api.post(f"rules/{rule['id']}/follow_ons", {})
    return {one["source_id"]: one["record_id"] for one in found if one["record_id"] is not None}


def numbers(api: Http, rule: Mapping[str, Any]) -> dict[str, int]:
    """How far a rule is: what is not zero."""
    shown = api.get(f"rules/{rule['id']}")
    return {name: n for name in ("waiting", "made", "found", "failed", "looped") if (n := shown[name])}
