"""Adversarial small sites for Hypothesis: few names, a coarse grid of times so that ties abound.

Events are drawn as tuples of numbers from strategies built once, and put together afterwards:
drawing takes most of the time of a property.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st

from schemas.frames import Frame
from schemas.kpis import FORMULAS
from schemas.settings import SiteSettings
from tests.engine.stories import Event, event, site
from tests.engine.subjects import frame

GRID = 1_000
LEFT_REASONS = ("other", "callback", "overflow", "lost")

BASES: tuple[tuple[str, int], ...] = (
    ("UTC", 60_000),
    ("UTC", 1_709_640_000_000),
    # Midnights, the changes of clocks among them: a few seconds before, where the story begins.
    ("Europe/Berlin", 1_711_839_595_000),
    ("Europe/Berlin", 1_729_983_595_000),
    ("America/Sao_Paulo", 1_508_036_395_000),
    ("America/Sao_Paulo", 1_518_919_195_000),
    ("America/St_Johns", 1_289_097_055_000),
    ("America/St_Johns", 1_289_100_595_000),
    ("Asia/Jerusalem", 1_711_663_195_000),
    ("Asia/Jerusalem", 826_840_795_000),
)
CALLS = (
    ("queued", "offered", "answered", "released", "wrapped"),
    ("queued", "offered", "answered", "held", "resumed", "released", "wrapped"),
    ("queued", "offered", "declined", "offered", "answered", "wrapped"),
    ("queued", "abandoned"),
    ("queued", "left", "queued", "answered", "wrapped"),
    ("queued", "answered", "queued", "released", "answered", "wrapped", "wrapped"),
    ("answered", "held", "released", "wrapped"),
)

CONTACT = st.sampled_from(("c", "d", "e"))
AGENT = st.sampled_from(("ann", "bob"))
QUEUE = st.sampled_from(("sales", "help"))
SPICE = st.sampled_from((0, 0, 0, 0, 1, 1, 2, 3, 5, 8))
GAP = st.sampled_from((0, 1, 0, 2, 5))
BESIDE = st.sampled_from((0, 0, 0, 0, 0, 0, -1, 1))


def moments(steps: int) -> st.SearchStrategy[int]:
    """Milliseconds after the base: on the grid, now and then one beside it."""
    return st.tuples(st.integers(0, steps), BESIDE).map(lambda t: t[0] * GRID + t[1])


MOMENT = moments(30)
NOISE = st.tuples(
    st.sampled_from(
        (
            *("queued", "queued", "queued", "offered", "offered", "declined", "answered"),
            *("answered", "held", "resumed", "released", "released", "wrapped", "wrapped"),
            *("abandoned", "left"),
        )
    ),
    MOMENT,
    CONTACT,
    AGENT,
    QUEUE,
    SPICE,
)
CALL = st.tuples(
    st.sampled_from(CALLS),
    moments(20),
    CONTACT,
    AGENT,
    QUEUE,
    st.integers(0, 20),
    st.lists(st.tuples(GAP, SPICE), min_size=7, max_size=7),
)
SAID = st.sampled_from(
    ("available", "available", "available", "busy", "wrap", "not_ready", "offline")
)
TEAM = st.sampled_from((None, None, None, "red", "blue", ""))
AGENT_EVENT = st.tuples(st.integers(0, 3), MOMENT, AGENT, SAID, TEAM)
SILENT = st.tuples(st.booleans(), MOMENT, CONTACT)


def contact_event(name: str, ts: int, contact: str, agent: str, queue: str, spice: int) -> Event:
    """One event of a contact; the bits of `spice` give it what it may carry."""
    named, chat, other = spice & 1, spice & 2, spice & 4
    fields: dict[str, Any] = {"contact": contact}
    if name not in ("queued", "abandoned", "left"):
        fields["agent"] = agent
    if name == "queued" or (named and name in ("answered", "abandoned", "left")):
        fields["queue"] = queue
    if chat and name in ("queued", "answered"):
        fields["channel"] = "chat"
    if name == "released" and named:
        fields["reason"] = "transferred"
    if name == "declined" and named:
        fields["reason"] = "rejected"
    if name == "left":
        fields["reason"] = LEFT_REASONS[spice % 4]
    if other:
        fields["id"] = "other"
    if name == "answered" and spice & 8:
        fields["agent"] = "cyd"
    return event(f"contact.{name}", ts, **fields)


def call_events(base: int, drawn: Sequence[Any]) -> list[Event]:
    """A contact that goes mostly as it should; one of its events may be missing."""
    names, ts, contact, agent, queue, missing, details = drawn
    events = []
    for n, (name, (gap, spice)) in enumerate(zip(names, details, strict=False)):
        if n != missing:
            events.append(contact_event(name, base + ts, contact, agent, queue, spice))
        ts += gap * GRID
    return events


def agent_event(base: int, drawn: Sequence[Any]) -> Event:
    kind, ts, agent, said, team = drawn
    more = {} if team is None else {"team": team}
    if kind == 3:
        return event("agent.profile", base + ts, agent=agent, **more)
    return event("agent.state", base + ts, agent=agent, state=said, **more)


def silent_event(base: int, drawn: Sequence[Any]) -> Event:
    """The clock or feedback, which take no part in any story."""
    feedback, ts, contact = drawn
    if feedback:
        return event("survey.answered", base + ts, contact=contact, csat=3)
    return event("clock", base + ts)


EVENTS = st.tuples(
    st.lists(CALL, min_size=1, max_size=4),
    st.lists(NOISE, max_size=10),
    st.lists(AGENT_EVENT, max_size=6),
    st.lists(SILENT, max_size=2),
    st.lists(AGENT, max_size=2, unique=True),
)


def some_events(base: int, drawn: Sequence[Any]) -> list[Event]:
    """The events of a site, in no order."""
    calls, noise, agents, silent, on_duty = drawn
    events = [e for call in calls for e in call_events(base, call)]
    events += [contact_event(name, base + ts, *rest) for name, ts, *rest in noise]
    events += [agent_event(base, one) for one in agents]
    events += [silent_event(base, one) for one in silent]
    events += [event("agent.state", base, agent=one, state="available") for one in on_duty]
    return events


# Settings.

MS = st.sampled_from((None, None, 0, 1_000, 3_000, 5_000))
QUEUE_KEYS = st.fixed_dictionaries(
    {
        "threshold_ms": MS,
        "short_abandon_ms": MS,
        "stuck_after_ms": st.sampled_from((None, None, None, 1_000, 4_000, 12_000)),
        "formula": st.sampled_from((None, *FORMULAS)),
        "exclude_short": st.sampled_from((None, False, True)),
    }
)
LATENESS = st.sampled_from((900_000, 900_000, 10_000, 10_000, 4_000, 0))
SETTINGS = st.fixed_dictionaries(
    {
        "pane_ms": st.sampled_from((10_000, 10_000, 1_000, 6_000, 60_000)),
        "anchor": st.sampled_from(("outcome", "arrival")),
        "stuck_after_ms": st.sampled_from((14_400_000, 14_400_000, 15_000, 5_000, 1_000)),
        "defaults": QUEUE_KEYS,
        "queues": st.fixed_dictionaries({"help": QUEUE_KEYS}),
    }
)


def in_brief(told: Event) -> str:
    """An event of a failing example on one line."""
    rest = {k: v for k, v in told.items() if k not in ("site", "type", "ts", "direction")}
    return f"{told['type'].split('.')[-1]}({told['ts']}, {', '.join(map(repr, rest.values()))})"


def settings_in_brief(settings: SiteSettings) -> str:
    keys = settings.dump()
    return str({k: v for k, v in keys.items() if v not in ({}, [], "") and k != "max_ahead_ms"})


class Brief:
    """Hypothesis prints failing examples with a printer of its own unless told otherwise."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@dataclass(frozen=True, repr=False)
