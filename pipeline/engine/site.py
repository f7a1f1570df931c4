"""A site: frames in, changes out.

`Site` holds the stories of one contact centre and moves its time. Everything it knows is a function
of the frames applied: no clock is read, and when memory is swept or state is saved cannot be seen
in any figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any
from zlib import crc32

from pipeline.engine import rows, state, view
from pipeline.engine.books import UNSET
from pipeline.engine.cells import LONGEST_MS
from pipeline.engine.ledger import NEVER, Ledger
from pipeline.engine.model import CODES
from pipeline.engine.rows import Forms
from pipeline.engine.sources import Sources
from pipeline.engine.story import Story
from schemas.events import FEEDBACK_TYPES
from schemas.frames import Frame
from schemas.settings import SiteSettings, parse_site

SWEEP_MS = 600_000
STORY_PART_MS = 300_000
STORY_PARTS = 48
_FIXED = ("pane_ms", "time_zone", "anchor")


class Changes:
    """What a frame brought besides the site's new figures.

    ``late`` holds (raw offset, event) of events that came too late to be applied; ``rows`` the rows
    for the store by table, each key once.
    """

    __slots__ = ("late", "rows")

    def __init__(self) -> None:
        self.late: list[tuple[int, dict[str, Any]]] = []
        self.rows: dict[str, list[dict[str, Any]]] = {}


class Site:
    """The engine of one site.

    ``at`` is the site's time in milliseconds. With ``rows`` False nothing is noted for the store,
    which the time machine does not need. Not safe for threads.
    """

    def __init__(self, settings: SiteSettings, *, rows: bool = True) -> None:
        self.site = settings.site
        self.ledger = Ledger(settings, rows)
        self.stories: dict[str, Story] = {}
        self.over: dict[Story, None] = {}
        self.at: int = UNSET
        self.epoch: int = 0
        self.offset: int = -1
        self.journal: int = -1
        self.late: int = 0
        self.inconsistent: int = 0
        self.dead_lettered: int = 0
        self.sources = Sources()
        self.raw_seen: dict[int, int] = {}
        self.settled_once: bool = False
        self.forms = Forms(settings.site)
        self.feedback: list[dict[str, Any]] = []
        self.new_settings: bool = True
        self.next_sweep: int = UNSET
        self.story_parts: dict[int, str] = {}
        self.dropped_parts: dict[str, None] = {}
        self.live = view.Publisher()

    @property
    def settings(self) -> SiteSettings:
        """The settings in force."""
        return self.ledger.settings

    # --- applying -----------------------------------------------------------------------------

    def apply(self, frame: Frame, offset: int) -> Changes:
        """Applies a frame at its offset; one applied before changes nothing."""
        changes = Changes()
        if frame.epoch < self.epoch or (frame.epoch == self.epoch and offset <= self.offset):
            return changes
        if frame.epoch > self.epoch:
            self.raw_seen = {}
        self.epoch, self.offset = frame.epoch, offset
        if frame.journal > self.journal:
            self.journal = frame.journal
        if frame.settings is not None:
            self.set_settings(parse_site(frame.settings, "frame"), frame.now)
        self.advance(frame.now)
        self._take_all(frame, changes)
        self.ledger.clean_agents()
        if self.ledger.rows:
            self.settle()
            changes.rows = rows.drain(self)
        self.ledger.forget_changes()
        self._shrink_over()
        self._sweep_when_due()
        return changes

    def _take_all(self, frame: Frame, changes: Changes) -> None:
        if frame.raw is None:
            self.dead_lettered += len(frame.dead)
            for event in frame.events:
                self.take(event, -1, changes)
            return
        partition, _, last = frame.raw
        # Ingest delivers a raw partition in order, so what lies below was delivered before.
        seen = self.raw_seen.get(partition, -1)
        for raw_offset in frame.dead:
            if raw_offset > seen:
                self.dead_lettered += 1
        for event, raw_offset in zip(frame.events, frame.offsets, strict=True):
            if raw_offset > seen:
                self.take(event, raw_offset, changes)
        if last > seen:
            self.raw_seen[partition] = last

    def take(self, event: dict[str, Any], raw_offset: int, changes: Changes) -> None:
        """Applies one validated event, or counts it as late."""
        at: int = event["ts"]
        kind: str = event["type"]
        code = CODES.get(kind, -1)
        if code >= 0:
            self._take_contact(event, at, code, raw_offset, changes)
        elif kind in FEEDBACK_TYPES:
            self.advance(at)
            if self.ledger.rows:
                self.feedback.append(event)
        elif kind == "clock":
            self.advance(at)
        else:
            self._take_agent(event, at, raw_offset, changes)
        source = event.get("source")
        if source is not None:
            self.sources.hear(source, at)

    def _take_contact(
        self, event: dict[str, Any], at: int, code: int, raw_offset: int, changes: Changes
    ) -> None:
        contact: str = event["contact"]
        lateness = self.ledger.lateness_ms
        story = self.stories.get(contact)
        if (
            story is not None
            and self.at - story.frontier > lateness
            and story.forgotten(self.at, lateness, self.ledger)
        ):
            self._bury(story)
            story = None
        if story is None:
            if at < self.at - lateness:
                self._reject(event, raw_offset, changes)
                return
            story = self._begin(contact, at)
        if at > self.at:
            self.advance(at)
        before = story.inconsistent
        story.take(event, at, code, self.ledger)
        self.inconsistent += story.inconsistent - before
        self.ledger.dirty_parts[story.part] = None
        if story.is_over():
            self.over[story] = None

    def _begin(self, contact: str, at: int) -> Story:
        period, number = at // STORY_PART_MS, crc32(contact.encode()) % STORY_PARTS
        key = period * STORY_PARTS + number
        part = self.story_parts.get(key)
        if part is None:
            part = self.story_parts[key] = intern(f"story:{period}:{number}")
        story = self.stories[contact] = Story(contact, part, at)
        return story

    def _take_agent(
        self, event: dict[str, Any], at: int, raw_offset: int, changes: Changes
    ) -> None:
        if at < self.at - self.ledger.lateness_ms:
            self._reject(event, raw_offset, changes)
            return
        self.advance(at)
        agent = self.ledger.agent(event["agent"])
        self.ledger.touch_agent(agent)
        if agent.report(event, self.ledger.books):
            self.ledger.touch_history(agent, at)
            if agent.dirty:
                self.ledger.dirty_agents[agent] = None

    def _reject(self, event: dict[str, Any], raw_offset: int, changes: Changes) -> None:
        self.late += 1
        self.dead_lettered += 1
        changes.late.append((raw_offset, event))

    def set_settings(self, settings: SiteSettings, since: int) -> None:
        """Puts settings in force from a moment on; the first ones hold from the beginning.

        Pane, zone and anchor of a site that runs stay as they are: ingest refuses such a change.
        """
        if not self.settled_once:
            self.settled_once = True
            if self.at == UNSET:
                self.ledger = Ledger(settings, self.ledger.rows)
                return
        current = self.ledger.settings
        kept = {name: getattr(current, name) for name in _FIXED}
        settings = settings.model_copy(update=kept)
        if settings.dump() != current.dump():
            # What was told of this very millisecond was told under the old ones, and stays so.
            in_force = max(since, self.at + 1)
            # The time until then passes under the old ones, whether a tick has said so or not: a
            # longer lateness does not bring back who is forgotten by then.
            self.advance(since)
            self._forget()
            self.ledger.change_settings(in_force, settings)
            self.new_settings = True
            self.live.everything = True

    # --- time ---------------------------------------------------------------------------------

    def advance(self, now: int) -> None:
        """Moves the site's time forward; a moment in the past changes nothing."""
        if now <= self.at:
            return
        if self.at == UNSET:
            self.ledger.books.begin(now)
            self.next_sweep = now + SWEEP_MS
        while self.ledger.stuck_due < now:
            self._move(self.ledger.stuck_due + 1)
            self._expire()
        self._move(now)

    def _move(self, now: int) -> None:
        if now - self.ledger.books.edge > self.ledger.books.long_silence:
            # A threshold that passes in a silence has a pane of its own, not to be leapt over.
            while (due := self.ledger.missed_due() + 1) <= now:
                self._go(due)
                self.ledger.count_missed(due)
        self._go(now)

    def _go(self, now: int) -> None:
        if now <= self.at:
            return
        self.at = self.ledger.at = now
        books = self.ledger.books
        if now <= books.edge:
            return
        self.ledger.clean_agents()
        if now - books.edge > books.long_silence:
            books.leap(now)
        while books.edge < now:
            self.ledger.count_missed(books.edge)
            books.step(self.ledger.rows)

    def _expire(self) -> None:
        due = NEVER
        for story in self.stories.values():
            if story.due < self.at:
                story.expire(self.at, self.ledger)
                self.ledger.dirty_parts[story.part] = None
                self.over[story] = None
            due = min(due, story.due)
        self.ledger.stuck_due = due

    def settle(self) -> None:
        """Brings in what follows from the time alone: thresholds passed, a new day."""
        if self.at == UNSET:
            return
        # An event may come in after the moment at which what it began was stuck already.
        if self.ledger.stuck_due < self.at:
            self._expire()
        self.ledger.clean_agents()
        self.ledger.count_missed(self.at)
        self.ledger.books.roll_day(self.at)

    # --- memory -------------------------------------------------------------------------------

    def _bury(self, story: Story) -> None:
        del self.stories[story.contact]
        self.ledger.dirty_parts[story.part] = None
        story.put_away(self.ledger)

    def _shrink_over(self) -> None:
        for story in self.over:
            if story.is_over():
                story.shrink(self.ledger)
        self.over = {}

    def _forget(self) -> None:
        lateness = self.ledger.lateness_ms
        for story in list(self.stories.values()):
            if story.forgotten(self.at, lateness, self.ledger):
                self._bury(story)

    def _sweep_when_due(self) -> None:
        if self.at > self.next_sweep:
            self.next_sweep = self.at + SWEEP_MS
            self.sweep()

    def sweep(self) -> None:
        """Frees the memory of what is forgotten; no figure shows whether it was done."""
        self.settle()
        self._forget()
        self.story_parts = {}
        horizon = self.at - self.ledger.lateness_ms - 1
        for story in self.stories.values():
            horizon = min(horizon, story.start)
        self.ledger.let_go(horizon - LONGEST_MS)
        for start in self.ledger.books.forget_panes(horizon):
            self.dropped_parts[f"pane:{start}"] = None

    # --- looking ------------------------------------------------------------------------------

    def view(self) -> dict[str, Any]:
        """The board's object (CONTRACT 7), with what the board shows besides."""
        self.settle()
        return view.whole(self)

    def live_parts(self, full: bool) -> list[tuple[str, str, dict[str, Any]]]:
        """Parts of the board (kind, part, data) that changed since the last call, or all."""
        self.settle()
        return self.live.parts(self, full)

    # --- state --------------------------------------------------------------------------------

    def dirty_parts(self) -> dict[str, bytes | None]:
        """State that changed since the last call; None where a part is no longer needed."""
        self.settle()
        return state.dirty(self)

    def all_parts(self) -> dict[str, bytes]:
        """The whole state, part by part."""
        self.settle()
        return state.everything(self)

    @classmethod
    def restore(cls, parts: Mapping[str, bytes], *, rows: bool = True) -> Site:
        """The site whose state was saved in these parts; `ValueError` if they are of no use."""
        return state.restore(parts, rows)
