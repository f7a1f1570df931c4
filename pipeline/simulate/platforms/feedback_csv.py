"""Writes what follows a contact as lines of CSV, as survey, quality and recording tools export it.

The header comes first; a happening that no such tool knows of gives no line.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from pipeline.simulate.happenings import Happening, Kind

_HEADER = (
    "kind", "ts", "contact", "queue", "agent", "customer", "csat", "nps", "ces", "resolved",
    "score", "escalation_risk", "form", "url",
)  # fmt: skip


class FeedbackWriter:
    """One site's file."""

    def __init__(self) -> None:
        self._begun = False

    def payloads(self, happening: Happening) -> tuple[bytes, ...]:
        """A line without its end, before the first one the header."""
        fill = _ROWS.get(happening.kind)
        if fill is None or happening.contact is None:
            return ()
        moment = datetime.fromtimestamp(happening.at / 1000, UTC)
        row = {
            "ts": moment.isoformat(timespec="milliseconds"),
            "contact": happening.contact.id,
            **fill(happening, happening.facts or {}),
        }
        line = _line([_shown(row.get(name)) for name in _HEADER])
        if self._begun:
            return (line,)
        self._begun = True
        return (_line(list(_HEADER)), line)


def _survey(happening: Happening, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "survey", "queue": happening.queue, **facts}


def _resolution(happening: Happening, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "resolution", **facts}


def _sentiment(happening: Happening, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "sentiment", **facts}


def _evaluation(happening: Happening, facts: Mapping[str, Any]) -> dict[str, Any]:
    assert happening.agent is not None
    return {"kind": "evaluation", "agent": happening.agent.id, **facts}


def _recording(happening: Happening, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "recording", "url": happening.note}


_ROWS: dict[Kind, Callable[[Happening, Mapping[str, Any]], dict[str, Any]]] = {
    Kind.SURVEYED: _survey,
    Kind.RESOLVED: _resolution,
    Kind.JUDGED: _sentiment,
    Kind.EVALUATED: _evaluation,
    Kind.RECORDED: _recording,
}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _line(fields: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(fields)
    return text.getvalue().encode()


def WRITER(site: str) -> FeedbackWriter:  # noqa: N802  # the name that writers are found by
    """A writer; a file names no site."""
    return FeedbackWriter()
