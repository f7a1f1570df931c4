"""The page of an explained figure: a sentence, the formula, the contacts. Pure."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from schemas.kpis import FORMULA_TEXT
from schemas.moments import to_datetime
from sinks.board.explain import KPIS, NOW, Explained

NONE = "–"
WINDOW_TEXT = {
    "5m": "5 minutes",
    "15m": "15 minutes",
    "30m": "30 minutes",
    "60m": "60 minutes",
    "today": "today",
    "total": "all time",
}
TIMES = ("asa", "aht", "longest_wait")
"""KPIs whose figure is a time."""


def page(title: str, body: str, root: str, link: str = "") -> str:
    """A whole page; `root` leads from its address to the board's, `link` is the board's query."""
    board = f"{root or './'}{link}"
    return (
        '<!doctype html>\n<html lang="en" data-view="explain">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)} · callboard</title>\n"
        f'<link rel="icon" href="{root}static/icon.svg" type="image/svg+xml">\n'
        f'<link rel="stylesheet" href="{root}static/css/theme.css">\n'
        f'<link rel="stylesheet" href="{root}static/css/explain.css">\n'
        f'<script src="{root}static/js/theme.js"></script>\n</head>\n<body>\n'
        '<a class="skip" href="#main">Skip to the answer</a>\n'
        f'<header><nav aria-label="Board"><a href="{escape(board)}">Live board</a></nav></header>\n'
        f'<main id="main" tabindex="-1">\n{body}\n</main>\n</body>\n</html>\n'
    )


def error_page(title: str, text: str) -> str:
    """A page that says what is wrong."""
    body = f'<h1>{escape(title)}</h1><p class="lead">{escape(text)}</p>'
    return page(title, body, root="")


def render(found: Explained) -> str:
    """The page of an answer."""
    head = headline(found)
    asked = found.asked
    level = _level(found)
    words = {"on": "On target", "off": "Off target"}.get(level, "")
    body = [f'<h1 data-level="{level}">{escape(head).replace(" %", "&nbsp;%")}</h1>']
    if words:
        body.append(f'<p class="verdict" data-level="{level}">{words}</p>')
    body.append(f'<p class="formula">{escape(_formula(found))}</p>')
    body.append(f'<p class="note">{escape(_when(found))}</p>')
    if asked.kpi == "occupancy":
        body.append(_section("Agents", _count(found, "row"), _agents(found)))
    else:
        body.append(_section("Contacts", _count(found, "contact"), _contacts(found)))
        if found.worst and asked.kpi not in NOW:
            note = "Visits of the window and those that wait, longest first."
            body.append(_section("Worst waits", note, _worst(found)))
    link = "?" + urlencode({"site": asked.site, "window": asked.window}) + "#queues"
    return page(head, "\n".join(body), root="", link=link)


def headline(found: Explained) -> str:
    """The answer in a sentence."""
    asked = found.asked
    when = _time(found, found.at)
    span = f"at {when}" if asked.kpi in NOW else f"{WINDOW_TEXT[asked.window]} to {when}"
    aim = f", target {_target(found)}" if found.target is not None else ""
    return f"{KPIS[asked.kpi]} of {_where(found)}, {span}: {_sum(found)}{aim}"


def _where(found: Explained) -> str:
    asked, told = found.asked, found.settings
    if asked.team:
        return told.team(asked.team).name or asked.team
    name = told.queue(asked.queue).name if asked.queue else (told.name or asked.site)
    return f"{name} ({asked.channel})" if asked.channel else name


def _sum(found: Explained) -> str:
    kpi, above, below = found.asked.kpi, found.numerator or 0, found.denominator
    if kpi == "waiting":
        return f"{above:,}"
    if kpi == "longest_wait":
        return f"{_duration(found.value)}, {above:,} of {below or 0:,} waiting past the threshold"
    if not below:
        return "no data"
    if kpi in ("asa", "aht"):
        return f"{_duration(above)} / {below:,} = {_duration(found.value)}"
    if kpi == "occupancy":
        return f"{_duration(above)} of {_duration(below)} = {_value(found)}"
    return f"{above:,} of {below:,} = {_value(found)}"


def _value(found: Explained) -> str:
    """One decimal; a figure that misses its target is never rounded into it."""
    value, target = found.value or 0.0, found.target
    shown = round(value * 1000)
    if isinstance(target, int | float) and value != target and shown == round(target * 1000):
        shown += 1 if value > target else -1
    return f"{shown / 10:.1f} %"


def _target(found: Explained) -> str:
    target = found.target
    if isinstance(target, list):
        return f"{target[0] * 100:g}–{target[1] * 100:g} %"
    if found.asked.kpi in TIMES:
        return _duration(target)
    return f"{round(target * 100, 2):g} %"


def _level(found: Explained) -> str:
    """Whether the figure meets its target; none without either."""
    value, target, kpi = found.value, found.target, found.asked.kpi
    if value is None or target is None:
        return "none"
    if isinstance(target, list):
        return "on" if target[0] <= value <= target[1] else "off"
    met = value >= target if kpi == "service_level" else value <= target
    return "on" if met else "off"


def _formula(found: Explained) -> str:
    asked, told = found.asked, found.settings
    if asked.kpi == "declined":
        return "Rings that ended without an answer, of those and the answered contacts."
    text = FORMULA_TEXT.get(found.formula, "")
    if asked.kpi != "service_level":
        return text[:1].upper() + text[1:] + "."
    own = told.queue(asked.queue) if asked.queue else None
    limit = f", T = {_duration(own.threshold_ms)}" if own else ", T is that of each queue"
    excludes = own.exclude_short if own else told.defaults.exclude_short
    short = "; short abandons are left out" if excludes else ""
    return f"By {found.formula}: {text}{limit}{short}."


def _when(found: Explained) -> str:
    moment = to_datetime(found.at)
    zone = found.settings.time_zone
    day = "" if moment is None else f"{moment.astimezone(ZoneInfo(zone)):%A %d %B %Y}, "
    known = f"As known at {_time(found, found.at)}; events that came late may have changed it."
    return f"{day}{zone}. {known}"


def _count(found: Explained, what: str) -> str:
    total, shown = found.total, len(found.contacts)
    if not total:
        return f"No {what} is counted."
    plural = "" if total == 1 else "s"
    return f"{total:,} {what}{plural}." if shown == total else (
        f"The first {shown:,} of {total:,} {what}s; the figure counts all."
    )  # fmt: skip


Cell = Callable[[dict[str, Any]], str]


def _contacts(found: Explained) -> str:
    def counted(row: dict[str, Any]) -> str:
        inside = bool(row["in_numerator"])
        return _mark(inside, "numerator" if inside else "denominator only")

    columns = _columns(found)
    columns.insert(2, ("Counts in", "counts-in", counted))
    return _table("contacts", columns, found.contacts)


def _mark(inside: bool, text: str) -> str:
    return f'<span class="counts {"in" if inside else "out"}">{escape(text)}</span>'


def _worst(found: Explained) -> str:
    return _table("worst", _columns(found), found.worst)


def _columns(found: Explained) -> list[tuple[str, str, Cell]]:
    return [
        ("Contact", "name", lambda row: escape(row["contact"])),
        ("Wait", "n", lambda row: _duration(row["wait_ms"])),
        ("Why", "why", lambda row: escape(row["why"])),
        ("Outcome", "what", lambda row: escape(row["outcome"])),
        ("Queued", "n", lambda row: _time(found, row["queued_at"])),
        ("Ended", "n", lambda row: _time(found, row["outcome_at"])),
        ("Agent", "agent", lambda row: escape(row["agent"]) or NONE),
        ("Queue", "queue", lambda row: escape(row["queue"])),
        ("Channel", "channel", lambda row: escape(row["channel"])),
        ("Threshold", "n threshold", lambda row: _duration(row["threshold_ms"])),
    ]


def _agents(found: Explained) -> str:
    columns: list[tuple[str, str, Cell]] = [
        ("Agent", "name", lambda row: escape(row["agent"])),
        ("Counts as", "why", lambda row: (
            _mark(bool(row["in_numerator"]), row["why"])
        )),
        ("State", "what", lambda row: escape(row["state"])),
        ("Time", "n", lambda row: _duration(row["duration_ms"])),
        ("Team", "queue", lambda row: escape(row["team"]) or NONE),
    ]  # fmt: skip
    return _table("agents", columns, found.contacts)


def _section(title: str, note: str, table: str) -> str:
    key = title.lower().replace(" ", "-")
    return (
        f'<section><h2 id="{key}">{title}</h2><p class="note">{escape(note)}</p>'
        f'<div class="scroll" role="region" aria-labelledby="{key}" tabindex="0">{table}</div>'
        "</section>"
    )


def _table(kind: str, columns: list[tuple[str, str, Cell]], rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    head = "".join(f'<th scope="col" class="{css}">{name}</th>' for name, css, _ in columns)
    body = []
    for row in rows:
        first, *rest = (f'class="{css}">{show(row)}' for _, css, show in columns)
        cells = "".join(f"<td {cell}</td>" for cell in rest)
        body.append(f'<tr><th scope="row" {first}</th>{cells}</tr>')
    rest_of_it = f"<tbody>{''.join(body)}</tbody></table>"
    return f'<table class="{kind}"><thead><tr>{head}</tr></thead>{rest_of_it}'


def _time(found: Explained, ms: int | None) -> str:
    moment = None if ms is None else to_datetime(ms)
    if moment is None:
        return NONE
    return f"{moment.astimezone(ZoneInfo(found.settings.time_zone)):%H:%M:%S}"


def _duration(ms: float | None) -> str:
    """0:07, 12:34, 1:02:03: whole seconds that have passed."""
    if ms is None:
        return NONE
    minutes, seconds = divmod(max(0, int(ms)) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
