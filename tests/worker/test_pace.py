"""How much to ask for, and when."""

from __future__ import annotations

from qchive.worker.pace import Pause, Store


def test_nothing_is_stored_before_it_is_known_how_long_tasks_take() -> None:
    store = Store(2)
    assert [store.wanted(held) for held in range(4)] == [2, 1, 0, 0]


def test_short_tasks_are_stored_up_to_a_limit() -> None:
    store = Store(2)
    store.took(0.003)
    assert store.ahead() == 32
    assert store.wanted(0) == 34
    assert store.wanted(17) == 17
    assert store.wanted(18) == 0


def test_one_task_of_a_tenth_of_a_second_is_stored_five_ahead() -> None:
    store = Store(1)
    store.took(0.1)
    assert store.ahead() == 5


def test_long_tasks_are_never_stored() -> None:
    store = Store(2)
    for _ in range(100):
        store.took(0.003)
    store.took(20.0)
    assert store.ahead() == 0
    assert store.wanted(1) == 1


def test_pauses_grow_until_something_good_happens() -> None:
    pause = Pause(1.0, 4.0)
    lengths = [pause.take() for _ in range(4)]
    assert all(abs(length - want) <= 0.1 * want for length, want in zip(lengths, (1, 2, 4, 4), strict=True))
    assert 0 < pause.left() <= 4.4
    pause.end()
    assert pause.left() == 0
    assert pause.take() <= 1.1
