"""A row of feedback as canonical events."""

from __future__ import annotations

from typing import Any

from pipeline.sources.platforms.feedback import reading
from pipeline.sources.platforms.feedback.options import COLUMNS, FeedbackOptions
from pipeline.sources.source import Context, Event, Translator, Unread
from pipeline.sources.values import load, peek, shown

Row = dict[str, Any]


class FeedbackTranslator(Translator):
    """Rows of one site; it remembers nothing."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options: FeedbackOptions = context.options
        self._options = options
        own = {name.strip().casefold(): ours for name, ours in options.columns.items()}
        self._columns = {name: name for name in COLUMNS} | own
        self._kinds = {
            "survey": self._survey,
            "resolution": self._resolution,
            "sentiment": self._sentiment,
            "evaluation": self._evaluation,
            "recording": self._recording,
            "dialler": self._dialler,
            "handover": self._handover,
        }

    def translate(self, payload: bytes) -> list[Event]:
        """The events of a row; a call that is over comes newest first."""
        row = self._row(load(payload))
        kind = row.get("kind")
        if kind is None:
            raise Unread("kind", f"is required: one of {', '.join(self._kinds)}")
        make = self._kinds.get(kind.strip().casefold()) if isinstance(kind, str) else None
        if make is None:
            raise Unread("kind", f"{shown(kind)} is none of {', '.join(self._kinds)}")
        return make(row)

    def _row(self, found: Row) -> Row:
        columns, row = self._columns, dict[str, Any](self._options.fixed)
        for name, value in found.items():
            ours = columns.get(name) or columns.get(name.strip().casefold())
            if ours is not None and value is not None and value != "":
                row[ours] = value
        return row

    def _survey(self, row: Row) -> list[Event]:
        answers = {
            "csat": reading.csat_or_none(row, self._options),
            "nps": reading.whole_or_none(row, "nps"),
            "ces": reading.whole_or_none(row, "ces"),
            "resolved": reading.flag_or_none(row, "resolved"),
        }
        if all(answer is None for answer in answers.values()):
            raise Unread("csat", "a survey wants csat, nps, ces or resolved")
        queue = reading.id_or_none(row, "queue")
        return [self._event("survey.answered", row, queue=queue, **answers)]

    def _resolution(self, row: Row) -> list[Event]:
        resolved = reading.flag_or_none(row, "resolved")
        if resolved is None:
            raise Unread("resolved", "is required")
        customer = reading.customer_or_none(row)
        issue = reading.text_or_none(row, "issue")
        return [
            self._event("contact.resolved", row, customer=customer, issue=issue, resolved=resolved)
        ]

    def _sentiment(self, row: Row) -> list[Event]:
        score = reading.number(row, "score") / self._options.sentiment_scale
        risk = reading.number_or_none(row, "escalation_risk")
        return [self._event("contact.sentiment", row, score=score, escalation_risk=risk)]

    def _evaluation(self, row: Row) -> list[Event]:
        points, scale = reading.number(row, "score"), self._options.evaluation_scale
        # A score of 100 stays as it was written: 100 * 84.1 / 100 is another number.
        score = points if scale == 100 else 100 * points / scale
        agent, form = reading.id_at(row, "agent"), reading.text_or_none(row, "form")
        return [self._event("contact.evaluated", row, agent=agent, score=score, form=form)]

    def _recording(self, row: Row) -> list[Event]:
        url = reading.text_or_none(row, "url")
        if url is None:
            raise Unread("url", "is required")
        return [self._event("contact.recorded", row, url=url)]

    def _dialler(self, row: Row) -> list[Event]:
        if reading.text_or_none(row, "outcome") is None:
            raise Unread("outcome", "is required")
        return self._call(row, "outbound", "voice")

    def _handover(self, row: Row) -> list[Event]:
        return self._call(row, "inbound", "chat")

    def _call(self, row: Row, direction: str, usual: str) -> list[Event]:
        """What became of a contact in a queue; nothing yet without an outcome."""
        queue = reading.id_at(row, "queue")
        channel = reading.text_or_none(row, "channel") or usual
        queued = self._event(
            "contact.queued",
            row,
            queue=queue,
            channel=channel,
            direction=direction,
            customer=reading.customer_or_none(row),
        )
        outcome = reading.text_or_none(row, "outcome")
        if outcome is None:
            return [queued]
        return [*self._outcome(row, outcome.strip().casefold(), queue, channel), queued]

    def _outcome(self, row: Row, outcome: str, queue: str, channel: str) -> list[Event]:
        if outcome == "answered":
            return self._answered(row, queue, channel)
        ended = reading.moment_at(row, "ended_at", self._zone, self._options.time_format)
        contact = reading.id_at(row, "contact")
        if outcome == "abandoned":
            return [self.context.event("contact.abandoned", ended, contact=contact, queue=queue)]
        reason = _LEFT.get(outcome)
        if reason is None:
            known = ", ".join(["answered", "abandoned", *_LEFT])
            raise Unread("outcome", f"{shown(outcome)} is none of {known}")
        left = {"contact": contact, "queue": queue, "reason": reason}
        return [self.context.event("contact.left", ended, **left)]

    def _answered(self, row: Row, queue: str, channel: str) -> list[Event]:
        zone, pattern = self._zone, self._options.time_format
        event = self.context.event
        leg = {"contact": reading.id_at(row, "contact"), "agent": reading.id_at(row, "agent")}
        at = reading.moment_at(row, "answered_at", zone, pattern)
        events = [event("contact.answered", at, **leg, queue=queue, channel=channel)]
        ended = reading.moment_or_none(row, "ended_at", zone, pattern)
        if ended is not None:
            wrapped = reading.moment_or_none(row, "wrapped_at", zone, pattern)
            events.append(event("contact.released", ended, **leg))
            events.append(event("contact.wrapped", ended if wrapped is None else wrapped, **leg))
        return events[::-1]

    def _event(self, name: str, row: Row, **fields: Any) -> Event:
        contact = reading.id_at(row, "contact")
        ts = reading.moment_at(row, "ts", self._zone, self._options.time_format)
        return self.context.event(name, ts, contact=contact, **fields)

    @property
    def _zone(self) -> str:
        return self.context.time_zone


_LEFT = {
    "no_answer": "other",
    "busy": "other",
    "failed": "other",
    "invalid": "other",
    "voicemail": "voicemail",
    "callback": "callback",
    "timeout": "timeout",
}
"""How an attempt ends that neither an agent nor the customer's patience ended."""


def kind_of(payload: bytes) -> str:
    """What a row says it is; `row` where the site's options say that."""
    found = peek(payload)
    if not found:
        return "?"
    kind = found.get("kind")
    return kind.strip().casefold()[:40] if isinstance(kind, str) and kind.strip() else "row"
