"""One command at a time, inserts first: the queue before the engine.

Inserts go before the writer's other statements, these before analysts' queries; within a class, who
came first. Each class has room for so many and refuses the next, with `Retry-After`.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum

from sinks.clickhouse.local.command import Answer, Command, Role
from sinks.clickhouse.local.errors import ABORTED, TOO_MANY_SIMULTANEOUS_QUERIES, StoreError


class Turn(IntEnum):
    """Who goes first."""

    INSERT = 0
    WRITER = 1
    ANALYST = 2


@dataclass(order=True, slots=True)
class Job:
    """A command that waits for its turn, and who waits for it."""

    turn: Turn
    number: int
    command: Command = field(compare=False)
    body_bytes: int = field(compare=False)
    body: AsyncIterable[bytes] = field(compare=False)
    answer: asyncio.Future[Answer] = field(compare=False)


class Turns:
    """The queue and the task that works it off."""

    def __init__(
        self,
        run: Callable[[Job], Awaitable[Answer]],
        cancel: Callable[[], None],
        *,
        writer_queue: int,
        analyst_queue: int,
        retry_after_s: int,
    ) -> None:
        self._run = run
        self._cancel = cancel
        self._room = {
            Turn.INSERT: writer_queue,
            Turn.WRITER: writer_queue,
            Turn.ANALYST: analyst_queue,
        }
        self._retry_after_s = retry_after_s
        self._waiting: list[Job] = []
        self._numbers = itertools.count()
        self._came = asyncio.Event()
        self.running: Job | None = None
        """What the engine works on."""
        self._since = 0.0
        self._closed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> asyncio.Task[None]:
        """Begin to work the queue off; the task ends early only when the engine is lost."""
        self._task = asyncio.create_task(self._work())
        return self._task

    def running_s(self) -> float:
        """For how long the engine has worked at what it works on."""
        return 0.0 if self.running is None else time.monotonic() - self._since

    def crowded(self) -> str:
        """Why no insert would be taken now, empty if one would."""
        waiting = self.waiting(Turn.INSERT)
        return f"{waiting} inserts wait already" if waiting >= self._room[Turn.INSERT] else ""

    def waiting(self, turn: Turn) -> int:
        """How many of a class wait, the one that runs not among them."""
        return sum(job.turn is turn and not job.answer.done() for job in self._waiting)

    async def take(self, command: Command, body_bytes: int, body: AsyncIterable[bytes]) -> Answer:
        """Wait for the command's turn and its answer; raise `StoreError` when there is no room.

        When the caller goes away, a query is cancelled; an insert that has begun goes on.
        """
        turn = _turn_of(command)
        if self._closed:
            raise StoreError(ABORTED, "the store is stopping", retry_after_s=1)
        # One more while the engine is idle: it takes that one at once.
        if self.waiting(turn) >= self._room[turn] + (self.running is None):
            raise StoreError(
                TOO_MANY_SIMULTANEOUS_QUERIES,
                f"Too many simultaneous queries: {self._room[turn]} wait already",
                retry_after_s=self._retry_after_s,
            )
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        job = Job(turn, next(self._numbers), command, body_bytes, body, answer)
        heapq.heappush(self._waiting, job)
        self._came.set()
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            await self._abandon(job)
            raise

    async def _abandon(self, job: Job) -> None:
        if self.running is job and job.turn is Turn.INSERT:
            await asyncio.wait((job.answer,))
            return
        if self.running is job:
            self._cancel()
        job.answer.cancel()

    async def close(self, wait_s: float) -> bool:
        """Refuse what waits and let what runs end: a query is cancelled, an insert goes on.

        After `wait_s` nothing is waited for any more. Returns whether the engine is idle.
        """
        self._closed = True
        self._came.set()
        for job in self._waiting:
            _refuse(job)
        if self.running is not None and self.running.turn is not Turn.INSERT:
            self._cancel()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=wait_s)
            self._task.cancel()
        if self.running is None:
            return True
        _refuse(self.running)
        return False

    async def _work(self) -> None:
        while not self._closed:
            if not self._waiting:
                self._came.clear()
                await self._came.wait()
                continue
            job = heapq.heappop(self._waiting)
            if not job.answer.done():
                await self._do(job)

    async def _do(self, job: Job) -> None:
        self.running, self._since = job, time.monotonic()
        try:
            answer = await self._run(job)
        except Exception as error:
            if not job.answer.done():
                job.answer.set_exception(error)
            if not isinstance(error, StoreError):
                raise
        else:
            if not job.answer.done():
                job.answer.set_result(answer)
        finally:
            self.running = None


def _refuse(job: Job) -> None:
    if not job.answer.done():
        job.answer.set_exception(StoreError(ABORTED, "the store is stopping", retry_after_s=1))


def _turn_of(command: Command) -> Turn:
    if command.role is Role.ANALYST:
        return Turn.ANALYST
    return Turn.INSERT if _is_insert(command) else Turn.WRITER


def _is_insert(command: Command) -> bool:
    return bool(command.insert_format) or command.sql.lstrip()[:6].upper() == "INSERT"
