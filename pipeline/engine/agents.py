"""An agent's time: what the platform says, with the legs and rings of contacts laid over it.

At each moment an agent is in exactly one state: talk hides hold, hold hides wrap, wrap hides the
platform's state, and a ring turns ``available`` into ``ringing``. The timeline is kept as a list of
intervals; a change in order moves its end, any other change rebuilds it and books the difference.

An agent's last hours are most of what a site remembers, so they are kept small: reports that say
the same share one dict, and of segments that nothing can change any more only times are kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from typing import Any, Final

from pipeline.engine.books import UNSET, Books
from pipeline.engine.model import (
    HOLD,
    OPEN,
    RING,
    S_AVAILABLE,
    S_HOLD,
    S_NONE,
    S_RINGING,
    S_TALK,
    S_WRAP,
    TALK,
    WRAP,
    Report,
    Segment,
    said_state,
)
from schemas.events import event_key

Interval = tuple[int, int, str]
"""Start (ms), state and team; it ends where the next one starts."""
Changes = dict[int, tuple[list[tuple[int, int]], list[Report]]]
"""By moment: kinds of segments that begin (+1) or end (-1), and what was said."""

# An agent goes round in a few states; looking further back would cost more than it saves.
_LOOK_BACK: Final = 8
# Numbers of ended segments that go into the array at once: one at a time costs several times more.
_MOST_FRESH: Final = 48


HISTORY_MS: Final = 300_000
HISTORY_PARTS: Final = 32
"""The history of a site's agents is saved in so many parts for every five minutes."""


