"""What two boards must agree in: every figure of contract section 7, and nothing but those."""

from collections.abc import Mapping
from typing import Any

from tests.engine.subjects import COUNTERS, TIMES

KPIS = ("service_level", "abandonment", "asa_ms", "aht_ms")
NOW = ("waiting", "longest_wait_ms", "in_service")


def figures(board: Mapping[str, Any]) -> dict[str, Any]:
    """The board without what the contract lets an implementation add or leave out.

    Places and teams whose figures are all zero and states without agents are dropped; a key that
    the contract demands and that is missing raises KeyError.
    """
    return {
        **{name: board[name] for name in ("site", "at", "late", "inconsistent", "dead_lettered")},
        "queues": {
            (queue, channel): place
            for queue, channels in board["queues"].items()
            for channel, entry in channels.items()
            if (place := queue_figures(entry)) is not None
        },
        "all queues": queue_figures(board["all"]["queues"]),
        "teams": {
            team: found
            for team, entry in board["teams"].items()
            if (found := team_figures(entry)) is not None
        },
        "all agents": team_figures(board["all"]),
    }


def queue_figures(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    now = {name: entry["now"][name] for name in NOW}
    windows = {
        window: {name: kpis[name] for name in (*COUNTERS, *KPIS)}
        for window, kpis in entry["windows"].items()
    }
    if any(now.values()) or any(any(w[name] for name in COUNTERS) for w in windows.values()):
        return {"now": now, **windows}
    return None


def team_figures(entry: Mapping[str, Any]) -> dict[str, Any] | None:
    agents = {name: number for name, number in entry["agents"].items() if number}
    windows = {
        window: {name: times[name] for name in (*TIMES, "occupancy")}
        for window, times in entry["windows"].items()
    }
    if agents or any(any(w[name] for name in TIMES) for w in windows.values()):
        return {"agents": agents, **windows}
    return None
