"""What of a site's history is closed: the live pipeline cannot change it any more.

A live worker may still tell something new of a contact it remembers, and of any moment that is not
late yet. So everything before `horizon` stands. Stories that were not over by then are left as they
are, and so are all that began after the first of them: what began before `until` is replaced, whole
stories at a time. Panes before `high` hold such stories alone. Between `high` and `horizon` a pane
holds some of either kind; where the records then say otherwise, it is left to them (see
docs/adr/0001).

With a lower bound the same holds at the other end: stories from `since` on are replaced, panes from
`low` on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from pipeline.backfill.spool import OPEN, Spool
from pipeline.backfill.telling import NEVER, Telling
from schemas.moments import iso
from schemas.settings import SiteSettings, parse_site
from sinks.clickhouse.backfill import BackfillStore, Known


class BoundsError(Exception):
    """A backfill that was not asked for in a way that can be done; the message says why."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What history was read: up to the present, or a file that ends where it ends."""

    to_the_present: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """See the module. Moments in epoch ms; `version` is what replacing rows are written under.

    `since` is `NEVER` where all of the past is replaced, `until` and what follows it are `OPEN`
    where the store has no live site.
    """

    version: int
    since: int
    low: int
    high: int
    until: int
    horizon: int

    @property
    def whole(self) -> bool:
        """Whether nothing is live: all there is, is replaced."""
        return self.until == OPEN

    def replaces(self, story: int) -> bool:
        """Whether a story that began at a moment is replaced."""
        return self.since <= story < self.until


def find_bounds(
    telling: Telling,
    store: BackfillStore,
    known: Known | None,
    coverage: Coverage,
    asked: tuple[int | None, int | None],
) -> Bounds:
    """The bounds for what was told, the store and what was asked (since, until).

    Raises `BoundsError` where the history read does not reach as far as was asked.
    """
    pane, zone = telling.settings.pane_ms, telling.settings.time_zone
    past = [telling.settings, *(_settings(store))]
    lateness = max(settings.lateness_ms for settings in past)
    since = _since(telling, store, lateness + _reach(past), asked[0], zone)
    low = NEVER if since == NEVER else _low(telling.spool, store, since, pane)
    if known is None:
        if asked[1] is not None:
            raise BoundsError("the store has no live site: all is replaced, --until has no place")
        return Bounds(0, since, low, OPEN, OPEN, OPEN)
    told = known.at if coverage.to_the_present else min(known.at, telling.last)
    horizon = _down(told - lateness, pane)
    until = _until(telling, store, horizon, horizon - _reach(past))
    if asked[1] is not None:
        if asked[1] > until:
            raise BoundsError(
                f"--until {iso(asked[1], zone)} is too late: what began after {iso(until, zone)} "
                "may still change, or the history read ends before it is over"
            )
        until = _down(asked[1], pane)
    kept = [
        first
        for first in (
            telling.spool.first_of_stories(until, OPEN),
            store.first_of_stories(until, OPEN),
        )
        if first is not None
    ]
    high = _down(min([until, *kept]), pane)
    return Bounds(known.version, since, low, high, until, horizon)


def _settings(store: BackfillStore) -> Iterator[SiteSettings]:
    for stored in store.settings():
        yield parse_site(orjson.loads(stored.row["settings"]), "the store")


def _reach(past: Iterable[SiteSettings]) -> int:
    """The longest a visit or leg may last under any of these settings."""
    longest = 0
    for settings in past:
        queues = [settings.queue(name).stuck_after_ms for name in (*settings.queues, "")]
        longest = max(longest, settings.stuck_after_ms, *queues)
    return longest


def _since(
    telling: Telling, store: BackfillStore, warm_up: int, asked: int | None, zone: str
) -> int:
    """From when on the history read says all there is to say."""
    pane = telling.settings.pane_ms
    first = _first_stored(store)
    covered = NEVER
    began = telling.first
    if first is not None and began is not None and first < began - telling.settings.lateness_ms:
        covered = _up(began + warm_up, pane)
    if asked is None:
        return covered
    if asked < covered:
        raise BoundsError(
            f"--since {iso(asked, zone)} is too early: the history read begins in the middle of "
            f"what the store has, and is sure only from {iso(covered, zone)} on"
        )
    return _up(asked, pane)


def _first_stored(store: BackfillStore) -> int | None:
    spans = (store.span(name) for name in ("visits", "legs", "agent_intervals"))
    return min((span[0] for span in spans if span is not None), default=None)


def _low(spool: Spool, store: BackfillStore, since: int, pane: int) -> int:
    ends = [
        last
        for last in (spool.last_of_stories(NEVER, since), store.last_of_stories(NEVER, since))
        if last is not None and last < OPEN
    ]
    return _up(max([since, *(last + 1 for last in ends)]), pane)


def _until(telling: Telling, store: BackfillStore, horizon: int, open_since: int) -> int:
    """The first beginning of a story that is not over at the horizon, or still remembered."""
    found = [horizon]
    spool = telling.spool
    for unfinished in (spool.unfinished(horizon), store.unfinished(horizon, open_since)):
        if unfinished is not None:
            found += unfinished
    telling.site.sweep()
    for story in telling.site.stories.values():
        found += [story.born, story.start]
    return _down(min(found), telling.settings.pane_ms)


def _down(moment: int, pane: int) -> int:
    return moment - moment % pane


def _up(moment: int, pane: int) -> int:
    return -(-moment // pane) * pane
