"""What Grafana and its ClickHouse plugin do to the queries of a board before they are sent.

Variables as Grafana's formats write them; `$__conditionalAll` as the plugin's frontend does; the
macros as its backend does, version 4: seconds become `toDateTime(n)`, milliseconds
`fromUnixTimestamp64Milli(n)`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GENERATED = Path(__file__).parents[3] / "dashboards" / "generated" / "grafana"

ALL = "$__all"
Value = str | list[str]
Values = Mapping[str, Value]

_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(?!__)(\w+)")


@dataclass(frozen=True)
class Target:
    """A query of a panel."""

    board: str
    panel: str
    kind: str
    query: dict[str, Any]

    @property
    def ref(self) -> str:
        return str(self.query["refId"])

    @property
    def text(self) -> str:
        return str(self.query["expr"] if self.is_promql else self.query["rawSql"])

    @property
    def is_promql(self) -> bool:
        return self.query["datasource"]["type"] == "prometheus"

    def __str__(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref}"


def committed() -> dict[str, dict[str, Any]]:
    """The committed boards by their uid."""
    found = [json.loads(path.read_text("utf-8")) for path in sorted(GENERATED.glob("*.json"))]
    return {board["uid"]: board for board in found}


def panels(board: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Panels of a board, those in collapsed rows too; rows themselves left out."""
    for panel in board["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def targets(board: Mapping[str, Any]) -> Iterator[Target]:
    """Queries of all panels of a board."""
    for panel in panels(board):
        for query in panel.get("targets", []):
            yield Target(board["uid"], panel["title"], panel["type"], query)


def everything() -> list[Target]:
    return [target for board in committed().values() for target in targets(board)]


def expand_promql(text: str, values: Values, rate_interval: str) -> str:
    """Variables of a query to Prometheus; several values are joined as a regular expression."""

    def written(match: re.Match[str]) -> str:
        value = values[match[1] or match[3]]
        if isinstance(value, str):
            return ".*" if value == ALL else value
        return f"({'|'.join(re.escape(each) for each in value)})"

    return _VARIABLE.sub(written, text.replace("$__rate_interval", rate_interval))


def expand_sql(text: str, values: Values, start_ms: int, end_ms: int, interval_s: int = 60) -> str:
    """A query to ClickHouse as it reaches the server."""
    conditioned = _conditional_all(text, values)
    return _macros(
        _VARIABLE.sub(lambda m: _sql_value(m, values), conditioned), start_ms, end_ms, interval_s
    )


def _sql_value(match: re.Match[str], values: Values) -> str:
    value, form = values[match[1] or match[3]], match[2]
    if form == "sqlstring":
        each = [value] if isinstance(value, str) else value
        return ",".join("'" + one.replace("'", "''") + "'" for one in each)
    if form is not None:
        raise ValueError(f"format {form} is not known here")
    return value if isinstance(value, str) else "'" + "','".join(value) + "'"


def _conditional_all(text: str, values: Values) -> str:
    macro = "$__conditionalAll("
    at = text.rfind(macro)
    while at != -1:
        arguments, end = _arguments(text, at + len(macro))
        if len(arguments) != 2:
            raise ValueError(f"{macro} takes two arguments: {text[at:end]}")
        name = re.search(r"(?<=\$\{)\w+(?=\})|(?<=\$)\w+", arguments[1])
        assert name is not None, arguments
        phrase = "1=1" if values[name[0]] in ("", ALL) else arguments[0]
        text = text[:at] + phrase + text[end:]
        at = text.rfind(macro)
    return text


def _macros(text: str, start_ms: int, end_ms: int, interval_s: int) -> str:
    start, end = f"toDateTime({start_ms // 1000})", f"toDateTime({end_ms // 1000})"
    start_64 = f"fromUnixTimestamp64Milli({start_ms})"
    end_64 = f"fromUnixTimestamp64Milli({end_ms})"
    filters = {
        "$__timeFilter_ms(": f"{{0}} >= {start_64} AND {{0}} <= {end_64}",
        "$__timeFilter(": f"{{0}} >= {start} AND {{0}} <= {end}",
        "$__timeInterval(": f"toStartOfInterval(toDateTime({{0}}), INTERVAL {interval_s} second)",
    }
    for macro, written in filters.items():
        while (at := text.find(macro)) != -1:
            (column,), stop = _arguments(text, at + len(macro))
            text = text[:at] + written.format(column) + text[stop:]
    for word, value in (
        ("$__fromTime_ms", start_64),
        ("$__toTime_ms", end_64),
        ("$__fromTime", start),
        ("$__toTime", end),
        ("$__interval_s", str(interval_s)),
    ):
        text = text.replace(word, value)
    if "$__" in text:
        raise ValueError(f"a macro that is not known here: {text[text.index('$__') :][:40]}")
    return text


def _arguments(text: str, start: int) -> tuple[list[str], int]:
    """Arguments up to the parenthesis that closes the one before `start`, and where that ends."""
    depth, begin, found = 1, start, []
    for at in range(start, len(text)):
        letter = text[at]
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return [*found, text[begin:at].strip()], at + 1
        if letter == "," and depth == 1:
            found.append(text[begin:at].strip())
            begin = at + 1
    raise ValueError(f"no closing parenthesis: {text[start:][:40]}")
