"""From a payload to canonical events, by the `format` its header names.

Translation runs here, over the raw topic, so that a corrected translator can read history again.
A translator is pure: payload in, validated events of one site out, or `Rejected`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.ingest.dead_letters import Rejected
from pipeline.ingest.raw import CANONICAL
from schemas.events import EventError, parse_payload, readable_site, validate_event

log = logging.getLogger(__name__)

Event = dict[str, Any]
Translate = Callable[[bytes, str | None], list[Event]]
"""Payload and the site its record is keyed by, if it is one; all events are of one site."""


def translate(payload: bytes, name: str, site: str | None) -> list[Event]:
    """The events of a payload in the format `name`. Raises `Rejected`; an empty list is nothing."""
    translator = TRANSLATORS.get(name)
    if translator is None:
        known = ", ".join(sorted(TRANSLATORS))
        raise Rejected("unreadable", "format", f"{name[:80]!r} is none of {known}")
    try:
        return translator(payload, site)
    except Rejected:
        raise
    except Exception as error:  # a defect met in one payload must not stop the others
        log.exception("a payload in the format %s cannot be translated", name)
        raise Rejected("unreadable", "payload", f"not translated: {error!a}"[:500]) from error


def _canonical(payload: bytes, site: str | None) -> list[Event]:
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


TRANSLATORS: Mapping[str, Translate] = {CANONICAL: _canonical}
"""The translators by the name in the header `format`."""
