"""What follows a contact: wrap-up codes, surveys, sentiment, evaluations, recordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from pipeline.simulate.agenda import Agenda
from pipeline.simulate.happenings import Happening, Kind
from pipeline.simulate.options import HOUR, MINUTE
from pipeline.simulate.people import Contact, Leg
from pipeline.simulate.plan import Draw, Spread

_CODES = ("resolved", "information", "order", "complaint", "follow_up")
_CODE_WEIGHTS = (46, 75, 87, 93, 100)
_SURVEY_SHARE = 0.09
_RESOLVED_SHARE = 0.12
_SENTIMENT_SHARE = 0.10
_RECORDED_SHARE = 0.05
_EVALUATED_SHARE = 0.01
_FORM = "service-2"


class Aftermath:
    """Schedules feedback. Long waits and transfers make customers less content."""

    def __init__(self, agenda: Agenda, say: Callable[[Happening], None], rng: Random) -> None:
        self._agenda = agenda
        self._say = say
        self._rng = rng
        self._survey_delay = Draw(Spread(4 * MINUTE, 1.0), 20_000, 6 * HOUR)
        self._office_delay = Draw(Spread(25 * MINUTE, 1.0), MINUTE, 12 * HOUR)

    def wrap_up_code(self) -> str:
        """What the agent writes down."""
        drawn = self._rng.random() * 100
        return next(c for c, w in zip(_CODES, _CODE_WEIGHTS, strict=True) if drawn < w)

    def follow(self, leg: Leg) -> None:
        """Draw what will be said of a contact that has just ended for the customer."""
        rng, now = self._rng, self._agenda.now
        if rng.random() < _SURVEY_SHARE:
            self._later(now + self._survey_delay(rng), Kind.SURVEYED, leg, self._survey(leg))
        if rng.random() < _RESOLVED_SHARE:
            facts = {"resolved": rng.random() < 0.78, "customer": leg.contact.customer}
            self._later(now + self._office_delay(rng), Kind.RESOLVED, leg, facts)
        if rng.random() < _SENTIMENT_SHARE:
            self._later(now + rng.randrange(1_000, 8_000), Kind.JUDGED, leg, self._sentiment(leg))
        if leg.queue.channel == "voice" and rng.random() < _RECORDED_SHARE:
            self._later(now + rng.randrange(5_000, 40_000), Kind.RECORDED, leg, None)
        if rng.random() < _EVALUATED_SHARE:
            facts = {"score": round(min(100.0, max(0.0, rng.gauss(84, 9))), 1), "form": _FORM}
            self._later(now + self._office_delay(rng), Kind.EVALUATED, leg, facts)

    def _later(self, moment: int, kind: Kind, leg: Leg, facts: Mapping[str, Any] | None) -> None:
        self._agenda.at(moment, self._tell, kind, leg, facts)

    def _tell(self, kind: Kind, leg: Leg, facts: Mapping[str, Any] | None) -> None:
        note = f"https://recordings.invalid/{leg.contact.id}" if kind is Kind.RECORDED else ""
        self._say(
            Happening(self._agenda.now, kind, leg.contact, leg.agent, leg.queue.id, note, facts)
        )

    def _survey(self, leg: Leg) -> dict[str, int | bool]:
        content = self._contentment(leg.contact)
        answers: dict[str, int | bool] = {"csat": self._scale(content, 1, 5)}
        if self._rng.random() < 0.6:
            answers["nps"] = self._scale(content, 0, 10)
        if self._rng.random() < 0.4:
            answers["ces"] = self._scale(content, 1, 7)
        if self._rng.random() < 0.5:
            answers["resolved"] = self._rng.random() < 0.4 + content / 2
        return answers

    def _sentiment(self, leg: Leg) -> dict[str, float]:
        content = self._contentment(leg.contact)
        score = min(1.0, max(-1.0, 2 * content - 1 + self._rng.gauss(0, 0.2)))
        risk = min(1.0, max(0.0, 0.4 - 0.4 * score + self._rng.gauss(0, 0.1)))
        return {"score": round(score, 3), "escalation_risk": round(risk, 3)}

    def _contentment(self, contact: Contact) -> float:
        """From 0 to 1."""
        strain = contact.waited / (6 * MINUTE) + 0.15 * contact.hops
        return min(1.0, max(0.0, self._rng.gauss(0.82 - 0.35 * strain, 0.18)))

    def _scale(self, content: float, low: int, high: int) -> int:
        return low + min(high - low, int(content * (high - low + 1)))
