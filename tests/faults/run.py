"""One run: a load and faults at the same time, then everything the oracle demands."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from schemas.settings import SiteSettings
from tests.e2e.figures import Figures, differences, of_board, of_metrics, of_sql, without_sums
from tests.faults import oracle
from tests.faults.cluster import Cluster
from tests.faults.faults import Fault, NotMet, Scene, strike
from tests.faults.load import Load
from tests.faults.record import Topics, read_topics, settle, unread

ALIVE_S = 120.0
"""How long after the last fault the boards may take to be of now, on a machine that is busy."""
_FAR = "2200-01-01 00:00:00"
_DAMNING = (
    "are gone from the topic",
    "an older one is taken",
    "there is no checkpoint",
    "cannot be applied",
    "bad row",
)
"""What no log may say, whatever is done to a role."""
_ENDS = {"agents": (70,), "store": (1,)}
"""How else than by a signal a process may end: a worker in doubt, a store whose engine cannot
start. A traceback nobody caught is 1."""


@dataclass(slots=True)
class Result:
    """What a run did and found. Times are seconds; `wrong` is empty when all is well."""

    name: str
    faults: list[Fault]
    struck: list[str] = field(default_factory=list)
    met: list[str] = field(default_factory=list)
    """The kinds of faults that struck."""
    wrong: list[str] = field(default_factory=list)
    raw_records: int = 0
    poison: int = 0
    frames: int = 0
    seconds: float = 0.0
    alive_s: float = 0.0
    stalest_s: float = 0.0
    tries: dict[str, int] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=dict)

    def summary(self) -> str:
        """One line."""
        state = "WRONG" if self.wrong else "right"
        return (
            f"{self.name}: {state}, {len(self.met)} faults, {self.raw_records} raw records,"
            f" {self.poison} poison, {self.frames} frames, alive {self.alive_s:.1f} s after the"
            f" last fault, stalest {self.stalest_s:.1f} s, {self.seconds:.0f} s"
        )


class Run:
    """A load on sites of its own and a schedule of faults."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        sites: Sequence[SiteSettings],
        faults: Sequence[Fault],
        rate: float = 8.0,
        strays: bool = True,
    ) -> None:
        self.cluster = cluster
        self.sites = {settings.site: settings for settings in sites}
        self.result = Result(name, list(faults))
        self.load = Load(cluster, self.sites, name, rate, strays)
        self.topics: Topics | None = None
        self._begins: dict[int, int] | None = None
        self._began = time.monotonic()

    def go(self, seconds: float, *, all_windows: bool = False) -> Result:
        """Everything; afterwards ingest is stopped, and the rest runs."""
        began = time.monotonic()
        starts = {role.name: role.starts for role in self.cluster.roles()}
        try:
            self.strain(seconds)
            self.drain()
            self.compare(all_windows=all_windows)
        except AssertionError as error:
            self.result.wrong.append(str(error))
        self.result.seconds = time.monotonic() - began
        self.result.tries = dict(self.load.tries)
        self.result.starts = {
            role.name: role.starts - starts.get(role.name, 0) for role in self.cluster.roles()
        }
        return self.result

    # --- faults -------------------------------------------------------------------------------

    def strain(self, seconds: float) -> None:
        """Send events and let the faults strike; then all faults are gone and all is alive."""
        if self._begins is None:
            self._begins = settle(_ends(self.cluster))
        asyncio.run(self._strain(seconds))
        self.cluster.heal()
        healed = time.time_ns() // 1_000_000
        self.result.alive_s = self.cluster.until(
            lambda: all(self.cluster.board(site)["at"] > healed for site in self.sites),
            "all boards are of now after the last fault",
            ALIVE_S,
            lambda: f"{self._behind(healed)} {self.cluster.unready()}",
        )

    def _behind(self, moment: int) -> dict[str, float]:
        """By how many seconds each board is older than a moment, if it is."""
        behind = {site: moment - self.cluster.board(site)["at"] for site in self.sites}
        return {site: late / 1000 for site, late in behind.items() if late >= 0}

    async def _strain(self, seconds: float) -> None:
        self._began = time.monotonic()
        # Faults block for as long as they last, and many last at a time.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
        looking = asyncio.create_task(self._look())
        striking = [asyncio.create_task(self._strike(fault)) for fault in self.result.faults]
        try:
            await self.load.run(seconds, sending_s=ALIVE_S)
            await asyncio.gather(*striking)
        finally:
            looking.cancel()
            for task in striking:
                task.cancel()

    async def _strike(self, fault: Fault) -> None:
        await asyncio.sleep(fault.at_s - (time.monotonic() - self._began))
        began = time.monotonic() - self._began
        note = ""
        try:
            await asyncio.to_thread(strike, Scene(self.cluster, self.load), fault)
            self.result.met.append(fault.kind)
        except NotMet as error:
            note = f": {error}"
        ended = time.monotonic() - self._began
        self.result.struck.append(f"{fault}, from {began:.2f} to {ended:.2f} s{note}")

    async def _look(self) -> None:
        """How far the oldest board is behind; a board that does not answer is as old as it was."""
        seen: dict[str, int] = {}
        while True:
            for site in self.sites:
                try:
                    at = (await asyncio.to_thread(self.cluster.board, site))["at"]
                    seen[site] = max(seen.get(site, 0), at)
                except (OSError, LookupError, HTTPException, ValueError):
                    continue
            age = time.time() - min(seen.values(), default=0) / 1000
            if len(seen) == len(self.sites):
                self.result.stalest_s = max(self.result.stalest_s, age)
            await asyncio.sleep(0.5)

    # --- the end ------------------------------------------------------------------------------

    def await_ingest(self) -> None:
        """Wait until ingest has committed all of the raw topic."""
        cluster = self.cluster
        group = f"callboard-ingest-{cluster.epoch}"

        def left() -> dict[int, Any]:
            """By partition what is committed and where it ends."""
            found: dict[int, Any] = settle(unread(cluster.kafka.address, group))
            return found

        cluster.until(lambda: not left(), "ingest commits the raw topic", found=left)

    def drain(self) -> None:
        """Wait until ingest has committed all of the raw topic, and stop it in order."""
        cluster = self.cluster
        self.await_ingest()
        cluster.until(cluster.ready, "all roles are ready", found=cluster.unready)
        codes = {role.name: role.stop() for role in cluster.roles("ingest")}
        assert not any(codes.values()), f"ingest did not stop in order: {codes}"
        self.topics = settle(read_topics(cluster.kafka.address))

    # --- the oracle ---------------------------------------------------------------------------

    def compare(self, *, all_windows: bool) -> None:
        """Everything that must be true; what is not is added to the result."""
        topics, wrong, epoch = self.topics, self.result.wrong, self.cluster.epoch
        assert topics is not None
        judged, strange = oracle.judge(topics, self.load.book, self._begins or {})
        wrong += strange
        wrong += oracle.acknowledged_is_there(judged, self.load.acknowledged)
        wrong += oracle.homes(topics, self.sites)
        framed = 0
        for site in self.sites:
            frames = [frame for _, frame in topics.of(site, epoch)]
            wrong += oracle.framed_once(site, frames, judged)
            framed += len(frames)
        wrong += oracle.letters_are_the_poison(topics, judged, epoch)
        self.result.frames = framed
        self.result.raw_records = len(judged.verdicts)
        self.result.poison = len(judged.dead())
        boards = self._boards(topics, judged)
        wrong += self._metrics(boards)
        wrong += self._store(boards, all_windows=all_windows)
        wrong += self._logs()

    def _boards(self, topics: Topics, judged: oracle.Judged) -> dict[str, Any]:
        """The boards, each compared with one pass of the engine and with the brute force."""
        boards = {}
        for site, settings in self.sites.items():
            right = oracle.right_board(settings, topics.of(site, self.cluster.epoch))
            board = self._board_of(site, right["at"])
            boards[site] = board
            force = oracle.by_brute_force(settings, judged, right["at"])
            self.result.wrong += _lines(f"{site}: board and engine", board, right)
            self.result.wrong += _lines(f"{site}: board and brute force", board, force)
        return boards

    def _board_of(self, site: str, at: int) -> dict[str, Any]:
        def time_of() -> int:
            found: int = self.cluster.board(site)["at"]
            return found

        what = f"the board of {site} is of {at}, that of its last frame"
        self.cluster.until(lambda: time_of() == at, what, found=time_of)
        return self.cluster.board(site)

    def _metrics(self, boards: Mapping[str, Any]) -> list[str]:
        """Each site is in the metrics of exactly one worker, and they are the board's figures."""
        pages: dict[str, str] = {}

        def each_once() -> bool:
            pages.update(self.cluster.metrics())
            return all(len(_showing(pages, site)) == 1 for site in boards)

        self.cluster.until(each_once, "each site is in the metrics of one worker")
        wrong = []
        for site, board in boards.items():
            [page] = _showing(pages, site)
            right = _rounded(without_sums(of_board(board)))
            found = _told(differences(_rounded(of_metrics(page, site)), right))
            wrong += [f"{site}: metrics: {line}" for line in found]
        return wrong

    def _store(self, boards: Mapping[str, Any], *, all_windows: bool) -> list[str]:
        """The views of the store say what the boards say, and engine and records agree."""
        ats = {site: board["at"] for site, board in boards.items()}

        def left() -> dict[str, tuple[int | None, int]]:
            """Sites whose time in the store is not that of the board."""
            rows = self.cluster.sql("SELECT site, toUnixTimestamp64Milli(at) AS at FROM progress")
            found = {row["site"]: int(row["at"]) for row in rows}
            return {s: (found.get(s), at) for s, at in ats.items() if found.get(s) != at}

        self.cluster.until(lambda: not left(), "the store has all rows", found=left)
        wrong = self._views(boards, "total", {"1900-01-02 00:00:00": list(boards)})
        if all_windows:
            wrong += self._views(boards, "today", _by_day(boards))
        mine = ", ".join(f"'{site}'" for site in boards)
        rows = self.cluster.sql(f"SELECT * FROM reconciliation WHERE site IN ({mine})")
        return wrong + [f"reconciliation: {row}" for row in rows[: oracle.FEW]]

    def _views(
        self, boards: Mapping[str, Any], window: str, begins: Mapping[str, Collection[str]]
    ) -> list[str]:
        wrong = []
        for begin, sites in begins.items():
            span = f"from = '{begin}', to = '{_FAR}'"
            queues = self.cluster.sql(f"SELECT * FROM kpi_queue({span})")
            teams = self.cluster.sql(f"SELECT * FROM kpi_team({span})")
            for site in sites:
                found = of_sql(
                    {
                        ("kpi_window", window): [r for r in queues if r["site"] == site],
                        ("kpi_window_team", window): [r for r in teams if r["site"] == site],
                    }
                )
                right = _only(of_board(boards[site]), window)
                wrong += [f"{site}: SQL: {line}" for line in _told(differences(found, right))]
        return wrong

    def _logs(self) -> list[str]:
        wrong = []
        for role in self.cluster.roles():
            text = role.log.read_text(errors="replace")
            wrong += [f"{role.name} says: {words}" for words in _DAMNING if words in text]
            bad = [code for code in role.ends if code > 0 and code not in _ENDS.get(role.role, ())]
            wrong += [f"{role.name} ended with {bad}"] if bad else []
        return wrong


