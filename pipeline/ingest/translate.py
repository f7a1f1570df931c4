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
from pipeline.sources.capture import begin, translate_safely
from pipeline.sources.source import Event, Translator, Unread
from schemas.events import EventError, parse_payload, readable_site, validate_event
from schemas.settings import SiteSettings

log = logging.getLogger(__name__)

StreamKey = tuple[str, str]
"""Site and format."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a translator remembered when all payloads below `offset` had been translated."""

    offset: int
    memory: object


@dataclass(slots=True)
class Stream:
    """One site's payloads of one platform in one raw partition.

    Payloads below `reach` are in its memory already. `since` is the first one that is in no kept
    memory, `later` the first one after the memory taken last; None where there is none.
    """

    translator: Translator
    settings: SiteSettings
    stateful: bool
    reach: int = 0
    since: int | None = None
    later: int | None = None

    def note(self, offset: int) -> None:
        """A payload is about to be translated."""
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

    def translate(self, payload: bytes, name: str, site: str | None, offset: int) -> list[Event]:
        """The events of a payload in the format `name`, all of one site; customers are hashed.

        `site` is the known site that its record is keyed by. Raises `Rejected`; an empty list is
        nothing.
        """
        try:
            if name == CANONICAL:
                events = canonical_events(payload)
            else:
                events = self._of_platform(payload, name, site, offset)
        except Rejected:
            raise
        except Exception as error:  # a defect met in one payload must not stop the others
            log.exception("a payload in the format %s cannot be translated", name)
            raise Rejected("unreadable", "payload", f"not translated: {error!a}"[:500]) from error
        for event in events:
            self._customers.hide(event)
        return events

    def stateful(self) -> Iterator[tuple[StreamKey, Stream]]:
        """The streams that remember."""
        return ((key, stream) for key, stream in self._streams.items() if stream.stateful)

    def remind(self, payload: bytes, name: str, site: str) -> None:
        """Let a translator without a kept memory see a payload that was framed long ago."""
        if site in self._sites and (site, name) not in self._remembered:
            translate_safely(self._stream(site, name).translator, payload)

    def _of_platform(self, payload: bytes, name: str, site: str | None, offset: int) -> list[Event]:
        if name not in SOURCES:
            known = ", ".join([CANONICAL, *SOURCES])
            raise Rejected("unreadable", "format", f"{name[:80]!r} is none of {known}")
        if site is None:
            detail = f"a payload of {name} is of the site its record is keyed by, and none is known"
            raise Rejected("unknown_site", "site", detail)
        stream = self._stream(site, name)
        if offset < stream.reach:
            return []
        stream.note(offset)
        try:
            return stream.translator.translate(payload)
        except Unread as error:
            raise Rejected("unreadable", error.field, error.reason, site) from None

    def _stream(self, site: str, name: str) -> Stream:
        key = (site, name)
        settings = self._sites[site].settings
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(
                _translator(name, settings), settings, SOURCES[name].stateful
            )
            remembered = self._remembered.pop(key, None)
            if remembered is not None:
                stream.reach = remembered.offset
                stream.translator.recall(remembered.memory)
        elif stream.settings is not settings:
            memory = stream.translator.memory()
            stream.translator, stream.settings = _translator(name, settings), settings
            stream.translator.recall(memory)
        return stream


def _translator(name: str, settings: SiteSettings) -> Translator:
    try:
        return begin(SOURCES[name], None, settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(["sources", name, *(str(part) for part in first["loc"])])
        raise Rejected("unreadable", place, first["msg"], settings.site) from None


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
