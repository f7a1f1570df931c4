"""A wish to cancel a command of the local store's engine."""

from __future__ import annotations

import threading

from sinks.clickhouse.local.engine_process import Current


def test_a_wish_that_comes_before_the_statement_itself_stops_it_all_the_same() -> None:
    """The engine first makes a connection and checks: the first wish stops nothing of it."""
    heard, statement_stopped = 0, threading.Event()

    def cancel() -> None:
        nonlocal heard
        heard += 1
        if heard == 3:
            statement_stopped.set()

    current = Current(cancel)
    with current.next() as wanted:
        assert wanted
        wishing = threading.Thread(target=current.wish, args=(1,))
        wishing.start()
        assert statement_stopped.wait(60)
    wishing.join(60)
    assert not wishing.is_alive()


def test_a_wish_meets_the_command_it_names_or_none() -> None:
    cancelled: list[int] = []
    current = Current(lambda: cancelled.append(1))
    current.wish(2)
    with current.next() as wanted:
        assert wanted
    with current.next() as wanted:
        assert not wanted
        current.wish(1)
        current.wish(2)
    current.wish(2)
    assert cancelled == []
