"""What a source is: a platform whose payloads a translator turns into canonical events.

Translation is apart from collection. A translator sees payloads as the platform wrote them, reads
no clock and calls nobody, so that a corrected one can read history again. How payloads come in (a
webhook, a socket, a file, a topic) is no business of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict

from pipeline.sources.lines import BadLine
from schemas.events import EventError, validate_event

Event = dict[str, Any]


class Unread(ValueError):
    """A payload that no event can be made of: the platform's `field` that is wrong, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class NoOptions(BaseModel):
    """What a site may set of a source; each source extends it by what it needs."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Context:
    """Where a translator works: the site, the source's name, the site's zone and its options."""

    site: str
    source: str
    options: Any = field(default_factory=NoOptions)
    time_zone: str = "UTC"

    def event(self, name: str, ts: int, **fields: Any) -> Event:
        """A validated event of this source; a field that is None is absent.

        Raises `Unread` with the canonical field if a value is none that the contract allows, such
        as an id that is empty or has more than 200 characters.
        """
        made = {"type": name, "site": self.site, "ts": ts, "source": self.source, **fields}
        try:
            return validate_event(made)
        except EventError as error:
            raise Unread(error.field, error.reason) from None


class Translator(ABC):
    """One site's stream of payloads of one platform, to be fed in the order in which they came.

    A translator that needs to remember (who waits, who holds) keeps that in what `memory` gives:
    the same memory and the same payload always give the same events. It is bounded.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    @abstractmethod
    def translate(self, payload: bytes) -> list[Event]:
        """The validated events of a payload; none for one that is understood and says nothing.

        Raises `Unread`, and nothing else, whatever the payload holds; then nothing is remembered
        of it. Events that report a contact after its end come newest first: a contact that is
        known to the engine by its end is not late with its beginning.
        """

    def memory(self) -> Any:
        """What is remembered, as JSON; None if the translator remembers nothing."""
        return None

    def recall(self, memory: Any) -> None:  # noqa: B027  # most remember nothing
        """Take up what an earlier translator of this stream remembered."""


Payloads = Iterator[tuple[int, bytes] | BadLine]


def lines_of(lines: Iterable[bytes]) -> Payloads:
    """Each line that is not empty is a payload."""
    for number, line in enumerate(lines, 1):
        payload = line.strip()
        if payload:
            yield number, payload


def elements_of(lines: Iterable[bytes]) -> Payloads:
    """Each line is a payload, or an array of them as the platform posts it: so does the door."""
    for number, line in enumerate(lines, 1):
        payload = line.strip()
        elements = _array(payload) if payload.startswith(b"[") else None
        if elements is not None:
            yield from ((number, orjson.dumps(element)) for element in elements)
        elif payload:
            yield number, payload


def _array(payload: bytes) -> list[Any] | None:
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, list) else None


@dataclass(frozen=True, slots=True)
class Source:
    """A platform: its name as a user gives it, its translator, and how a capture is taken apart.

    `kind` names what a payload is in the platform's own words, for the summary of a capture; it
    raises nothing. `stateful` says that its translator remembers.
    """

    name: str
    title: str
    translator: Callable[[Context], Translator]
    kind: Callable[[bytes], str]
    options: type[BaseModel] = NoOptions
    payloads: Callable[[Iterable[bytes]], Payloads] = lines_of
    stateful: bool = False

    def begin(self, site: str, options: Mapping[str, Any], time_zone: str = "UTC") -> Translator:
        """A translator for a site. Raises pydantic's `ValidationError` for wrong options."""
        checked = self.options.model_validate(dict(options))
        return self.translator(Context(site, self.name, checked, time_zone))
