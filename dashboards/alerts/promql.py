"""PromQL of alerts: one text that asks for all series of a rule, or for those of one alert.

Everything is read a second ago (`offset 1s`). A scrape is stored under the moment it began, so
without that a rule and the numbers of its message could see two scrapes; read later, both see the
same one, and numerator, denominator and the site's time belong together.

While a site moves between workers two of them export it for some seconds. Only the figures of the
one whose site time is newest are read, so that no number is mixed from two and no alert carries
the name of a machine.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sinks.prometheus.names import Metric

Labels = tuple[str, ...]

SITE: Labels = ("site",)
QUEUE: Labels = ("site", "queue", "channel")
TEAM: Labels = ("site", "team")

AGO = "1s"

_HERE = "<<here>>"
_SITE = "<<site>>"
_CHOSEN = "<<chosen>>"


def newest(metric: Metric, by: Labels, *matchers: str, pick: str = "max", ago: str = AGO) -> str:
    """The figure of the worker whose site time is newest, one sample for each `by`.

    `pick` joins what `matchers` leave several of, such as windows.
    """
    wanted = f"{{{', '.join((_SITE if by == SITE else _HERE, *matchers))}}}"
    times = f"callboard_site_time_timestamp_seconds{{{_SITE}}} offset {ago}"
    owner = f"and on (site, instance) topk by (site) (1, {times})"
    return f"{pick} by ({', '.join(by)}) ({metric.name}{wanted} offset {ago} {owner})"


def one_of(label: str, *named: tuple[str, str]) -> str:
    """Several expressions, each under a value of one label: `(value, expression)`."""
    parts = [f'label_replace({text}, "{label}", "{value}", "", "")' for value, text in named]
    return f"(({' or '.join(parts)}){_CHOSEN})"


def for_all(text: str) -> str:
    """The query of a rule: every series."""
    return _tidy(text.replace(_HERE, "").replace(_SITE, "").replace(_CHOSEN, ""))


def for_one(text: str, scope: Sequence[str]) -> str:
    """The query of one alert, as a format of Go's `printf` over the values of its labels."""
    here = [f"{label}=%[{place}]q" for place, label in enumerate(scope, 1)]
    site = here[: 1 if scope[:1] == ("site",) else 0]
    chosen = (
        f' and on ({scope[0]}) label_replace(vector(1), "{scope[0]}", %[1]q, "", "")'
        if _CHOSEN in text
        else ""
    )
    text = text.replace(_CHOSEN, chosen)
    return _tidy(text.replace(_HERE, ", ".join(here)).replace(_SITE, ", ".join(site)))


def _tidy(text: str) -> str:
    return re.sub(r"\{, ", "{", text).replace("{}", "")
