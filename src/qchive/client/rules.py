"""Follow-on rules: what is submitted by itself when records complete."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import index
from typing import Any

from qchive import wire
from qchive.api import rules as api
from qchive.api.records import Selection
from qchive.api.rules import FollowOn
from qchive.client import tables
from qchive.client.given import filters, plain, without_nothing
from qchive.client.iterators import WholeQueryIterator
from qchive.client.outputs import value_of
from qchive.client.session import Session
from qchive.errors import NotFound
from qchive.kinds import KINDS
from qchive.status import PriorityEnum


class Rule:
    """A follow-on rule as it stood when it was asked for; `refresh()` asks again.

    Beside those below, a rule has what `qchive.api.rules.Rule` lists: `id`, `name`, `owner`, `record_type`,
    `compute_tag`, `compute_priority`, `find_existing`, `enabled`, `created_on`, `looking_back`; how many records are
    `waiting` to be followed, were followed by a new record (`made`) or by one that was there already (`found`), cannot
    be followed (`failed`), or came from the rule itself (`looped`); and, if it submits nothing just now, the `problem`.
    """

    def __init__(self, document: api.Rule, client: RuleCalls) -> None:
        self._document = document
        self._client = client

    def __getattr__(self, name: str) -> Any:
        if name not in api.Rule.__struct_fields__:
            raise AttributeError(f"a rule has no {name}")
        return getattr(self._document, name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *api.Rule.__struct_fields__]

    def __repr__(self) -> str:
        r = self._document
        state = "enabled" if r.enabled else "disabled"
        return (
            f"<{type(self).__name__} id={r.id} {r.name!r} {state}: {r.made} made, {r.found} found, {r.failed} failed>"
        )

    def _repr_html_(self) -> str:
        pairs = ((name, getattr(self, name)) for name in api.Rule.__struct_fields__)
        return tables.facts(f"Rule {self._document.name}", ((k, v) for k, v in pairs if v is not None))

    @property
    def filter(self) -> dict[str, Any]:
        """Which records it follows."""
        found: dict[str, Any] = value_of(self._document.filter)
        return {name: value for name, value in found.items() if value is not None}

    @property
    def specification(self) -> Any:
        """What it submits."""
        kind = KINDS.get(self._document.record_type)
        return wire.decode(self._document.specification.text, kind.specification if kind else dict)

    def refresh(self) -> None:
        """Ask the server how it stands now."""
        self._document = self._client.connection.ask(api.GET, rule_id=self._document.id)

    def follow_ons(self) -> Iterator[FollowOn]:
        """What it followed and what came of it, in the order of the records followed."""
        cursor = 0
        while True:
            body = api.RuleSlice(cursor=cursor)
            found = self._client.connection.ask(api.FOLLOW_ONS, body=body, rule_id=self._document.id)
            yield from found
            if len(found) < body.limit:
                return
            cursor = found[-1].source_id

    def enable(self, backfill: bool = False) -> None:
        """Let it follow what completes from now on; with `backfill` also what is complete already."""
        self._change(enabled=True, backfill=backfill)

    def disable(self) -> None:
        """Let it follow and submit nothing until it is enabled again."""
        self._change(enabled=False)

    def remove(self) -> None:
        """Remove it. What it made stays."""
        self._client.connection.ask(api.REMOVE, rule_id=self._document.id)

    def _change(self, **change: bool) -> None:
        self._document = self._client.connection.ask(api.CHANGE, body=change, rule_id=self._document.id)


class RuleQueryIterator(WholeQueryIterator):
    """Rules that fit a query."""


class RuleCalls(Session):
    """Rules that submit computations by themselves when others complete. Servers of QCHive only."""

    def add_rule(
        self,
        name: str,
        filter: Mapping[str, Any],
        record_type: str,
        specification: Any,
        *,
        compute_tag: str = "*",
        compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
        find_existing: bool = True,
        backfill: bool = False,
        enabled: bool = True,
    ) -> Rule:
        """From now on, whenever a record that fits `filter` completes, submit a `record_type` (`singlepoint` or
        `optimization`) with this specification on its final molecule, or on its only one.

        The filter is what `query_records` takes. Each record is followed once. `backfill` follows also what is complete
        already; `preview_rule` says how much that is. What is submitted belongs to whoever adds the rule.

        Raises:
            TypeError: a filter that does not exist.
            InvalidRule: the name is taken, or the rule would follow what it makes itself.
            InvalidSpecification: a specification that makes no sense.
            UnknownKind: there is no such kind.
        """
        body = _body(
            name, filter, record_type, specification, compute_tag, compute_priority, find_existing, backfill, enabled
        )
        return Rule(self.connection.ask(api.ADD, body=body, repeatable=False), self)

    def preview_rule(
        self, name: str, filter: Mapping[str, Any], record_type: str, specification: Any, **options: Any
    ) -> int:
        """How many complete records fit the filter of a rule that has not been added: what it would follow at once with
        `backfill`. Arguments and errors are those of `add_rule`; nothing is added."""
        body = _body(name, filter, record_type, specification, **options)
        found: api.RulePreview = self.connection.ask(api.PREVIEW, body=body)
        return found.complete

    def query_rules(self, *, limit: int | None = None, **given: Any) -> RuleQueryIterator:
        """Rules that fit, newest first. Filters: `name` and `owner_user`, one or several values each; `enabled`.

        Raises:
            TypeError: a filter that does not exist.
        """
        wanted = filters(api.RuleQuery, given, single=("enabled",))

        def page(size: int, cursor: int | None) -> list[Rule]:
            body = without_nothing(api.RuleQuery(**wanted, limit=size, cursor=cursor))
            return [Rule(one, self) for one in self.connection.ask(api.QUERY, body=body)]

        return RuleQueryIterator(page, limit, api.MOST // 4)

    def get_rule(self, rule: Rule | int | str) -> Rule:
        """One rule, by its id or its name; of several of one name, which belong to different people, one's own.

        Raises:
            NotFound: it does not exist, or several of that name do and none is one's own.
        """
        if isinstance(rule, Rule):
            return rule
        if not isinstance(rule, str):
            return Rule(self.connection.ask(api.GET, rule_id=index(rule)), self)
        found = list(self.query_rules(name=rule))
        own = [one for one in found if one.owner == self.username]
        if len(found) == 1 or own:
            chosen: Rule = (own or found)[0]
            return chosen
        ids = [one.id for one in found]
        which = f"There are several rules {rule!r}: say which one by its id" if found else f"There is no rule {rule!r}"
        raise NotFound(which, ids=ids)

    def enable_rule(self, rule: Rule | int | str, backfill: bool = False) -> Rule:
        """Enable a rule, by its id or name; see `Rule.enable`."""
        found = self.get_rule(rule)
        found.enable(backfill)
        return found

    def disable_rule(self, rule: Rule | int | str) -> Rule:
        """Disable a rule, by its id or name; see `Rule.disable`."""
        found = self.get_rule(rule)
        found.disable()
        return found

    def remove_rule(self, rule: Rule | int | str) -> None:
        """Remove a rule, by its id or name. What it made stays, and says what it came from."""
        self.get_rule(rule).remove()

    def get_follow_ons(self, record_id: int) -> api.Provenance:
        """What a record came from by rules (`came_from`), and what came from it (`led_to`)."""
        found: api.Provenance = self.connection.ask(api.OF_RECORD, record_id=index(record_id))
        return found


def _body(
    name: str,
    filter: Mapping[str, Any],
    record_type: str,
    specification: Any,
    compute_tag: str = "*",
    compute_priority: PriorityEnum | str | int = PriorityEnum.normal,
    find_existing: bool = True,
    backfill: bool = False,
    enabled: bool = True,
) -> dict[str, Any]:
    return {
        "name": name,
        "filter": without_nothing(Selection(**filters(Selection, filter))),
        "record_type": record_type,
        "specification": plain(specification),
        "compute_tag": compute_tag,
        "compute_priority": PriorityEnum.of(compute_priority).value,
        "find_existing": find_existing,
        "backfill": backfill,
        "enabled": enabled,
    }
