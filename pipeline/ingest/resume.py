"""Where an earlier ingest stopped, read from the end of the frames themselves.

Frames carry a header that says, for one raw partition, how far the frames of each of its sites
reach. A new ingest reads the last one and the few frames after it, and so neither frames a record
twice after a crash between frames and commit, nor loses the site's time, nor takes a record that
the door had to send again for a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiokafka import ConsumerRecord, TopicPartition

from pipeline.ingest.framer import Framer, Mark
from pipeline.ingest.ranges import range_reader, read_ranges
from pipeline.ingest.site_state import Told
from pipeline.topics import ends_as_fetched
from schemas.brokers import Brokers
from schemas.frames import Frame, FrameError, decode_frame
from schemas.settings import SettingsError, parse_site
from schemas.topics import FRAMES
from service.logs import about

log = logging.getLogger(__name__)

HEADER_RESUME = "resume"
FIRST_LOOK = 16
"""Frames looked at first; the header comes at least once a second."""
LONGEST_LOOK = 16_384
_TIMEOUT_S = 30.0


@dataclass(slots=True)
class SitePast:
    """What the frames tell of one site: reach, time (epoch ms) and the settings announced."""

    mark: Mark = field(default_factory=Mark)
    now: int = -1
    told: Told | None = None


Past = dict[str, SitePast]
"""The sites of one raw partition."""


def resume_header(partition: int, framers: Iterable[Framer]) -> bytes:
    """The header for a frame that is sent after all frames the framers have closed so far.

    Frames of a site with another home go to another partition and may come later, or never: such a
    framer says what has arrived.
    """
    sites = {framer.site: _entry(framer) for framer in framers if framer.state.told}
    return orjson.dumps({"partition": partition, "sites": sites})


def _entry(framer: Framer) -> list[Any]:
    told = framer.state.told
    assert told is not None
    mark = framer.mark if framer.arrived is None else framer.arrived
    return [mark.offset, mark.journal, framer.state.now, told.fixed, told.digest]


async def read_past(brokers: Brokers, epoch: int, partitions: Iterable[int]) -> dict[int, Past]:
    """What the frames of this epoch tell of each raw partition. Raises `KafkaError`."""
    async with range_reader(brokers) as consumer:
        topic = [TopicPartition(FRAMES, partition) for partition in partitions]
        return await asyncio.wait_for(_Tails(consumer, epoch, topic).read(), _TIMEOUT_S)


class _Tails:
    """Reads the ends of partitions, going further back where the header has not been met."""

    def __init__(self, consumer: Any, epoch: int, partitions: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._epoch = epoch
        self._partitions = partitions

    async def read(self) -> dict[int, Past]:
        if not self._partitions:
            return {}
        self._consumer.assign(self._partitions)
        begins = await self._consumer.beginning_offsets(self._partitions)
        ends = await ends_as_fetched(self._consumer, self._partitions)
        found: dict[int, Past] = {}
        look = FIRST_LOOK
        open_ = [tp for tp in self._partitions if begins[tp] < ends[tp]]
        while open_:
            starts = {tp: max(begins[tp], ends[tp] - look) for tp in open_}
            records = await read_ranges(self._consumer, starts, ends)
            for tp in open_:
                past, complete = past_of(records[tp], tp.partition, self._epoch)
                if complete or starts[tp] == begins[tp] or look >= LONGEST_LOOK:
                    found[tp.partition] = past
            open_ = [tp for tp in open_ if tp.partition not in found]
            look *= 8
        return {tp.partition: found.get(tp.partition, {}) for tp in self._partitions}


def past_of(records: Iterable[ConsumerRecord], partition: int, epoch: int) -> tuple[Past, bool]:
    """What frame records tell of a raw partition, and whether that is all there is to know.

    It is if the header was met, or a frame of an earlier epoch, which has nothing before it.
    """
    past: Past = {}
    complete = False
    for record in records:
        try:
            frame = decode_frame(record.value)
        except FrameError as error:
            place = about(topic=FRAMES, partition=partition, offset=record.offset)
            log.warning("a frame cannot be read: %s", error, extra=place)
            continue
        if frame.epoch != epoch:
            past, complete = {}, True
            continue
        _apply(past, frame, partition)
        for name, value in record.headers:
            if name == HEADER_RESUME:
                complete |= _merge(past, orjson.loads(value), partition)
    return past, complete


def _merge(past: Past, header: Mapping[str, Any], partition: int) -> bool:
    """Add what a header tells, if it is about this raw partition."""
    if header["partition"] != partition:
        return False
    for site, (offset, journal, now, fixed, digest) in header["sites"].items():
        held = past.setdefault(site, SitePast())
        held.mark = Mark(max(held.mark.offset, offset), max(held.mark.journal, journal))
        held.now = max(held.now, now)
        held.told = Told(fixed, digest)
    return True


def _apply(past: Past, frame: Frame, partition: int) -> None:
    """Add what one frame tells."""
    held = past.setdefault(frame.site, SitePast())
    held.now = max(held.now, frame.now)
    if frame.raw is not None and frame.raw[0] == partition:
        journal = max(held.mark.journal, frame.journal)
        held.mark = Mark(max(held.mark.offset, frame.raw[2]), journal)
    if frame.settings is not None:
        try:
            held.told = Told.of(parse_site(frame.settings, f"frame of {frame.site}"))
        except SettingsError as error:
            place = about(site=frame.site, topic=FRAMES, partition=partition, epoch=frame.epoch)
            log.warning("%s", error, extra=place)
