"""What an alert is: one definition, from which the rules of both deliverers are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dashboards.alerts.promql import Labels

Unit = Literal["ratio", "seconds", "count"]
Severity = Literal["critical", "warning", "none"]

NOTHING = "n/a"
"""What a number says that this alert does not have."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of a message: its query, and its unit for people. No query: the alert has none."""

    query: str
    unit: Unit = "count"


NO_FIGURE = Figure("")


@dataclass(frozen=True, slots=True)
class Figures:
    """The numbers every alert carries; `more` are further ones its description names."""

    value: Figure
    target: Figure
    numerator: Figure = NO_FIGURE
    denominator: Figure = NO_FIGURE
    more: Mapping[str, Figure] = field(default_factory=dict)

    def by_name(self) -> dict[str, Figure]:
        """All of them, under the names of annotations and of places in texts."""
        return {
            "numerator": self.numerator,
            "denominator": self.denominator,
            "value": self.value,
            "target": self.target,
            **self.more,
        }


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule.

    It triggers when `value` has been beyond `trigger` for `lasts`, and once it fires it goes on
    until `value` is beyond `clear` on the good side: between the two nothing changes. Both are
    PromQL, so that targets come from the settings of a site. `guards` are clauses (`and on …`,
    `unless on …`) without which it neither triggers nor goes on; minimum volume is one. A series
    that vanishes, a ratio without traffic for instance, ends it after `keeps`, which bridges the
    seconds in which a site moves to another worker.

    `scope` are the labels that tell its alerts apart. `explained` is the KPI by its name for
    `/explain`, with its window; empty for the pipeline's own alerts. `summary` and `description`
    may name labels of the scope and figures, in braces. Alerts with `business_hours` are evaluated
    always but delivered only while the site is open.
    """

    name: str
    severity: Severity
    scope: Labels
    value: str
    breach: Literal["below", "above"]
    trigger: str
    clear: str
    lasts: str
    summary: str
    description: str
    figures: Figures
    dashboard: str
    guards: tuple[str, ...] = ()
    keeps: str = "1m"
    explained: str = ""
    window: str = ""
    business_hours: bool = False
    hysteresis: str = ""
    """Trigger and clear level in words, for the table of the documentation."""

    @property
    def uid(self) -> str:
        """Stable name of the rule in Grafana, at most 40 characters: history hangs on it."""
        words = "".join(f"-{c.lower()}" if c.isupper() else c for c in self.name)
        short = words.removeprefix("-callboard-")
        return f"cb-{short}" if self.severity != "critical" else f"cb-{short}-crit"

    @property
    def runbook(self) -> str:
        """Name of its page in `docs/runbooks`, without the ending."""
        return self.name
