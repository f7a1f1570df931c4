"""The live semantics of contract section 6: what the order of the frames decides."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from schemas.frames import Frame
from schemas.settings import SiteSettings, parse_site
from tests.oracle.history import History
from tests.oracle.snapshot import site_object
from tests.oracle.story import STORY, Event, Story


def live(frames: Iterable[Frame], settings: SiteSettings) -> tuple[dict[str, Any], list[int]]:
    """The site after the frames, and the raw offsets of the late events in their order."""
    site = LiveSite(settings)
    for frame in frames:
        site.take(frame)
    return site.object(), site.late


class LiveSite:
    """Everything ever applied, and which contacts are still remembered."""

    def __init__(self, settings: SiteSettings) -> None:
        self.history = History(settings)
        self.time: int | None = None
        self.remembered: dict[str, list[Event]] = {}
        self.forgotten: list[list[Event]] = []
        self.agents: dict[str, list[Event]] = defaultdict(list)
        self.delivered: dict[tuple[int, int], int] = {}
        self.late: list[int] = []
        self.unreadable = 0

    def take(self, frame: Frame) -> None:
        if frame.settings is not None:
            told = frame.now if self.time is None else self.time + 1
            if self.time is not None:
                self.pass_time(frame.now)
            self.history.change(max(frame.now, told), parse_site(frame.settings, "frame"))
        self.pass_time(frame.now)
        if frame.raw is None:
            return
        partition, _, last = frame.raw
        before = self.delivered.get((frame.epoch, partition), -1)
        self.delivered[frame.epoch, partition] = max(before, last)
        self.unreadable += sum(offset > before for offset in frame.dead)
        for offset, event in zip(frame.offsets, frame.events, strict=True):
            if offset > before:
                self.judge(offset, event)

    def judge(self, offset: int, event: Event) -> None:
        if self.is_late(event):
            self.late.append(offset)
            return
        if event["type"] in STORY:
            self.remembered.setdefault(event["contact"], []).append(event)
        elif event["type"].startswith("agent."):
            self.agents[event["agent"]].append(event)
        self.pass_time(event["ts"])

    def is_late(self, event: Event) -> bool:
        old = self.time is not None and event["ts"] < self.time - self.history.current.lateness_ms
        if event["type"] in STORY:
            return old and event["contact"] not in self.remembered
        return old and event["type"].startswith("agent.")

    def pass_time(self, moment: int) -> None:
        """Site time does not go back; forgetting is judged after every step, whoever caused it."""
        self.time = moment if self.time is None else max(self.time, moment)
        for contact, events in list(self.remembered.items()):
            story = Story(events, self.history, self.time)
            if story.over and self.time > story.end + self.history.current.lateness_ms:
                self.forgotten.append(self.remembered.pop(contact))

    def object(self) -> dict[str, Any]:
        assert self.time is not None
        return site_object(
            [*self.forgotten, *self.remembered.values()],
            self.agents,
            self.history,
            self.time,
            late=len(self.late),
            dead_lettered=len(self.late) + self.unreadable,
        )