class Agent:
    """One agent: reports of the platform, segments of contacts, and the timeline made of both."""

    __slots__ = (
        "base_at",
        "base_reason",
        "base_state",
        "base_team",
        "counts",
        "dirty",
        "dirty_from",
        "fresh",
        "frontier",
        "id",
        "intervals",
        "lost",
        "noted",
        "part",
        "past",
        "platform",
        "reason",
        "reports",
        "same",
        "segments",
        "share",
        "team",
    )

    def __init__(self, agent: str, part: str, share: int) -> None:
        self.id = agent
        self.part = part
        self.share = share
        self.reports: list[Report] = []
        # Nothing before this moment can change any more; the first interval holds it.
        self.base_at: int = UNSET
        self.base_state: int = S_NONE
        self.base_team: str = ""
        self.base_reason: str = ""
        self.segments: dict[Segment, None] = {}
        # Kind, start and end of each segment that nothing can change, in the order of ends; those
        # that are `fresh` come last.
        self.past: array[int] = array("q")
        self.fresh: list[int] = []
        self.counts: list[int] = [0, 0, 0, 0]
        self.intervals: list[Interval] = [(UNSET, S_NONE, "")]
        self.frontier: int = UNSET
        self.platform: int = S_NONE
        self.team: str = ""
        self.reason: str = ""
        self.dirty: bool = False
        self.dirty_from: int = UNSET
        # What became of the timeline since it was noted: its first `same` intervals stand, and
        # `lost` are those that stood after them, the last first.
        self.noted: bool = False
        self.same: int = 0
        self.lost: list[Interval] = []

    def note(self) -> None:
        """Remember the timeline as it is, so that the rows can tell what changed."""
        self.noted = True
        self.same = len(self.intervals)

    def forget_note(self) -> None:
        """The rows have been told."""
        self.noted = False
        if self.lost:
            self.lost = []

    def state(self) -> int:
        """The state now, -1 while nobody has said anything of this agent."""
        return _state(self.counts, self.platform)

    def team_at(self, moment: int) -> str:
        """The team at a moment, as the timeline has it now; before the base, that of the base."""
        place = len(self.intervals) - 1
        while place > 0 and self.intervals[place][0] > moment:
            place -= 1
        return self.intervals[place][2]

    def count(self, kind: int, step: int) -> None:
        """One more or one less segment of a kind goes on."""
        self.counts[kind] = self.counts[kind] + step

    def settle(self, at: int, books: Books) -> None:
        """Writes a change that took effect at ``at``, not before any earlier change."""
        if at > self.frontier:
            self.frontier = at
        state = _state(self.counts, self.platform)
        start, old, team = self.intervals[-1]
        if state == old and team == self.team:
            return
        books.move(team, old, self.team, state, at)
        if start == at:
            self._lose(self.intervals.pop())
            if self._stands(state):
                return
        self.intervals.append((at, state, self.team))

    def _lose(self, interval: Interval) -> None:
        if len(self.intervals) < self.same:
            self.same -= 1
            self.lost.append(interval)

    def report(self, event: dict[str, Any], books: Books) -> bool:
        """Takes an ``agent.*`` event; False if it is known already, or older than what is kept."""
        at: int = event["ts"]
        if at <= self.base_at:
            return False
        report = self._report(event, at)
        reports = self.reports
        if not reports or at > reports[-1].at:
            reports.append(report)
            if at >= self.frontier and not self.dirty:
                self._hear(report)
                self.settle(at, books)
            else:
                self.soil(at)
            return True
        if any(known.at == at and known.said == report.said for known in reports):
            return False
        insort(reports, report, key=_report_order)
        self.soil(at)
        return True

    def _report(self, event: dict[str, Any], at: int) -> Report:
        """What the event says, in the dict of an earlier report where one says the same."""
        said = event.copy()
        del said["ts"]
        state = said_state(said)
        reports = self.reports
        last = len(reports) - 1
        for i in range(last, max(-1, last - _LOOK_BACK), -1):
            known = reports[i]
            if known.state == state and known.said == said:
                return Report(at, known.said, state)
        return Report(at, said, state)

    def _hear(self, report: Report) -> None:
        if report.state != S_NONE:
            self._hear_state(report)
        team = report.said.get("team")
        if team is not None:
            self.team = team

    def _hear_state(self, report: Report) -> None:
        self.platform = report.state
        self.reason = report.said.get("reason", "")

    def freeze(self, segment: Segment) -> None:
        """Nothing can change an ended segment any more, unless its contact is told again."""
        try:
            del self.segments[segment]
        except KeyError:
            return
        end, fresh = segment.end, self.fresh
        if not self._is_last(end):
            self._lay_down()
            place = self._place_of(end)
            self.past[place:place] = array("q", (segment.kind, segment.start, end))
            return
        fresh.append(segment.kind)
        fresh.append(segment.start)
        fresh.append(end)
        if len(fresh) >= _MOST_FRESH:
            self._lay_down()

    def _is_last(self, end: int) -> bool:
        """Whether no ended segment ends after this moment."""
        if self.fresh:
            return end >= self.fresh[-1]
        return not self.past or end >= self.past[-1]

    def _lay_down(self) -> None:
        if self.fresh:
            self.past.fromlist(self.fresh)
            self.fresh.clear()

    def put_back(self, spans: list[int]) -> None:
        """Adds ended segments as they were saved, in the order of ends, to those put back."""
        self.past.fromlist(spans)

    def _place_of(self, end: int) -> int:
        """Where a segment with this end belongs in the past, behind all that end then."""
        past = self.past
        low, high = 0, len(past) // 3
        while low < high:
            middle = (low + high) // 2
            if past[3 * middle + 2] <= end:
                low = middle + 1
            else:
                high = middle
        return 3 * low

    def thaw(self, segment: Segment) -> None:
        """A segment that is told again may change once more."""
        self._lay_down()
        past = self.past
        i = self._place_of(segment.end) - 3
        while i >= 0 and past[i + 2] == segment.end:
            if past[i + 1] == segment.start and past[i] == segment.kind:
                del past[i : i + 3]
                return
            i -= 3

    def soil(self, at: int) -> None:
        """The timeline is wrong from this moment on, until it is made anew."""
        if not self.dirty or at < self.dirty_from:
            self.dirty_from = at
        self.dirty = True

    def rebuild(self, books: Books) -> None:
        """Makes the timeline anew from where it is wrong, and books what differs."""
        old = self.intervals
        since = max(self.dirty_from, self.base_at)
        kept = len(old)
        while kept > 0 and old[kept - 1][0] >= since:
            kept -= 1
        self.dirty = False
        self._replay(since, old[:kept])
        head = _common(old, self.intervals, kept)
        if head < self.same:
            self.lost.extend(reversed(old[head : self.same]))
            self.same = head
        _rebook(old, self.intervals, head, books)

    def _replay(self, since: int, kept: list[Interval]) -> None:
        """Makes the timeline from ``since`` on anew; ``kept`` is what stands before."""
        self.intervals = kept
        self.counts = [0, 0, 0, 0]
        self._set_back(since)
        changes = self._changes(since)
        for at in sorted(changes):
            for kind, step in changes[at][0]:
                self.count(kind, step)
            for report in changes[at][1]:
                self._hear(report)
            self._note(at)

    def _set_back(self, since: int) -> None:
        """Platform, reason and team as they held just before a moment."""
        self.platform, self.team = self.base_state, self.base_team
        self.reason = self.base_reason
        if self.base_at < since and self.intervals:
            self.team = self.intervals[-1][2]
        for report in reversed(self.reports):
            if report.at < since and report.state != S_NONE:
                self._hear_state(report)
                return

    def _changes(self, since: int) -> Changes:
        """What happens from a moment on; what goes on then begins with it."""
        changes: Changes = {since: ([], [])}
        for kind, start, end in self._spans_after(since):
            start = max(start, since)
            if end != OPEN and end <= start:
                continue
            changes.setdefault(start, ([], []))[0].append((kind, 1))
            if end != OPEN:
                changes.setdefault(end, ([], []))[0].append((kind, -1))
        for report in reversed(self.reports):
            if report.at < since:
                break
            changes.setdefault(report.at, ([], []))[1].insert(0, report)
        return changes

    def _spans_after(self, since: int) -> list[tuple[int, int, int]]:
        spans: list[tuple[int, int, int]] = []
        self._lay_down()
        past = self.past
        i = len(past) - 3
        while i >= 0 and past[i + 2] > since:
            spans.append((past[i], past[i + 1], past[i + 2]))
            i -= 3
        for segment in self.segments:
            if segment.end == OPEN or segment.end > since:
                spans.append((segment.kind, segment.start, segment.end))
        return spans

    def past_spans(self) -> list[tuple[int, int, int]]:
        """Kind, start and end (ms) of each segment that nothing can change any more."""
        self._lay_down()
        past = self.past
        return [(past[i], past[i + 1], past[i + 2]) for i in range(0, len(past), 3)]

    # --- the history, as it is saved ----------------------------------------------------------

    def history_key(self, moment: int) -> int:
        """The part of the history that holds what was said, and what ended, at a moment."""
        return moment // HISTORY_MS * HISTORY_PARTS + self.share

    def history_keys(self) -> list[int]:
        """All parts that hold anything of this agent."""
        keys = {self.history_key(report.at): None for report in self.reports}
        for _, _, end in self.past_spans():
            keys[self.history_key(end)] = None
        return list(keys)

    def history(self, since: int, until: int) -> tuple[list[Report], list[tuple[int, int, int]]]:
        """What was said from one moment until before another, and the past of which ended then."""
        self._lay_down()
        first = bisect_left(self.reports, since, key=_said_at)
        last = bisect_left(self.reports, until, first, key=_said_at)
        past, spans = self.past, []
        for i in range(self._place_of(since - 1), self._place_of(until - 1), 3):
            spans.append((past[i], past[i + 1], past[i + 2]))
        return self.reports[first:last], spans

    # --- making it anew -----------------------------------------------------------------------

    def _note(self, at: int) -> None:
        self.frontier = at
        state = _state(self.counts, self.platform)
        if not self._stands(state):
            self.intervals.append((at, state, self.team))

    def _stands(self, state: int) -> bool:
        """The timeline ends with this state, in the agent's team."""
        if not self.intervals:
            return False
        _, last, team = self.intervals[-1]
        return last == state and team == self.team

    def prune(self, horizon: int) -> None:
        """Frees what nothing at or after ``horizon`` can change any more.

        The base goes no further than to the last moment up to the horizon at which anything began,
        ended or was said: an old event of a contact still remembered may come from before the
        horizon, and the less is given up, the more such an event is still told rightly.
        """
        if self.intervals[0][0] > horizon:
            return
        keep, last = 0, len(self.intervals) - 1
        while keep < last and self.intervals[keep + 1][0] <= horizon:
            keep += 1
        if keep:
            del self.intervals[:keep]
        self.base_at = max(self.base_at, self.intervals[0][0])
        self._prune_reports(horizon)
        self._prune_segments(horizon)

    def _prune_reports(self, horizon: int) -> None:
        gone = 0
        while gone < len(self.reports) and self.reports[gone].at <= horizon:
            self._rebase(self.reports[gone])
            gone += 1
        if gone:
            self.base_at = max(self.base_at, self.reports[gone - 1].at)
            del self.reports[:gone]

    def _prune_segments(self, horizon: int) -> None:
        self._lay_down()
        gone, past = 0, self.past
        while gone < len(past) and past[gone + 2] <= horizon:
            gone += 3
        if gone:
            self.base_at = max(self.base_at, past[gone - 1])
            del past[:gone]
        for segment in [s for s in self.segments if s.end != OPEN and s.end <= horizon]:
            self.base_at = max(self.base_at, segment.end)
            del self.segments[segment]

    def _rebase(self, report: Report) -> None:
        if report.state != S_NONE:
            self.base_state = report.state
            self.base_reason = report.said.get("reason", "")
        team = report.said.get("team")
        if team is not None:
            self.base_team = team