class Told(Brief):
    """A site's settings, its events in no order, and the moment before which none of them is."""

    settings: SiteSettings
    base: int
    events: list[Event]

    def __repr__(self) -> str:
        return "\n  ".join([settings_in_brief(self.settings), *map(in_brief, self.events)])


@st.composite
def told(draw: st.DrawFn, lateness: int | None = None) -> Told:
    time_zone, base = draw(st.sampled_from(BASES))
    if lateness is None:
        lateness = draw(LATENESS)
    settings = site(time_zone=time_zone, lateness_ms=lateness, **draw(SETTINGS))
    return Told(settings, base, some_events(base, draw(EVENTS)))


LOOK = st.tuples(
    st.sampled_from((0, 0, 0, 0, 0, 0, 300_000, 900_000, 3_600_000, 86_400_000)), moments(50)
).map(sum)
"""A moment to look at the board: in the story, or minutes, an hour, a day after it."""


# Frames.

DELAY = st.sampled_from((0, 0, 0, 1_000, 4_000))
CHUNK = st.tuples(
    st.sampled_from((0, 0, 0, 0, 1, 3)),
    st.integers(0, 6),
    moments(40),
    st.sampled_from((0, 0, 1_000, 3_000)),
)
"""Offsets delivered again, number of new ones, `now`, how far an orderly `now` may lag."""
CHUNKS = st.lists(CHUNK, max_size=12)