def _lines(what: str, board: Any, right: Any) -> list[str]:
    """Where two boards differ in a figure of the contract."""
    lines = [f"{what}: {line}" for line in _told(differences(of_board(board), of_board(right)))]
    counted = ("late", "inconsistent", "dead_lettered")
    lines += [
        f"{what}: {k} {board[k]}, right is {right[k]}" for k in counted if board[k] != right[k]
    ]
    return lines


def _told(lines: list[str]) -> list[str]:
    return lines[: oracle.FEW]


def _rounded(figures: Figures) -> Figures:
    """Metrics are in seconds, and a quotient is not the same number again in milliseconds."""
    return {name: round(value, 6) for name, value in figures.items()}


def _showing(pages: Mapping[str, str], site: str) -> list[str]:
    mark = f'site="{site}"'
    return [page for page in pages.values() if mark in page]


def _only(figures: Figures, window: str) -> Figures:
    """What the two views by queue and by team say of one window."""
    return {n: value for n, value in figures.items() if n[1] == window and len(n[0]) > 1}


def _by_day(boards: Mapping[str, Any]) -> dict[str, list[str]]:
    """Sites by the first moment of their day."""
    found: dict[str, list[str]] = {}
    for site, board in boards.items():
        begin = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(board["day_start"] / 1000))
        found.setdefault(begin, []).append(site)
    return found


async def _ends(cluster: Cluster) -> dict[int, int]:
    topics = await read_topics(cluster.kafka.address)
    ends = Counter[int]()
    for partition, offset in topics.raw:
        ends[partition] = max(ends[partition], offset + 1)
    return dict(ends)
