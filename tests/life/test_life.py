"""A walk through the life of records: random requests over families, compared with the model after each step.

`make test` takes the same few walks each time. For more, and other ones each time, say how many:

    QCHIVE_WALKS=500 python -m pytest tests/life -s

The seed is printed first; `QCHIVE_WALKS_SEED=…` takes those walks again. A walk that fails is printed as the steps it
took, with a line `@reproduce_failure(…)`: written above `class Life`, it repeats exactly that walk. With
`QCHIVE_WALKS_SHORTEN=1` it is first shortened as far as possible, which takes some minutes. `QCHIVE_WAYS=100` goes as
many of the ways that are drawn evenly.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.factories import Http
from tests.life.model import STATUSES, STEPS
from tests.life.wandering import step
from tests.life.world import UNKNOWN, World

WALKS = os.environ.get("QCHIVE_WALKS")
SHORTEN = os.environ.get("QCHIVE_WALKS_SHORTEN")
STEPS_OF_A_WALK = 30
WANDERED = 80
"""Steps of a way that is drawn evenly."""

number = st.integers(0, 19)
some = st.lists(number, min_size=1, max_size=4)
tag = st.integers(0, 2)
priority = st.sampled_from([0, 1, 2])
who = st.integers(0, 2)
actions = st.sampled_from(sorted(STEPS))
results = st.sampled_from(["success", "failure", "success", "failure", "garbage"])
_walks = itertools.count(1)


class Life(RuleBasedStateMachine):
    """What people, managers and the server do to records, in any order."""

    api: ClassVar[Http]
    conn: ClassVar[psycopg.Connection[Any]]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.api, self.conn, next(_walks))
        self.model = self.world.model

    def ids(self, numbers: list[int]) -> list[int]:
        """Some of the records, also such as have been removed, or never were."""
        known = [*self.world.known, UNKNOWN]
        return [known[n % len(known)] for n in numbers]

    @invariant()
    def the_server_is_as_the_model_says(self) -> None:
        """After each step."""
        self.world.compare()
        self.model.now += 1

    @initialize(
        links=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=9),
        kinds=st.sampled_from(
            [("singlepoint", "optimization"), ("stairs", "singlepoint"), ("stairs", "towers"), ("optimization",)]
        ),
        tags=st.integers(0, 2),
        done=st.lists(results | st.just("running"), max_size=6),
    )
    def begin(self, links: list[tuple[int, int]], kinds: tuple[str, ...], tags: int, done: list[str]) -> None:
        """A family of six, some of them computed already."""
        for n in range(6):
            kind = kinds[n % len(kinds)]
            self.world.add(kind, [n], self.world.tags[n % (tags + 1)], 1, find_existing=True)
        for a, b in links:
            if a != b:
                self.world.link(self.world.known[min(a, b)], self.world.known[max(a, b)])
        self.world.tick()
        if done:
            self.world.claim(0, self.world.tags, len(done))
            given = [(t, what) for (_, t), what in zip(self.world.tasks, done, strict=False) if what != "running"]
            self.world.give(0, given)

    # --- people -----------------------------------------------------------------------------------------------

    @rule(
        kind=st.sampled_from(["singlepoint", "optimization", "stairs", "towers"]),
        numbers=st.lists(st.integers(0, 7), min_size=1, max_size=3),
        tag=tag,
        priority=priority,
        find=st.booleans(),
    )
    def add(self, kind: str, numbers: list[int], tag: int, priority: int, find: bool) -> None:
        self.world.add(kind, numbers, self.world.tags[tag], priority, find_existing=find)

    @rule(parent=number, child=number)
    def link(self, parent: int, child: int) -> None:
        a, b = self.ids([parent, child])
        if a != b and {a, b} <= self.model.records.keys():
            self.world.link(a, b)

    @rule(action=actions, on=st.sampled_from(["fit", *STATUSES]), n=number)
    def act(self, action: str, on: str, n: int) -> None:
        """On one record: one that it fits, or one of some status."""
        wanted = STEPS[action] if on == "fit" else [on]
        there = [i for i, r in sorted(self.model.records.items()) if r.status in wanted]
        if there:
            self.world.act(action, [there[n % len(there)]])

    @rule(action=actions, on=some)
    def act_on_several(self, action: str, on: list[int]) -> None:
        self.world.act(action, self.ids(on))

    @rule(on=some, children=st.booleans())
    def remove(self, on: list[int], children: bool) -> None:
        self.world.remove(self.ids(on[:1]), children=children)

    @rule(on=some, tag=st.none() | tag, priority=st.none() | priority, comment=st.none() | st.just("so"))
    def modify(self, on: list[int], tag: int | None, priority: int | None, comment: str | None) -> None:
        changes = self.changes(tag, priority, comment)
        if {"compute_tag", "compute_priority"} & set(changes):
            self.world.act("modify", self.ids(on), **changes)
        elif comment:
            self.world.act("comment", self.ids(on), **changes)

    @rule(
        action=st.sampled_from(["reset", "cancel", "invalidate"]),
        on=some,
        tag=st.none() | tag,
        priority=st.none() | priority,
        comment=st.none() | st.just("and"),
    )
    def change_several_things(
        self, action: str, on: list[int], tag: int | None, priority: int | None, comment: str | None
    ) -> None:
        self.world.act(action, self.ids(on), **self.changes(tag, priority, comment))

    def changes(self, tag: int | None, priority: int | None, comment: str | None) -> dict[str, Any]:
        new = {
            "compute_tag": None if tag is None else self.world.tags[tag],
            "compute_priority": priority,
            "comment": comment,
        }
        return {name: value for name, value in new.items() if value is not None}

    # --- by filter, and back ----------------------------------------------------------------------------------

    @rule(
        action=st.sampled_from([*sorted(STEPS), "modify", "comment", "purge"]),
        by=st.sampled_from(["tag", "id", "parent", "child", "manager"]),
        on=some,
        tags=st.lists(tag, min_size=1, max_size=3),
        status=st.none() | st.lists(st.sampled_from(STATUSES), max_size=3),
        kind=st.none() | st.sampled_from(["singlepoint", "optimization", "stairs"]),
        new=priority,
    )
    def preview(
        self, action: str, by: str, on: list[int], tags: list[int], status: Any, kind: str | None, new: int
    ) -> None:
        names = {
            "tag": ("compute_tag", [self.world.tags[t] for t in tags]),
            "id": ("record_id", self.ids(on)),
            "parent": ("parent_id", self.ids(on)),
            "child": ("child_id", self.ids(on)),
            "manager": ("manager_name", [self.world.managers[t].name for t in tags]),
        }
        wanted = dict([names[by]])
        wanted |= {} if status is None else {"status": status}
        wanted |= {} if kind is None else {"record_type": [kind]}
        new_tag = {"compute_tag": self.world.tags[new], "compute_priority": new}
        changes = {"modify": new_tag, "comment": {"comment": "all of them"}}.get(action, {})
        self.world.preview(action, wanted, **changes)

    @precondition(lambda self: self.world.looks)
    @rule(look=number, tolerance=st.sampled_from([0, 0.05, 0.5, 1]))
    def apply(self, look: int, tolerance: float) -> None:
        self.world.apply(-1 - look, tolerance)

    @precondition(lambda self: self.model.operations)
    @rule(back=st.integers(0, 30))
    def undo(self, back: int) -> None:
        """Of an earlier operation, the last ones more often."""
        operations = list(self.model.operations.values())
        self.world.undo(operations[-1 - back % len(operations)])

    @precondition(lambda self: self.model.operations)
    @rule()
    def undo_the_last(self) -> None:
        self.world.undo(list(self.model.operations.values())[-1])

    # --- managers ---------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.offers)
    @rule(who=who, tags=st.permutations([0, 1, 2]), n=st.integers(1, 3), limit=st.sampled_from([1, 2, 10]))
    def claim(self, who: int, tags: list[int], n: int, limit: int) -> None:
        self.world.claim(who, [self.world.tags[t] for t in tags[:n]], limit)

    @precondition(lambda self: self.world.tasks)
    @rule(on=st.lists(st.tuples(number, results), min_size=1, max_size=4), who=st.none() | who)
    def give(self, on: list[tuple[int, str]], who: int | None) -> None:
        """The last tasks more often; also old ones, again, and those of other managers."""
        tasks = self.world.tasks
        chosen = [(*tasks[-1 - n % len(tasks)], result) for n, result in on]
        giver = chosen[0][0] if who is None else who
        mine = [(t, result) for whose, t, result in chosen if whose == giver or who is not None]
        unique = {t["id"]: (t, result) for t, result in mine}
        self.world.give(giver, list(unique.values()))

    @rule(who=who, how=st.sampled_from(["silent", "lost", "farewell"]))
    def leave(self, who: int, how: str) -> None:
        if how == "silent":
            self.world.fall_silent(who)
        else:
            self.world.leave(who, lost=how == "lost")

    @rule()
    def tick(self) -> None:
        self.world.tick()

    @rule(result=st.sampled_from(["success", "failure"]))
    def climb(self, result: str) -> None:
        """Whatever waits first is computed, and what waited for it goes on."""
        self.world.tick()
        self.the_server_is_as_the_model_says()
        if self.world.offers:
            already = len(self.world.tasks)
            self.world.claim(0, self.world.tags, 3)
            self.the_server_is_as_the_model_says()
            self.world.give(0, [(t, result) for _, t in self.world.tasks[already:]])
            self.the_server_is_as_the_model_says()
            self.world.tick()

    def teardown(self) -> None:
        """Whatever was done: once people rest, everything ends."""
        if sys.exc_info()[0] is None:
            self.world.settle()

    @rule(who=who)
    def beat(self, who: int) -> None:
        self.world.beat(who)


@pytest.fixture
def life(shared: Any, shared_api: Http) -> Iterator[type[Life]]:
    """The walk, on a server of its own."""
    with psycopg.connect(shared.conninfo, autocommit=True) as conn:
        Life.api, Life.conn = shared_api, conn
        yield Life


@pytest.mark.parametrize("way", range(int(os.environ.get("QCHIVE_WAYS", 12))))
def test_wherever_one_wanders_records_are_what_the_model_says(life: type[Life], way: int) -> None:
    """Every action on every status as often as any other, which is not where Hypothesis looks; the way is its seed."""
    rng = random.Random(way)
    world = World(life.api, life.conn, next(_walks))
    for n in range(6):
        kind = rng.choice(["singlepoint", "optimization", "stairs", "towers"])
        world.add(kind, [n], rng.choice(world.tags), 1, find_existing=True)
    for child in range(1, 6):
        for parent in {rng.randrange(child), rng.randrange(child)}:
            world.link(world.known[parent], world.known[child])
    for _ in range(WANDERED):
        world.compare()
        world.model.now += 1
        step(world, rng)
    world.compare()
    world.model.now += 1
    world.settle()


@pytest.mark.timeout(0 if WALKS or SHORTEN else 300)
def test_whatever_is_done_to_records_they_are_what_the_model_says(life: type[Life]) -> None:
    profile = settings(
        deadline=None,
        stateful_step_count=STEPS_OF_A_WALK,
        print_blob=True,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if SHORTEN else [Phase.generate],
    )
    if WALKS is None:
        run_state_machine_as_test(life, settings=settings(profile, max_examples=15, derandomize=True))
        return
    chosen = int(os.environ.get("QCHIVE_WALKS_SEED", random.randrange(10**9)))
    print(f"QCHIVE_WALKS={WALKS} QCHIVE_WALKS_SEED={chosen}")
    run_state_machine_as_test(seed(chosen)(life), settings=settings(profile, max_examples=int(WALKS)))