Log = list[Event | None]


@st.composite
def raw_log(draw: st.DrawFn, events: list[Event]) -> Log:
    """The raw topic: the events, some of them several times; None is a dead record.

    They come in any order at all, or each with a delay of its own.
    """
    log: Log = list(events)
    log += draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
    if draw(st.integers(0, 2)) == 2:
        log = list(draw(st.permutations(log)))
    else:
        delays = draw(st.lists(DELAY, min_size=len(log), max_size=len(log)))
        arrival = [int(e["ts"]) + d for e, d in zip(log, delays, strict=True) if e]
        log = [log[n] for n in sorted(range(len(log)), key=arrival.__getitem__)]
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2)))):
        log.insert(draw(st.integers(0, len(log))), None)
    return log


def slice_frame(log: Log, first: int, last: int, now: int, epoch: int) -> Frame:
    """The frame of the raw offsets from `first` up to `last`."""
    covered = range(first, last)
    built = frame([], now, epoch=epoch)
    if not covered:
        return built
    events = [(o, e) for o in covered if (e := log[o]) is not None]
    return replace(
        built,
        raw=(0, first, last - 1),
        dead=[o for o in covered if log[o] is None],
        events=[e for _, e in events],
        offsets=[o for o, _ in events],
    )


@st.composite
def deliveries(draw: st.DrawFn, log: Log, base: int, orderly: bool, epoch: int = 0) -> list[Frame]:
    """The log cut into frames at any offsets, with ticks, some offsets delivered once more.

    An orderly `now` is that of a clock which does not run ahead of what is read.
    """
    frames: list[Frame] = []
    done, time = 0, 0
    for back, fresh, now, lag in [*draw(CHUNKS), (0, len(log), 30_000, 0)]:
        last = min(len(log), done + fresh)
        built = slice_frame(log, max(0, done - back), last, base + now, epoch)
        if orderly:
            time = max(time, max((e["ts"] for e in built.events), default=time) - lag)
            built = replace(built, now=time)
        frames.append(built)
        done = last
    return frames


@st.composite
def with_changes(draw: st.DrawFn, frames: list[Frame], settings: SiteSettings) -> list[Frame]:
    """Now and then the settings change, always after everything that has happened so far."""
    changed: list[Frame] = []
    time = 0
    for built, die in zip(frames, draw(dice(len(frames))), strict=True):
        if time and die == 12:
            other = draw(SETTINGS) | {"pane_ms": settings.pane_ms, "anchor": settings.anchor}
            time += draw(st.sampled_from((1, GRID)))
            new = site(time_zone=settings.time_zone, lateness_ms=draw(LATENESS), **other)
            changed.append(frame([], time, settings=new, epoch=built.epoch))
        changed.append(built)
        time = max([time, built.now, *(e["ts"] for e in built.events)])
    return changed


def dice(number: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, 12), min_size=number, max_size=number)


@dataclass(frozen=True, repr=False)
class Fed(Brief):
    """A site's settings and the frames it is fed."""

    settings: SiteSettings
    base: int
    frames: list[Frame]

    def __repr__(self) -> str:
        lines = [settings_in_brief(self.settings)]
        for f in self.frames:
            lines.append(f"epoch {f.epoch} now {f.now} raw {f.raw} dead {f.dead}")
            if f.settings is not None:
                lines.append(f"    {f.settings}")
            lines += [f"    {o}: {in_brief(e)}" for o, e in zip(f.offsets, f.events, strict=True)]
        return "\n  ".join(lines)


@st.composite
def fed(draw: st.DrawFn, lateness: int | None = None) -> Fed:
    """Anything may come in any order and at any `now`; late and forgotten are part of it."""
    story = draw(told(lateness))
    base = story.base
    log = draw(raw_log(story.events))
    orderly = draw(st.sampled_from((True, True, True, False)))
    cut = draw(st.sampled_from((len(log), len(log), len(log), len(log) // 2)))
    frames = draw(deliveries(log[:cut], base, orderly))
    frames += draw(deliveries(log[cut:], base, orderly, 1))
    frames = draw(with_changes(frames, story.settings))
    epoch = frames[-1].epoch if frames else 0
    frames.append(frame([], base + draw(LOOK), epoch=epoch))
    return Fed(story.settings, base, frames)
