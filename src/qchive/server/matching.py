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
    if not _handles(need, offer, strict=strict):
        return f'Manager does not handle tag "{need.tag}"'
    return None


def advice(need: Need, offers: Sequence[Offer], *, strict: bool) -> str | None:
    """What stands in the way of a task that none of the managers would run; None if one would."""
    able = [offer for offer in offers if need.programs <= set(offer.programs)]
    right = [offer for offer in able if not unmet(need.versions, offer.programs)]
    if not able:
        missing = need.programs - {name for offer in offers for name in offer.programs} or need.programs
        return f"No active manager has {', '.join(sorted(missing))}: start one where it is installed"
    if not right:
        there: dict[str, set[str]] = {name: set() for name in need.versions}
        for name, versions in there.items():
            versions.update(*(offer.programs.get(name, ()) for offer in able))
        wrong = unmet(need.versions, {name: sorted(versions) for name, versions in there.items()})
        wanted = wrong or [f"{name} {demand}" for name, demand in need.versions.items()]
        return f"No active manager has the versions demanded ({'; '.join(wanted)}): start one that has"
    if not any(_handles(need, offer, strict=strict) for offer in right):
        tags = ", ".join(sorted({tag for offer in right for tag in offer.tags}))
        return (
            f'No active manager that could run it handles tag "{need.tag}", only {tags}: start one, or change the tag'
        )
    return None


def _handles(need: Need, offer: Offer, *, strict: bool) -> bool:
    return need.tag is None or need.tag in offer.tags or (not strict and "*" in offer.tags)


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
