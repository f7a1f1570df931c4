"""The history in a file: the events of one site by `ts`, and the count of what is unreadable."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from pipeline.sources import BadLine, Format
from schemas.settings import SiteSettings

Report = Callable[[BadLine], None]


@dataclass(slots=True)
class History:
    """Events of one site in the order of `ts`.

    `dead` counts the unreadable lines, `last` is the greatest `ts` of all readable events: those
    after the moment asked for are counted in it but not kept. `site` and `last` are None without
    any readable event.
    """

    site: str | None = None
    last: int | None = None
    dead: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)


def read_history(
    lines: Iterable[bytes],
    source: Format,
    site: str | None,
    until: int | None = None,
    report: Report = lambda _: None,
    settings: SiteSettings | None = None,
) -> History:
    """Read all lines; keep the events with `ts <= until` (epoch ms, None keeps all).

    `report` is told each unreadable line; `settings` say how a platform is read. Raises
    `InputError` if the input breaks off.
    """
    history = History()
    keep = history.events.append
    last: int | None = None
    for item in source.read(lines, site, settings):
        if isinstance(item, BadLine):
            history.dead += 1
            report(item)
            continue
        ts = item["ts"]
        if last is None:
            history.site = item["site"]
            last = ts
        elif ts > last:
            last = ts
        if until is None or ts <= until:
            keep(item)
    history.last = last
    history.events.sort(key=itemgetter("ts"))
    return history
