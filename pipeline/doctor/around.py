"""What the checks look at: pages, brokers and the store, each asked once and by its own limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self, TypeVar

import aiohttp
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.doctor.finding import CannotTell
from pipeline.ingest.ranges import range_reader
from pipeline.topics import ends_as_fetched
from schemas.config import Config, shown_address
from schemas.frames import FrameError, decode_frame
from schemas.topics import FRAMES
from service.operator_page import EPOCH_HEADER, ROLE_HEADER
from sinks.clickhouse.query import QueryError, cleaned, connect

T = TypeVar("T")

PAGE_S = 5.0
BROKER_S = 10.0
STORE_S = 10.0


@dataclass(frozen=True, slots=True)
class Page:
    """The answer of a page; `role` and `epoch` are empty if it is none of ours.

    `asked_at` is this machine's wall clock in the middle of the exchange and `date` the other
    one's, epoch ms, cut to the second; None if it says none.
    """

    status: int
    text: str
    role: str
    epoch: str
    asked_at: float
    date: int | None


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest frame of a partition; `written` is when its producer wrote it, epoch ms."""

    partition: int
    offset: int
    written: int
    epoch: int
    now: int
    site: str


class Around:
    """The surroundings of one examination.

    `pages` are the addresses of roles and of Prometheus, Alertmanager; those in `named` were given
    on the command line, so somebody knows them to be there.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        pages: Mapping[str, str],
        named: frozenset[str] = frozenset(),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.environ = environ
        self.pages = pages
        self.named = named
        self._wall = wall
        self._http: aiohttp.ClientSession
        self._admin: Any = None
        self._client: Client | None = None
        self._asked: dict[str, asyncio.Future[Any]] = {}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=PAGE_S)
        self._http = aiohttp.ClientSession(timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        await self._http.close()
        if self._admin is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(self._admin.close(), 2)
        if self._client is not None:
            self._client.close()

    def now_ms(self) -> float:
        """This machine's wall clock."""
        return self._wall() * 1000

    def expected(self, name: str) -> bool:
        """Whether a page must be there: it was named, or all roles run on this machine."""
        return name in self.named or self.config.alone

    # --- pages --------------------------------------------------------------------------------

    async def page(self, name: str, path: str) -> Page:
        """A page of a role. Raises `CannotTell` where nobody answers."""
        return await self.get(self.pages[name] + path)

    async def get(self, address: str) -> Page:
        """Any page. Raises `CannotTell` where nobody answers, or not in HTTP."""
        began = self.now_ms()
        try:
            async with self._http.get(address) as answer:
                text = await answer.text(errors="replace")
                asked_at = (began + self.now_ms()) / 2
                headers = answer.headers
                role, epoch = headers.get(ROLE_HEADER, ""), headers.get(EPOCH_HEADER, "")
                date = _moment(headers.get("Date", ""))
                return Page(answer.status, text.strip(), role, epoch, asked_at, date)
        except aiohttp.ClientConnectorError:
            raise CannotTell("nobody listens") from None
        except TimeoutError:
            raise CannotTell(f"no answer within {PAGE_S:.0f} s") from None
        except (aiohttp.ClientError, ValueError) as error:
            raise CannotTell(f"no HTTP: {error or type(error).__name__}") from None

    # --- brokers ------------------------------------------------------------------------------

    async def admin(self) -> Any:
        """A connected client for administration. Raises `CannotTell`."""
        return await self._once("admin", self._connect)

    async def _connect(self) -> Any:
        self._admin = AIOKafkaAdminClient(
            **self.config.brokers.arguments(), request_timeout_ms=int(BROKER_S * 1000)
        )
        await self.of_broker(self._admin.start())
        return self._admin

    async def of_broker(self, asked: Awaitable[T]) -> T:
        """The broker's answer. Raises `CannotTell` if there is none, or it is a refusal."""
        try:
            async with asyncio.timeout(BROKER_S):
                return await asked
        except TimeoutError:
            why = f"no answer within {BROKER_S:.0f} s"
        except KafkaConnectionError:
            why = "does not answer"
        except (KafkaError, OSError) as error:
            why = str(error) or type(error).__name__
        raise CannotTell(f"the broker at {self.config.bootstrap}: {why}")

    async def newest_frames(self) -> list[Newest]:
        """The newest frame of each partition that has one. Raises `CannotTell`."""
        return await self._once("frames", lambda: self.of_broker(self._newest_frames()))

    async def _newest_frames(self) -> list[Newest]:
        places = await self.partitions(FRAMES)
        async with range_reader(self.config.brokers) as consumer:
            consumer.assign(places)
            begins = await consumer.beginning_offsets(places)
            ends = await ends_as_fetched(consumer, places)
            wanted = {tp: end - 1 for tp, end in ends.items() if end > begins[tp]}
            consumer.pause(*[tp for tp in places if tp not in wanted])
            for tp, offset in wanted.items():
                consumer.seek(tp, offset)
            found: dict[TopicPartition, Newest] = {}
            while len(found) < len(wanted):
                for tp, batch in (await consumer.getmany(timeout_ms=100)).items():
                    found[tp] = _newest(batch[-1])
        return [found[tp] for tp in sorted(found)]

    async def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """By partition, where a topic begins and ends. Raises `CannotTell`."""
        return await self._once(f"ends of {topic}", lambda: self.of_broker(self._ends(topic)))

    async def _ends(self, topic: str) -> dict[int, tuple[int, int]]:
        places = await self.partitions(topic)
        # Asked and not fetched: whoever may only look at a topic may not read it.
        async with range_reader(self.config.brokers) as consumer:
            begins = await consumer.beginning_offsets(places)
            ends = await consumer.end_offsets(places)
        return {tp.partition: (begins[tp], ends[tp]) for tp in places}

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """The partitions of a topic. Raises `CannotTell` if there is no such topic."""
        for found in await self.topics():
            if found["topic"] == topic:
                parts = found["partitions"]
                return [TopicPartition(topic, part["partition"]) for part in parts]
        raise CannotTell(f"there is no topic {topic}")

    async def topics(self) -> Sequence[Mapping[str, Any]]:
        """All topics as the broker describes them. Raises `CannotTell`."""
        admin = await self.admin()
        found: Sequence[Mapping[str, Any]] = await self._once(
            "topics", lambda: self.of_broker(admin.describe_topics(None))
        )
        return found

    # --- store --------------------------------------------------------------------------------

    async def store(self) -> Client:
        """A client that asks as the writer. Raises `CannotTell`."""
        return await self._once("store", self._open_store)

    async def _open_store(self) -> Client:
        address = self.config.clickhouse_url
        # First by a way with a short limit: the client would wait for minutes.
        try:
            await self.get(f"{address.rstrip('/')}/ping")
        except CannotTell as error:
            raise CannotTell(f"the store at {shown_address(address)}: {error}") from None
        self._client = await self.in_store(lambda: connect(self.config, write=True))
        return self._client

    async def query(self, sql: str) -> Sequence[Sequence[Any]]:
        """The rows of a query. Raises `CannotTell`."""
        client = await self.store()
        return (await self.in_store(lambda: client.query(sql))).result_rows

    async def in_store(self, asked: Callable[[], T]) -> T:
        """What a blocking question to the store answers. Raises `CannotTell`."""
        try:
            async with asyncio.timeout(STORE_S):
                return await asyncio.to_thread(asked)
        except TimeoutError:
            why = f"no answer within {STORE_S:.0f} s"
        except (QueryError, ClickHouseError, OSError) as error:
            why = cleaned(error)
        raise CannotTell(f"the store: {why}")

    async def _once(self, name: str, ask: Callable[[], Awaitable[T]]) -> T:
        """Several checks want the same; who comes later has the first one's answer, or error."""
        if name not in self._asked:
            self._asked[name] = asyncio.ensure_future(ask())
        found: T = await asyncio.shield(self._asked[name])
        return found


def _newest(record: Any) -> Newest:
    try:
        frame = decode_frame(record.value or b"")
    except FrameError:
        return Newest(record.partition, record.offset, record.timestamp, -1, 0, "")
    place = (record.partition, record.offset, record.timestamp)
    return Newest(*place, frame.epoch, frame.now, frame.site)


def _moment(date: str) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp() * 1000)
    except ValueError:
        return None
