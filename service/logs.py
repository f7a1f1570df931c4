"""Logging of all processes: one line a record, as words or as JSON, with the same fields.

`configure` is called once, at the start of a process. A call gives what it knows of a record's
place by `extra=about(site=…, topic=…, partition=…, offset=…, epoch=…)`.

Text is whatever others sent us, so it can neither end a line nor begin one: control characters are
escaped, a traceback's lines are indented, and fields stand before the text that could imitate them.
Secrets that the process knows are replaced wherever they appear.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TypedDict
from urllib.parse import quote

import orjson

from schemas.config import COLLECTOR_SECRETS, CONTACT_SECRETS, SECRETS, Config, variable_of

log = logging.getLogger(__name__)

FIELDS = ("site", "topic", "partition", "offset", "epoch")
"""In the order in which a line has them."""
FOREIGN = ("aiokafka", "kafka", "faust", "mode", "aiohttp", "asyncio", "watchfiles")
"""Loggers of libraries: only their warnings are shown, and each of those sparingly."""
QUIET_S = 10.0
HIDDEN = "[secret]"
_SHORTEST_SECRET = 4
"""What is shorter would be found inside of other words."""
_MOST_REMEMBERED = 1000

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What ends a line, moves a cursor, turns the direction of text, or is no text at all."""

_secrets: set[str] = set()


class Place(TypedDict, total=False):
    """What a line is about; a field that is not known is left out."""

    site: str
    topic: str
    partition: int
    offset: int
    epoch: int


class About(TypedDict):
    """What `logging` takes as `extra`."""

    about: Place


def about(
    *,
    site: str | None = None,
    topic: str | None = None,
    partition: int | None = None,
    offset: int | None = None,
    epoch: int | None = None,
) -> About:
    """The fields of a line; those that are None are left out."""
    place = Place()
    if site is not None:
        place["site"] = site
    if topic is not None:
        place["topic"] = topic
    if partition is not None:
        place["partition"] = partition
    if offset is not None:
        place["offset"] = offset
    if epoch is not None:
        place["epoch"] = epoch
    return {"about": place}


def hide(*secrets: str) -> None:
    """Keep these out of every line from now on."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            _secrets.update({secret, quote(secret, safe=""), repr(secret)[1:-1]})


def configure(
    role: str, config: Config, environ: Mapping[str, str] = os.environ, site: str = ""
) -> None:
    """Log to standard error as `log_level` and `log_format` say, as this role.

    A process of one `site`, as collectors are, need not name it in each line.
    """
    hide(*_known_secrets(config, environ))
    handler = logging.StreamHandler()
    handler.addFilter(Sparingly())
    handler.setFormatter(formatter(role, config.log_format, site))
    logging.basicConfig(level=config.log_level, handlers=[handler], force=True)
    for name in FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """What ends the process is a line like any other, for whoever reads JSON."""
    if issubclass(kind, KeyboardInterrupt):
        return
    log.critical("the process ends: %s", kind.__name__, exc_info=(kind, error, traceback))


def formatter(role: str, form: str, site: str = "") -> logging.Formatter:
    """The form of lines: `text` or `json`."""
    return JsonFormatter(role, site) if form == "json" else TextFormatter(role, site)


def one_line(text: str) -> str:
    """A text that stays within its line and does nothing to a terminal."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")


def _known_secrets(config: Config, environ: Mapping[str, str]) -> Iterable[str]:
    yield from (getattr(config, name) for name in (*SECRETS, *CONTACT_SECRETS))
    yield from (environ.get(variable_of(name), "") for name in COLLECTOR_SECRETS)


def _without_secrets(text: str) -> str:
    # The longest first: one may hold another.
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


class Sparingly(logging.Filter):
    """Lets a warning of a library through once in ten seconds.

    While a broker is away the Kafka client says so ten times a second. What is below a warning is
    there only because somebody asked for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is worth a line."""
        if record.name.partition(".")[0] not in FOREIGN or record.levelno < logging.WARNING:
            return True
        key, now = (record.name, str(record.msg)), time.monotonic()
        if now - self._last.get(key, -QUIET_S) < QUIET_S:
            return False
        if len(self._last) >= _MOST_REMEMBERED:
            self._last.clear()
        self._last[key] = now
        return True


class _Formatter(logging.Formatter):
    """What both forms share."""

    def __init__(self, role: str, site: str = "") -> None:
        super().__init__()
        self.role = role
        self.own: Place = {"site": site} if site else {}

    def place(self, record: logging.LogRecord) -> Mapping[str, Any]:
        """The fields of a line; what the call does not name is the process's own."""
        found = getattr(record, "about", None)
        return {**self.own, **found} if isinstance(found, Mapping) else self.own

    def when(self, record: logging.LogRecord) -> str:
        """The moment in UTC, to the millisecond."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"

    def said(self, record: logging.LogRecord) -> str:
        """The message; a call whose arguments do not fit it still gives a line."""
        try:
            return record.getMessage()
        except (TypeError, ValueError, KeyError):
            return f"{record.msg} {record.args!r}"

    def trouble(self, record: logging.LogRecord) -> str:
        """The traceback, and the stack where one was asked for."""
        parts = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


class TextFormatter(_Formatter):
    """`time LEVEL role logger [fields]: message`, and a traceback in indented lines below."""

    def format(self, record: logging.LogRecord) -> str:
        """The line or lines of a record."""
        place = self.place(record)
        words = " ".join(f"{name}={_word(place[name])}" for name in FIELDS if name in place)
        head = f"{self.when(record)} {record.levelname} {self.role} {record.name}"
        told = f"{head} [{words}]" if words else head
        lines = [one_line(f"{told}: {self.said(record)}")]
        trouble = self.trouble(record)
        # Not splitlines: what only some take for the end of a line is escaped, not obeyed.
        lines += [f"    | {one_line(line)}" for line in trouble.split("\n") if trouble]
        return _without_secrets("\n".join(lines))


class JsonFormatter(_Formatter):
    """An object with time, level, role, logger, message, the fields, and a traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line: dict[str, Any] = {
            "time": self.when(record),
            "level": record.levelname,
            "role": self.role,
            "logger": record.name,
            "message": _shown(self.said(record)),
        }
        place = self.place(record)
        for name in FIELDS:
            if name in place:
                value = place[name]
                line[name] = _shown(value) if isinstance(value, str) else value
        trouble = self.trouble(record)
        if trouble:
            line["exception"] = "\n".join(_shown(part) for part in trouble.split("\n"))
        return orjson.dumps(line, default=repr).decode()


def _word(value: object) -> str:
    """A value of which one can tell where it ends; a site's name may hold anything."""
    text = str(value)
    plain = re.fullmatch(r"[\w.:/@+-]+", text) is not None
    return text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shown(text: str) -> str:
    return one_line(_without_secrets(text))
