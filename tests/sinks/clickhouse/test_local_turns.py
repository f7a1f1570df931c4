"""One command at a time, inserts first, analysts in a queue with so much room."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sinks.clickhouse.local.command import Answer, Command, Role
from sinks.clickhouse.local.errors import StoreError
from sinks.clickhouse.local.turns import Job, Turn, Turns


class Engine:
    """Runs what it is given when told to go on, and writes down what it ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.cancelled = 0
        self.running = 0
        self.go = asyncio.Semaphore(0)

    async def run(self, job: Job) -> Answer:
        self.running += 1
        assert self.running == 1, "two commands at a time"
        self.ran.append(job.command.sql)
        await self.go.acquire()
        self.running -= 1
        return Answer(body=job.command.sql.encode())

    def cancel(self) -> None:
        self.cancelled += 1
        self.go.release()


async def no_body() -> AsyncIterator[bytes]:
    return
    yield b""


def command(sql: str, role: Role = Role.ANALYST) -> Command:
    insert_format = "CSV" if sql.startswith("insert") else ""
    return Command(sql, role, "callboard", insert_format=insert_format)


class Bench:
    def __init__(self, writers: int = 100, analysts: int = 8) -> None:
        self.engine = Engine()
        self.turns = Turns(
            self.engine.run,
            self.engine.cancel,
            writer_queue=writers,
            analyst_queue=analysts,
            retry_after_s=10,
        )
        self.turns.start()

    def send(self, sql: str, role: Role = Role.ANALYST) -> "asyncio.Task[Answer]":
        return asyncio.create_task(self.turns.take(command(sql, role), 0, no_body()))


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_inserts_go_first_then_the_writer_then_analysts() -> None:
    bench = Bench()
    tasks = [bench.send("running")]
    await settle()
    for sql, role in [
        ("read 1", Role.ANALYST),
        ("create", Role.WRITER),
        ("read 2", Role.ANALYST),
        ("insert 1", Role.WRITER),
        ("insert 2", Role.WRITER),
    ]:
        tasks.append(bench.send(sql, role))
    for _ in tasks:
        bench.engine.go.release()
    answers = await asyncio.gather(*tasks)
    assert bench.engine.ran == ["running", "insert 1", "insert 2", "create", "read 1", "read 2"]
    assert [answer.body.decode() for answer in answers][1:3] == ["read 1", "create"]
    await bench.turns.close(1)


async def test_eight_analysts_wait_and_the_ninth_is_told_to_come_back() -> None:
    bench = Bench()
    tasks = [bench.send(f"read {n}") for n in range(9)]
    await settle()
    assert bench.turns.waiting(Turn.ANALYST) == 8
    with pytest.raises(StoreError) as refused:
        await bench.send("one too many")
    assert refused.value.status == 503
    assert refused.value.retry_after_s == 10
    insert = bench.send("insert", Role.WRITER)
    for _ in range(10):
        bench.engine.go.release()
    await asyncio.gather(insert, *tasks)
    assert "one too many" not in bench.engine.ran
    await bench.turns.close(1)


async def test_an_analyst_who_leaves_the_queue_makes_room_and_is_not_run() -> None:
    bench = Bench(analysts=1)
    running = bench.send("running")
    await settle()
    waiting = bench.send("waiting")
    await settle()
    waiting.cancel()
    await settle()
    next_one = bench.send("next")
    await settle()
    for _ in range(3):
        bench.engine.go.release()
    await asyncio.gather(running, next_one)
    assert bench.engine.ran == ["running", "next"]
    await bench.turns.close(1)


async def test_a_query_whose_client_goes_away_is_cancelled() -> None:
    bench = Bench()
    query = bench.send("long")
    await settle()
    query.cancel()
    await settle()
    assert bench.engine.cancelled == 1
    after = bench.send("after")
    bench.engine.go.release()
    assert (await after).body == b"after"
    await bench.turns.close(1)


async def test_an_insert_whose_client_goes_away_is_carried_to_its_end() -> None:
    bench = Bench()
    insert = bench.send("insert", Role.WRITER)
    await settle()
    insert.cancel()
    await settle()
    assert not insert.done()
    assert bench.engine.cancelled == 0
    bench.engine.go.release()
    await settle()
    assert insert.cancelled()
    await bench.turns.close(1)


async def test_closing_refuses_what_waits_and_cancels_a_query() -> None:
    bench = Bench()
    running, waiting = bench.send("running"), bench.send("waiting")
    await settle()
    await bench.turns.close(1)
    with pytest.raises(StoreError, match="stopping"):
        await waiting
    assert (await running).body == b"running"
    assert bench.engine.cancelled == 1
    with pytest.raises(StoreError, match="stopping"):
        await bench.send("late")


async def test_closing_lets_an_insert_end() -> None:
    bench = Bench()
    insert = bench.send("insert", Role.WRITER)
    await settle()
    closing = asyncio.create_task(bench.turns.close(5))
    await settle()
    assert not insert.done()
    bench.engine.go.release()
    assert (await insert).body == b"insert"
    await closing
    assert bench.engine.cancelled == 0
