"""Whether a compute manager would run a task: one answer for claiming, `waiting_reason` and `queryActive`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version


class Need(msgspec.Struct, frozen=True):
    """What a task needs: programs, versions of them (name → PEP 440 specifier), and its tag (None: any)."""

    programs: frozenset[str]
    versions: Mapping[str, str]
    tag: str | None


class Offer(msgspec.Struct, frozen=True):
    """What a manager offers: program → versions, and its tags."""

    programs: Mapping[str, Sequence[str]]
    tags: Sequence[str]


def objection(need: Need, offer: Offer, *, strict: bool) -> str | None:
    """Why the manager would not run the task, or None if it would. `strict`: the tag `*` is only itself."""
    missing = need.programs - set(offer.programs)
    if missing:
        return f"Manager missing programs: {{{', '.join(map(repr, sorted(missing)))}}}"
    wrong = unmet(need.versions, offer.programs)
    if wrong:
        return "Manager has other versions: " + ", ".join(wrong)
    if need.tag is not None and need.tag not in offer.tags and (strict or "*" not in offer.tags):
        return f'Manager does not handle tag "{need.tag}"'
    return None


def unmet(demands: Mapping[str, str], offered: Mapping[str, Sequence[str]]) -> list[str]:
    """The version demands that none of the offered versions meets, as text."""
    return [
        f"{name} {demand} wanted, {' '.join(offered.get(name, ())) or 'none'} there"
        for name, demand in demands.items()
        if not any(_meets(version, demand) for version in offered.get(name, ()))
    ]


def _meets(version: str, demand: str) -> bool:
    try:
        return SpecifierSet(demand).contains(Version(version), prereleases=True)
    except InvalidVersion:
        return False
