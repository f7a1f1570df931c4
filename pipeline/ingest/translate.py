"""From a payload to canonical events, by the `format` its header names.

Translation runs here, over the raw topic, so that a corrected translator can read history again.
Translators are pure; what some of them remember (who waits, who holds) is kept beside the offsets,
see `memory`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from pipeline.ingest.customers import Customers
from pipeline.ingest.dead_letters import Rejected
from pipeline.ingest.raw import CANONICAL
from pipeline.ingest.sites import Sites
from pipeline.sources import SOURCES
from pipeline.sources.capture import begin, defect, translate_safely
from pipeline.sources.source import Event, Translator, Unread
from schemas.events import EventError, parse_payload, readable_site, validate_event
from schemas.settings import SiteSettings
from schemas.topics import RAW
from service.logs import about

log = logging.getLogger(__name__)

StreamKey = tuple[str, str]
"""Site and format."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a translator remembered when all payloads below `offset` had been translated.

    `journal` is the highest sequence of the door's journal among them, -1 without any.
    """

    offset: int
    memory: object
    journal: int = -1


@dataclass(slots=True)
class Stream:
    """One site's payloads of one platform in one raw partition.

    Payloads below `reach` are in its memory already, and so are those up to `journal` in the door's
    journal, if it sends them again. `since` is the first one that is in no kept memory, `later` the
    first one after the memory taken last; None where there is none. `kept` is the offset that the
    kept memory stands for.
    """

    translator: Translator
    settings: SiteSettings
    stateful: bool
    reach: int = 0
    kept: int = 0
    journal: int = -1
    since: int | None = None
    later: int | None = None

    def knows(self, offset: int, journal: int) -> bool:
        """Whether a payload has been translated before."""
        return offset < self.reach or 0 <= journal <= self.journal

    def note(self, offset: int, journal: int) -> None:
        """A payload is about to be translated."""
        self.journal = max(self.journal, journal)
        if self.since is None:
            self.since = offset
        if self.later is None:
            self.later = offset


class Streams:
    """The translators of one raw partition."""

    def __init__(
        self, sites: Sites, customers: Customers, remembered: Mapping[StreamKey, Remembered]
    ) -> None:
        self._sites = sites
        self._customers = customers
        self._remembered = dict(remembered)
        self._streams: dict[StreamKey, Stream] = {}

    def translate(
        self, payload: bytes, name: str, site: str | None, offset: int, journal: int = -1
    ) -> list[Event]:
        """The events of a payload in the format `name`, all of one site; customers are hashed.

        `site` is the known site that its record is keyed by, `journal` its sequence in the door's
        journal if that is to be believed. Raises `Rejected`; an empty list is nothing.
        """
        try:
            if name == CANONICAL:
                events = canonical_events(payload)
            else:
                events = self._of_platform(payload, name, site, offset, journal)
        except Rejected:
            raise
        except Exception as error:  # a defect met in one payload must not stop the others
            place = about(site=site, topic=RAW, offset=offset)
            told = "a payload in the format %s cannot be translated: %s"
            log.error(told, name, defect(error), extra=place)
            raise Rejected("unreadable", "payload", f"not translated: {defect(error)}") from error
        for event in events:
            self._customers.hide(event)
        return events

    def stateful(self) -> Iterator[tuple[StreamKey, Stream]]:
        """The streams that remember."""
        return ((key, stream) for key, stream in self._streams.items() if stream.stateful)

    def silent(self) -> list[tuple[StreamKey, Remembered]]:
        """The memories of streams of which nothing has come yet."""
        return list(self._remembered.items())

    def carry(self, key: StreamKey, remembered: Remembered) -> None:
        """A memory of a stream of which nothing came is now kept at a later offset."""
        if key in self._remembered:
            self._remembered[key] = remembered

    def remind(self, payload: bytes, name: str, site: str, journal: int, begin: int) -> None:
        """Let a translator without a kept memory see a payload that was framed long ago.

        What it remembers of it is in no kept memory either, so nothing from `begin` on may be
        committed before it is.
        """
        if site in self._sites and (site, name) not in self._remembered:
            stream = self._stream(site, name)
            stream.note(begin, journal)
            translate_safely(stream.translator, payload)

    def _of_platform(
        self, payload: bytes, name: str, site: str | None, offset: int, journal: int
    ) -> list[Event]:
        if name not in SOURCES:
            known = ", ".join([CANONICAL, *SOURCES])
            raise Rejected("unreadable", "format", f"{name[:80]!r} is none of {known}")
        if site is None:
            detail = f"a payload of {name} is of the site its record is keyed by, and none is known"
            raise Rejected("unknown_site", "site", detail)
        stream = self._stream(site, name)
        if stream.knows(offset, journal):
            return []
        stream.note(offset, journal)
        try:
            return stream.translator.translate(payload)
        except Unread as error:
            raise Rejected("unreadable", error.field, error.reason, site) from None

    def _stream(self, site: str, name: str) -> Stream:
        key = (site, name)
        settings = self._sites[site].settings
        stream = self._streams.get(key)
        if stream is None:
            stateful = SOURCES[name].stateful
            held = self._remembered.pop(key, None)
            if held is None:
                stream = Stream(_translator(name, settings), settings, stateful)
            else:
                translator = _translator(name, settings, held.memory)
                at = held.offset
                stream = Stream(translator, settings, stateful, at, at, held.journal)
            self._streams[key] = stream
        elif stream.settings is not settings:
            memory = stream.translator.memory()
            stream.translator = _translator(name, settings, memory)
            stream.settings = settings
        return stream


def _translator(name: str, settings: SiteSettings, memory: object = None) -> Translator:
    try:
        translator = begin(SOURCES[name], None, settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(["sources", name, *(str(part) for part in first["loc"])])
        raise Rejected("unreadable", place, first["msg"], settings.site) from None
    if memory is None:
        return translator
    try:
        translator.recall(memory)
    except Exception as error:  # as an earlier version wrote it: no payload may suffer for that
        told = "what %s remembered cannot be read and is forgotten: %s"
        log.error(told, name, type(error).__name__, extra=about(site=settings.site))
        return begin(SOURCES[name], None, settings)
    return translator


def canonical_events(payload: bytes) -> list[Event]:
    """One event as JSON. White space alone is nothing, as an empty line of a file is."""
    if not payload or payload.isspace():
        return []
    named = None
    try:
        obj = parse_payload(payload)
        named = readable_site(obj)
        return [validate_event(obj)]
    except EventError as error:
        raise Rejected.unreadable(error, named) from None
