"""A capture, translated line by line and counted by the engine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from pipeline.check.oddities import Oddity, oddities
from pipeline.replay import History, snapshots
from pipeline.sources import FORMATS, SOURCES, BadLine, Source
from pipeline.sources.capture import SITE, begin, translate_safely
from pipeline.sources.source import Event, Unread
from schemas.moments import iso
from schemas.settings import SiteSettings

MAX_TOLD = 200
"""Unreadable lines that are told one by one; the rest is only counted."""

Item = tuple[int, str, list[Event] | Unread]
"""Line, the payload's kind in the platform's words, and what became of it."""


@dataclass(slots=True)
class KindCount:
    """Payloads of one kind: how many, how many of them unreadable, and the events they gave."""

    payloads: int = 0
    unread: int = 0
    events: int = 0


@dataclass(slots=True)
class Findings:
    """What a capture holds. `view` is the board at its last event, None where there is no event."""

    format: str
    site: str
    payloads: int = 0
    kinds: dict[str, KindCount] = field(default_factory=dict)
    types: Counter[str] = field(default_factory=Counter)
    unread: list[BadLine] = field(default_factory=list)
    unread_count: int = 0
    contacts: int = 0
    agents: int = 0
    first: int | None = None
    last: int | None = None
    view: dict[str, Any] | None = None
    odd: list[Oddity] = field(default_factory=list)

    @property
    def events(self) -> int:
        """How many events were understood."""
        return self.types.total()

    def queues(self) -> list[dict[str, Any]]:
        """Queue by queue: the outcomes since the beginning, and who was still there at the end."""
        rows = []
        for queue, channels in sorted((self.view or {"queues": {}})["queues"].items()):
            for channel, entry in sorted(channels.items()):
                rows.append({"queue": queue, "channel": channel} | _outcomes(entry))
        return rows

    def as_json(self) -> dict[str, Any]:
        """The findings as one JSON object; moments are epoch ms."""
        return {
            "format": self.format,
            "site": self.site,
            "payloads": self.payloads,
            "events": self.events,
            "first": self.first,
            "last": self.last,
            "contacts": self.contacts,
            "agents": self.agents,
            "queues": self.queues(),
            "event_types": dict(sorted(self.types.items())),
            "kinds": {
                kind: {"payloads": n.payloads, "events": n.events, "unread": n.unread}
                for kind, n in sorted(self.kinds.items())
            },
            "oddities": [odd.as_json() for odd in self.odd],
            "unread_count": self.unread_count,
            "unread": [
                {"line": bad.line, "field": bad.field, "reason": bad.reason} for bad in self.unread
            ],
        }


def check_capture(
    lines: Iterable[bytes],
    format_name: str,
    settings: SiteSettings | None = None,
    progress: Callable[[int], None] = lambda _: None,
    counted: Callable[[int, int], None] = lambda done, events: None,
) -> Findings:
    """Read a capture whole; its events are kept, about half a kilobyte each.

    `progress` is told the number of each payload's line, then `counted` how many of how many events
    the engine has counted. Raises `InputError` if the input breaks off.
    """
    findings = Findings(format_name, settings.site if settings else SITE)
    events: list[Event] = []
    for line, kind, outcome in _items(lines, format_name, settings):
        progress(line)
        _count(findings, line, kind, outcome)
        if not isinstance(outcome, Unread):
            events += outcome
    if events:
        _look_at(findings, events, settings, counted)
    return findings


def _count(findings: Findings, line: int, kind: str, outcome: list[Event] | Unread) -> None:
    count = findings.kinds.setdefault(kind, KindCount())
    count.payloads += 1
    findings.payloads += 1
    if isinstance(outcome, Unread):
        count.unread += 1
        findings.unread_count += 1
        if len(findings.unread) < MAX_TOLD:
            findings.unread.append(BadLine(line, outcome.field, outcome.reason))
        return
    count.events += len(outcome)
    findings.types.update(event["type"] for event in outcome)


def _look_at(
    findings: Findings,
    events: list[Event],
    settings: SiteSettings | None,
    counted: Callable[[int, int], None],
) -> None:
    in_file_order = list(events)
    events.sort(key=itemgetter("ts"))
    findings.site = events[0]["site"]
    findings.first, findings.last = events[0]["ts"], events[-1]["ts"]
    findings.contacts = len({event["contact"] for event in events if "contact" in event})
    findings.agents = len({event["agent"] for event in events if "agent" in event})
    history = History(findings.site, findings.last, findings.unread_count, events)
    settings = settings or SiteSettings(site=findings.site)
    done = 0

    def applied(count: int) -> None:
        nonlocal done
        done += count
        counted(done, len(events))

    (findings.view,) = snapshots(history, settings, [events[-1]["ts"]], applied)
    findings.odd = oddities(in_file_order, findings.view)


def _items(
    lines: Iterable[bytes], format_name: str, settings: SiteSettings | None
) -> Iterator[Item]:
    source = SOURCES.get(format_name)
    if source is not None:
        yield from _payloads(source, lines, settings)
        return
    site = settings.site if settings else None
    for number, item in enumerate(FORMATS[format_name].read(lines, site, settings), 1):
        if isinstance(item, BadLine):
            yield item.line, "unreadable", Unread(item.field, item.reason)
        else:
            yield number, item["type"], [item]


def _payloads(
    source: Source, lines: Iterable[bytes], settings: SiteSettings | None
) -> Iterator[Item]:
    translator = begin(source, None, settings)
    for item in source.payloads(lines):
        if isinstance(item, BadLine):
            yield item.line, "unreadable", Unread(item.field, item.reason)
        else:
            line, payload = item
            yield line, source.kind(payload), translate_safely(translator, payload)


def _outcomes(entry: dict[str, Any]) -> dict[str, Any]:
    total, now = entry["windows"]["total"], entry["now"]
    left = total["left_callback"] + total["left_overflow"] + total["left_other"]
    plain = ("offered", "answered", "abandoned", "declined", "transferred", "handled")
    return {
        **{name: total[name] for name in plain},
        "left": left,
        "waiting": now["waiting"],
        "in_service": now["in_service"],
        "service_level": total["service_level"],
        "asa_ms": total["asa_ms"],
        "aht_ms": total["aht_ms"],
    }


def span_of(findings: Findings, zone: str = "UTC") -> str:
    """From when to when the events reach, for people."""
    if findings.first is None or findings.last is None:
        return "no event"
    return f"{iso(findings.first, zone)} to {iso(findings.last, zone)}"
