"""Frames: many validated events of one site in one message, with the site's `now`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

VERSION = 1


@dataclass(slots=True)
class Frame:
    """A batch of canonical events of one site, in the order of the raw topic.

    `now` is epoch ms. `raw` is (partition, first offset, last offset) of the raw records the frame
    covers, None for a tick. `dead` holds the raw offsets dead-lettered since the last frame and
    `offsets` the raw offset of each event. `settings` is a dump of site settings that takes effect
    at `now`. `journal` is the highest journal sequence among its records, -1 if there is none.
    """

    site: str
    epoch: int
    now: int
    raw: tuple[int, int, int] | None = None
    dead: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    settings: dict[str, Any] | None = None
    journal: int = -1


class FrameError(ValueError):
    """A message on the frames topic that is no frame of this version."""


def encode_frame(frame: Frame) -> bytes:
    """The frame as JSON, the value of a record on the frames topic."""
    obj: dict[str, Any] = {
        "v": VERSION,
        "site": frame.site,
        "epoch": frame.epoch,
        "now": frame.now,
        "raw": frame.raw,
        "dead": frame.dead,
        "events": frame.events,
        "offsets": frame.offsets,
    }
    if frame.settings is not None:
        obj["settings"] = frame.settings
    if frame.journal >= 0:
        obj["journal"] = frame.journal
    return orjson.dumps(obj)


def decode_frame(payload: bytes) -> Frame:
    """Read a frame; raise `FrameError` if the bytes are no frame of this version.

    The events were validated when the frame was made and are not checked again.
    """
    try:
        obj = orjson.loads(payload)
        if obj["v"] != VERSION:
            raise FrameError(f"frame version {obj['v']!r}, this program reads {VERSION}")
        raw = obj["raw"]
        frame = Frame(
            obj["site"],
            obj["epoch"],
            obj["now"],
            None if raw is None else (raw[0], raw[1], raw[2]),
            obj["dead"],
            obj["events"],
            obj["offsets"],
            obj.get("settings"),
            obj.get("journal", -1),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise FrameError(f"not a frame: {error!r}") from error
    if len(frame.events) != len(frame.offsets):
        raise FrameError(f"{len(frame.events)} events but {len(frame.offsets)} offsets")
    return frame
