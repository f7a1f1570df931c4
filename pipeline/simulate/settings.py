"""Site settings that fit a simulated centre, as the YAML files the settings folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipeline.simulate.options import DAY
from pipeline.simulate.plan import CentrePlan, QueuePlan
from schemas.settings import parse_site

_BAND = [0.7, 0.88]


def site_settings(plan: CentrePlan) -> dict[str, Any]:
    """The settings of a site, every queue and team named, as plain values."""
    settings: dict[str, Any] = {
        "site": plan.site,
        "name": plan.name,
        "time_zone": plan.options.time_zone,
        "defaults": {
            "threshold_ms": 20_000,
            "short_abandon_ms": 5_000,
            "min_volume": 5,
            "targets": {"service_level": 0.8, "abandonment": 0.05, "longest_wait_ms": 120_000},
        },
        "queues": {queue.id: _queue_settings(queue) for queue in plan.queues},
        "teams": {team.id: {"name": team.name, "occupancy": _BAND} for team in plan.teams},
    }
    parse_site(settings, plan.site)
    return settings


def write_site_settings(plan: CentrePlan, folder: Path) -> Path:
    """Write `<site>.yml` into the folder, which is made if need be; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{plan.site}.yml"
    text = yaml.safe_dump(site_settings(plan), sort_keys=False, allow_unicode=True)
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return path


def _queue_settings(queue: QueuePlan) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "name": queue.name,
        "threshold_ms": queue.threshold_ms,
        "short_abandon_ms": queue.short_abandon_ms,
    }
    if queue.channel in ("email", "callback"):
        # Nobody hangs on the line there: a wait of hours is ordinary and no lost call.
        settings["stuck_after_ms"] = queue.stuck_after_ms
        settings["targets"] = {"longest_wait_ms": min(2 * queue.threshold_ms, DAY)}
    if queue.channel == "email":
        settings["targets"]["service_level"] = queue.target
    return settings
