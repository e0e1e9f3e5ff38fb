"""Steps drawn evenly: every action on every status, as often as any other.

Hypothesis looks for short and odd ways, and walks where it has been; this goes everywhere.
"""

from __future__ import annotations

import random
from typing import Any

from tests.life.model import LOOKED_FOR, STATUSES, STEPS, Record
from tests.life.world import MANAGERS, UNKNOWN, World

RESULTS = ("success", "success", "failure", "failure", "garbage")


def step(world: World, rng: random.Random) -> None:
    """One thing that people or managers do."""
    deeds = [_act] * 12 + [_act_on_several] * 2 + [_change_several] * 3 + [_by_filter] * 4 + [_undo] * 5
    deeds += [_claim] * 4 + [_give] * 6 + [_tick] * 6 + [_leave, _beat, _add, _link, _remove]
    rng.choice(deeds)(world, rng)


def _tick(world: World, _: random.Random) -> None:
    world.tick()


def _some(world: World, rng: random.Random) -> list[int]:
    """A few of a family, or of all that ever were."""
    there = sorted(world.model.records)
    if there and rng.random() < 0.5:
        one = [rng.choice(there)]
        return rng.choices(sorted(world.model.ancestors(one) | world.model.descendants(one)), k=rng.randint(1, 4))
    return rng.choices([*world.known, UNKNOWN], k=rng.randint(1, 4))


def _of_a_status(world: World, rng: random.Random) -> Record | None:
    """A record of one of the statuses that there are, each as likely as the other."""
    by_status = {s: [r for _, r in sorted(world.model.records.items()) if r.status == s] for s in STATUSES}
    there = [records for records in by_status.values() if records]
    return rng.choice(rng.choice(there)) if there else None


def _act(world: World, rng: random.Random) -> None:
    """Mostly what some record fits, on one of these; also what is refused."""
    records = [r for _, r in sorted(world.model.records.items())]
    fitting = {action: [r for r in records if r.status in STEPS[action]] for action in sorted(STEPS)}
    possible = [action for action, fit in fitting.items() if fit]
    if possible and rng.random() < 0.75:
        action = rng.choice(possible)
        world.act(action, [rng.choice(fitting[action]).id])
    elif record := _of_a_status(world, rng):
        world.act(rng.choice(sorted(STEPS)), [record.id])


def _act_on_several(world: World, rng: random.Random) -> None:
    world.act(rng.choice(sorted(STEPS)), _some(world, rng))


def _changes(world: World, rng: random.Random) -> dict[str, Any]:
    every = {"compute_tag": rng.choice(world.tags), "compute_priority": rng.randrange(3), "comment": "so"}
    return {name: value for name, value in every.items() if rng.random() < 0.6}


def _change_several(world: World, rng: random.Random) -> None:
    """A combined change, or none of the status."""
    changes = _changes(world, rng)
    action = rng.choice(["reset", "cancel", "invalidate", "modify", "modify"])
    if action == "modify" and not changes.keys() & {"compute_tag", "compute_priority"}:
        action = "comment"
        changes = {"comment": "seen"}
    record = _of_a_status(world, rng)
    world.act(action, [*_some(world, rng), *([record.id] if record else [])], **changes)


def _by_filter(world: World, rng: random.Random) -> None:
    action = rng.choice(sorted(LOOKED_FOR))
    wanted: dict[str, Any] = rng.choice(
        [{"compute_tag": rng.sample(world.tags, 2)}, {"record_id": _some(world, rng)}, {"parent_id": _some(world, rng)}]
    )
    if rng.random() < 0.4:
        wanted |= {"status": rng.sample(STATUSES, 3)}
    changes = {"modify": {"compute_tag": rng.choice(world.tags), "compute_priority": rng.randrange(3)}}
    world.preview(action, wanted, **changes.get(action, {"comment": "all"} if action == "comment" else {}))
    if rng.random() < 0.8:
        world.apply(-1 if rng.random() < 0.7 else rng.randrange(len(world.looks)), rng.choice([0, 0.05, 0.5, 1]))


def _undo(world: World, rng: random.Random) -> None:
    operations = list(world.model.operations.values())
    undoable = [op for op in operations if op.kind and op.moves]
    if undoable:
        world.undo(rng.choice(undoable[-6:] if rng.random() < 0.8 else operations))


def _claim(world: World, rng: random.Random) -> None:
    if world.offers:
        tags = rng.sample(world.tags, rng.randint(1, 3))
        world.claim(rng.randrange(MANAGERS), tags, rng.choice([1, 2, 10]))


def _give(world: World, rng: random.Random) -> None:
    if world.tasks:
        chosen = [rng.choice(world.tasks[-8:] if rng.random() < 0.8 else world.tasks) for _ in range(rng.randint(1, 4))]
        giver = chosen[0][0] if rng.random() < 0.85 else rng.randrange(MANAGERS)
        mine = {t["id"]: t for whose, t in chosen if whose == chosen[0][0]}
        world.give(giver, [(t, rng.choice(RESULTS)) for t in mine.values()])


def _leave(world: World, rng: random.Random) -> None:
    who = rng.randrange(MANAGERS)
    if rng.random() < 0.4:
        world.fall_silent(who)
    else:
        world.leave(who, lost=rng.random() < 0.5)


def _beat(world: World, rng: random.Random) -> None:
    world.beat(rng.randrange(MANAGERS))


def _add(world: World, rng: random.Random) -> None:
    kind = rng.choice(["singlepoint", "optimization", "stairs", "towers"])
    numbers = rng.choices(range(8), k=rng.randint(1, 3))
    world.add(kind, numbers, rng.choice(world.tags), rng.randrange(3), find_existing=rng.random() < 0.6)


def _link(world: World, rng: random.Random) -> None:
    there = sorted(world.model.records)
    if len(there) > 1:
        world.link(*rng.sample(there, 2))


def _remove(world: World, rng: random.Random) -> None:
    world.remove(_some(world, rng)[:2], children=rng.random() < 0.5)
