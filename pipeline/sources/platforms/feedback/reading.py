"""Values of a row: text from CSV or JSON values, read as what a column means."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.sources import values
from pipeline.sources.platforms.feedback.options import FeedbackOptions
from pipeline.sources.source import Unread
from pipeline.sources.values import iso, name_or_none, shown, whole
from schemas.moments import from_datetime

Row = Mapping[str, Any]

_FLAGS = {
    "true": True, "yes": True, "y": True, "1": True, "resolved": True,
    "false": False, "no": False, "n": False, "0": False, "unresolved": False,
}  # fmt: skip
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,15})?")
# 84,5 is what a spreadsheet of half of Europe writes; 1,000 might be a thousand and is refused.
_COMMA_NUMBER = re.compile(r"([+-]?\d{1,3}),(\d{1,2})")
_STARS = re.compile(r"(★{1,5})☆{0,4}|([1-5])(?:\.0+)?(?: ?/ ?5| stars?)?", re.IGNORECASE)
_SHORTENED = re.compile(r"\d[.,]?\d*E\+\d\d")
_EARLIEST_MS = 500_000_000_000
"""1985. Less is no epoch ms of a contact centre: 1772442000 are seconds, and of 2026."""
_STEPS = {"1-10": 2, "percent": 20}
"""How much of a scale is one of five."""


def id_at(row: Row, column: str) -> str:
    """An id that must be there."""
    found = id_or_none(row, column)
    if found is None:
        raise Unread(column, "is required")
    return found


def id_or_none(row: Row, column: str) -> str | None:
    """An id without the blanks around it, None where it is absent."""
    found = name_or_none(row, column)
    if found is not None and _SHORTENED.fullmatch(found):
        reason = f"{shown(found)} is a long number that a spreadsheet has shortened"
        raise Unread(column, reason)
    return (found.strip() or None) if found is not None else None


def customer_or_none(row: Row) -> str | None:
    """The customer, None where there is none; a wrong one is refused without being told."""
    found = values.customer_or_none(row, "customer")
    return (found.strip() or None) if found is not None else None


def text_or_none(row: Row, column: str) -> str | None:
    """Text or a number as its digits, None where it is absent."""
    value = row.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is not None and not isinstance(value, str):
        raise Unread(column, f"should be text, not {shown(value)}")
    return value


def whole_or_none(row: Row, column: str) -> int | None:
    """A whole number, also written `7.0`; None where it is absent."""
    value = number_or_none(row, column)
    if value is None:
        return None
    if not float(value).is_integer():
        raise Unread(column, f"should be a whole number, not {shown(row[column])}")
    return int(value)


def number(row: Row, column: str) -> float:
    """A number that must be there."""
    value = number_or_none(row, column)
    if value is None:
        raise Unread(column, "is required")
    return value


def number_or_none(row: Row, column: str) -> float | None:
    """A finite number, None where it is absent."""
    value = row.get(column)
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        comma = _COMMA_NUMBER.fullmatch(text)
        text = f"{comma[1]}.{comma[2]}" if comma else text
        if not _NUMBER.fullmatch(text) or not text.isascii():
            raise Unread(column, f"should be a number, not {shown(value)}")
        return float(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unread(column, f"should be a number, not {shown(value)}")
    return float(value)


def flag_or_none(row: Row, column: str) -> bool | None:
    """Yes or no in the usual words, None where it is absent."""
    value = row.get(column)
    if value is None or isinstance(value, bool):
        return value
    flag = _FLAGS.get(str(value).strip().casefold()) if isinstance(value, str | int) else None
    if flag is None:
        raise Unread(column, f"should be true or false, not {shown(value)}")
    return flag


def csat_or_none(row: Row, options: FeedbackOptions) -> int | None:
    """Satisfaction from 1 to 5; refuses what has no exact place there."""
    value = row.get("csat")
    if value is None:
        return None
    word = options.csat_words.get(value.strip()) if isinstance(value, str) else None
    if word is not None:
        return word
    if options.csat_scale == "stars":
        return _stars(value)
    step = _STEPS.get(options.csat_scale, 1)
    rating = number(row, "csat") / step
    if not rating.is_integer() or not 1 <= rating <= 5:
        reason = f"{shown(value)} on the scale {options.csat_scale} is none of 1 to 5 exactly"
        raise Unread("csat", reason)
    return int(rating)


def _stars(value: object) -> int:
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    found = _STARS.fullmatch(text)
    if found is None or not text.isprintable():
        raise Unread("csat", f"{shown(value)} are not 1 to 5 whole stars")
    return len(found[1]) if found[1] else int(found[2])


def moment_at(row: Row, column: str, zone: str, pattern: str | None) -> int:
    """Epoch ms of a moment that must be there."""
    moment = moment_or_none(row, column, zone, pattern)
    if moment is None:
        raise Unread(column, "is required")
    return moment


def moment_or_none(row: Row, column: str, zone: str, pattern: str | None) -> int | None:
    """Epoch ms of ISO text, of digits (epoch ms), or of the site's own pattern.

    Text without an offset is of the site's zone.
    """
    value = row.get(column)
    if value is None:
        return None
    if isinstance(value, bool):
        raise Unread(column, f"should be a time, not {shown(value)}")
    if isinstance(value, int | float) or _digits(value):
        ms = whole(value.strip() if isinstance(value, str) else value, column)
        if ms < _EARLIEST_MS:
            raise Unread(column, f"{shown(value)} is no time in epoch milliseconds")
        return ms
    if pattern is not None and isinstance(value, str):
        moment = _of_pattern(value.strip(), pattern, zone)
        if moment is not None:
            return moment
    return iso(value.strip() if isinstance(value, str) else value, column, zone)


def _digits(value: object) -> bool:
    # ISO dates such as 20261127 are digits too; nothing of 1970's first days is ever meant.
    return isinstance(value, str) and value.strip().isdecimal() and len(value.strip()) > 8


@lru_cache(maxsize=4096)
def _of_pattern(text: str, pattern: str, zone: str) -> int | None:
    try:
        moment = datetime.strptime(text, pattern)  # noqa: DTZ007  # its zone follows
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(zone))
        return from_datetime(moment)
    except (ValueError, OverflowError):
        return None
