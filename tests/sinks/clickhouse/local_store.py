"""A local ClickHouse for the tests of it, in a thread or as a process, and short ways to ask it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from sinks.clickhouse.local import Limits, LocalClickHouse, serve

ROOT = Path(__file__).resolve().parents[3]
PASSWORDS = {"writer": "write it", "analyst": "read:it"}


@dataclass(frozen=True)
class Reply:
    """An answer of the HTTP interface."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> int:
        """ClickHouse's error code, 0 when there is none."""
        return int(self.headers.get("X-ClickHouse-Exception-Code", "0"))


class Address:
    """Where a store listens."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"
        self._http = urllib3.PoolManager(maxsize=32, retries=False)

    def ask(
        self,
        sql: str | bytes = "",
        user: str = "writer",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Reply:
        """Send a statement as the body, `params` in the URL."""
        auth = urllib3.make_headers(basic_auth=f"{user}:{PASSWORDS[user]}") if user else {}
        answer = self._http.request(
            method,
            f"{self.url}?{urlencode(params)}" if params else self.url,
            body=sql.encode() if isinstance(sql, str) else sql,
            headers={**auth, **(headers or {})},
            timeout=60,
            decode_content=False,
        )
        return Reply(answer.status, answer.headers, answer.data)

    def get(self, path: str) -> Reply:
        answer = self._http.request("GET", self.url + path, timeout=60)
        return Reply(answer.status, answer.headers, answer.data)

    def analyst(self, sql: str, **params: Any) -> Reply:
        return self.ask(sql, "analyst", **params)

    def value(self, sql: str, user: str = "writer") -> str:
        """The only value of a query, as text."""
        reply = self.ask(sql, user)
        assert reply.status == 200, reply.text
        return reply.text.strip()

    def do(self, sql: str) -> None:
        reply = self.ask(sql)
        assert reply.status == 200, reply.text


class ThreadedStore(Address):
    """A store in a thread; `store` may be looked into, from its own loop."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.store = LocalClickHouse(
            path, PASSWORDS["writer"], PASSWORDS["analyst"], limits=limits, fsync=False
        )
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ports: list[int] = []
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._listening.wait(60), "the store does not listen"
        super().__init__(self._ports[0])

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(
                serve(self.store, port=0, stop=self._stop, ready=self._ready)
            )
        finally:
            self._listening.set()

    def _ready(self, port: int) -> None:
        self._ports.append(port)
        self._listening.set()

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(90)
        assert not self._thread.is_alive()


@contextmanager
def threaded(path: Path, limits: Limits | None = None) -> Iterator[ThreadedStore]:
    store = ThreadedStore(path, limits or Limits())
    try:
        yield store
    finally:
        store.stop()


class StoreProcess(Address):
    """`callboard store` as a process of its own."""

    def __init__(self, data_dir: Path, port: int) -> None:
        super().__init__(port)
        self.data_dir = data_dir
        environment = {
            **os.environ,
            "CALLBOARD_DATA_DIR": str(data_dir),
            "CALLBOARD_CLICKHOUSE_URL": self.url,
            "CALLBOARD_CLICKHOUSE_USER": "writer",
            "CALLBOARD_CLICKHOUSE_PASSWORD": PASSWORDS["writer"],
            "CALLBOARD_ANALYST_PASSWORD": PASSWORDS["analyst"],
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.cli.main", "store"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_ready(self, limit_s: float = 60) -> None:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.output()
            try:
                if self.get("ping").status == 200:
                    return
            except urllib3.exceptions.HTTPError:
                time.sleep(0.05)
        raise TimeoutError("the store does not answer")

    def output(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.read()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def process(data_dir: Path, port: int) -> Iterator[StoreProcess]:
    store = StoreProcess(data_dir, port)
    try:
        store.wait_ready()
        yield store
    finally:
        store.end()
