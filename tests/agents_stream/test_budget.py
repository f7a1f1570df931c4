"""A budget of time: a share of it, and a little ahead."""

from __future__ import annotations

from agents_stream.budget import Budget


class Ticks:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_was_spent_must_be_earned_again() -> None:
    clock = Ticks()
    budget = Budget(0.25, 0.0, clock)
    assert budget.allows()
    budget.spend(1.0)
    clock.now += 3.9
    assert not budget.allows()
    clock.now += 0.1
    assert budget.allows()


def test_a_little_may_be_spent_ahead() -> None:
    budget = Budget(0.5, 1.0, Ticks())
    budget.spend(1.0)
    assert budget.allows()
    budget.spend(0.1)
    assert not budget.allows()


def test_time_without_work_is_not_saved_up() -> None:
    clock = Ticks()
    budget = Budget(0.5, 0.0, clock)
    clock.now += 1_000
    assert budget.allows()
    budget.spend(0.5)
    assert not budget.allows()