def _state(counts: list[int], platform: int) -> int:
    if counts[TALK]:
        return S_TALK
    if counts[HOLD]:
        return S_HOLD
    if counts[WRAP]:
        return S_WRAP
    if platform == S_AVAILABLE and counts[RING]:
        return S_RINGING
    return platform


def _said_at(report: Report) -> int:
    return report.at


def _report_order(report: Report) -> tuple[int, bool, bytes]:
    event = {**report.said, "ts": report.at}
    return (report.at, report.state == S_NONE, event_key(event))


def _common(old: list[Interval], new: list[Interval], known: int) -> int:
    """How many intervals two timelines share at their beginning, of which some are known."""
    head = known
    while head < len(old) and head < len(new) and old[head] == new[head]:
        head += 1
    return head


def _rebook(old: list[Interval], new: list[Interval], head: int, books: Books) -> None:
    """Takes away the old intervals that are not in the new timeline, and adds those that are new.

    What both timelines share at their beginning and at their end is left as it is; of the last one
    they share at the beginning only what its end has moved by is booked, however long it is.
    """
    if head == len(old) and head == len(new):
        return
    if head > 0:
        before, after = _end(old, head - 1), _end(new, head - 1)
        _, state, team = old[head - 1]
        sooner = after if before == OPEN else before if after == OPEN else min(before, after)
        books.occupy(team, state, sooner, before, -1)
        books.occupy(team, state, sooner, after, 1)
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    _book(old, head, len(old) - tail, books, -1)
    _book(new, head, len(new) - tail, books, 1)


def _book(timeline: list[Interval], first: int, last: int, books: Books, sign: int) -> None:
    for i in range(first, last):
        start, state, team = timeline[i]
        books.occupy(team, state, start, _end(timeline, i), sign)


def _end(timeline: list[Interval], i: int) -> int:
    return timeline[i + 1][0] if i + 1 < len(timeline) else OPEN
