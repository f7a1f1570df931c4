"""Quality figures as the sink would tell them, for the make-believe centres."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from schemas.kpis import ratio
from schemas.live import QUALITY, QUALITY_WINDOWS, LiveRecord, live_record
from tests.sinks.board.centre import Centre, bank, crowd

DAYS = {"today": 1, "7d": 7, "30d": 30}


def figures(rng: random.Random, contacts: int) -> dict[str, Any]:
    """Figures that hang together, of so many handled contacts."""
    f: dict[str, Any] = {"csat_n": contacts // 9, "nps_n": contacts // 15, "ces_n": contacts // 22}
    f["csat_top"] = round(f["csat_n"] * rng.uniform(0.7, 0.9))
    f["csat_sum"] = f["csat_top"] * 4 + (f["csat_n"] - f["csat_top"]) * 2
    f["nps_promoters"] = round(f["nps_n"] * rng.uniform(0.3, 0.5))
    f["nps_detractors"] = round(f["nps_n"] * rng.uniform(0.1, 0.6))
    f["nps_detractors"] = min(f["nps_detractors"], f["nps_n"] - f["nps_promoters"])
    f["ces_easy"], f["ces_sum"] = f["ces_n"] * 3 // 4, f["ces_n"] * 5
    f["declared_n"] = contacts // 8
    f["declared_resolved"] = round(f["declared_n"] * rng.uniform(0.6, 0.8))
    f["repeat_n"], f["repeat_repeated"] = contacts, round(contacts * rng.uniform(0.1, 0.2))
    f["repeat_provisional"] = (contacts - f["repeat_repeated"]) // 4
    f["repeat_resolved"] = contacts - f["repeat_repeated"] - f["repeat_provisional"]
    f["repeat_repeated_final"] = f["repeat_repeated"] * 3 // 4
    f |= {"sentiment_n": 0, "sentiment_sum": 0.0, "risk_n": 0, "escalations": 0}
    f |= {"qa_n": 0, "qa_sum": 0.0, "unmatched": 0}
    return f | {
        "csat": ratio(f["csat_top"], f["csat_n"]),
        "csat_mean": ratio(f["csat_sum"], f["csat_n"]),
        "nps": ratio(100 * (f["nps_promoters"] - f["nps_detractors"]), f["nps_n"]),
        "ces": ratio(f["ces_sum"], f["ces_n"]),
        "ces_easy_share": ratio(f["ces_easy"], f["ces_n"]),
        "fcr_declared": ratio(f["declared_resolved"], f["declared_n"]),
        "fcr_repeat": ratio(contacts - f["repeat_repeated"], contacts),
        "fcr_repeat_final": ratio(
            f["repeat_resolved"], f["repeat_resolved"] + f["repeat_repeated_final"]
        ),
        **dict.fromkeys(("sentiment_mean", "escalation_share", "qa_mean")),
    }


@dataclass
class Asked(Centre):
    """A centre whose store was last asked `old_ms` before the start; -1 for at every moment."""

    old_ms: int = -1
    contacts: int = 260

    def records(self, at: int, epoch: int = 1, offset: int = 1) -> list[LiveRecord]:
        """What the worker sends, and what the sink does."""
        known = at if self.old_ms < 0 else self.start - self.old_ms
        told = [
            live_record(self.site, (epoch, offset), known, QUALITY, f"{window}.0", said)
            for window in QUALITY_WINDOWS
            for said in [{window: self.window(window, known)}]
        ]
        return [*super().records(at, epoch, offset), *told]

    def window(self, window: str, known: int = 0) -> dict[str, Any]:
        """The content of a window."""
        rng = random.Random(f"{self.seed} {window}")
        times = DAYS[window]
        queues: dict[str, Any] = {"": {"": figures(rng, 0) | {"csat_n": 2, "csat": 0.5}}}
        for queue in self.queues:
            queues.setdefault(queue.id, {})[queue.channel] = figures(rng, self.contacts * times)
        teams = {team: figures(rng, self.contacts * times) for team in self.teams}
        everything = figures(rng, self.contacts * times * len(self.queues)) | {"unmatched": 2}
        said = {"from": known - times * 86_400_000, "to": known, "all": everything, "left_out": 0}
        return said | {"channels": {}, "queues": queues, "teams": teams}


def _like(centre: Centre, site: str, **more: Any) -> Asked:
    return Asked(site, centre.name, centre.queues, centre.agents, centre.teams, **more)


def asked() -> Asked:
    """The bank with figures a moment old."""
    return _like(bank(), "asked")


def forsaken() -> Asked:
    """The bank whose store has been away for three hours."""
    return _like(bank(), "forsaken", old_ms=3 * 3_600_000)


def asked_crowd() -> Asked:
    """Long names, many queues, great numbers."""
    return _like(crowd(), "asked-crowd", contacts=123_456)


def empty() -> Asked:
    """Nothing has been said of any contact."""
    return _like(bank(), "unsaid", contacts=0)
