"""From records to viewers: one message per site and view, serialised once, shared by all of them.

The hub coalesces what changed into at most four messages a second and sends a heartbeat each
second, so that a page can tell a silent centre from a dead line. A viewer that does not keep up
loses its backlog and gets the whole board again when it can read, which is newer than what it
lost; one that reads nothing for long is let go. Nothing here waits for a viewer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas.clock import Clock
from schemas.live import QUALITY, LiveRecord
from sinks.board.state import EVERY_MOMENT, Board, SiteState, View, changes, view_of

log = logging.getLogger(__name__)

FLUSH_MS = 250
"""Changes are sent when they come, and this long at least after the ones before."""
GATHER_MS = 10
"""What one publication brings comes together, or nearly so."""
BEAT_MS = 1000
BACKLOG = 24
"""Messages a viewer may be behind before they are replaced by one whole board: about five seconds.
A higher number holds more memory for each stalled viewer and shows it older news first."""


def sse(event: str, data: Any) -> bytes:
    """One server-sent event."""
    return b"event: " + event.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


class Viewer:
    """The queue of one connection; `join` of the hub makes it."""

    def __init__(self, whole: Callable[[], bytes], limit: int = BACKLOG) -> None:
        self._whole = whole
        self._limit = limit
        self._messages: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._behind = True
        self._closed = False
        self._wake.set()

    def offer(self, message: bytes) -> None:
        """Queue a message; a full queue is dropped for a whole board. Never blocks."""
        if self._behind:
            return
        if len(self._messages) >= self._limit:
            self.resend()
            return
        self._messages.append(message)
        self._wake.set()

    def resend(self) -> None:
        """Forget what is queued; the next message is the whole board."""
        self._messages.clear()
        self._behind = True
        self._wake.set()

    def close(self) -> None:
        """End the iteration of whoever reads this viewer."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> Viewer:
        return self

    async def __anext__(self) -> bytes:
        await self._wake.wait()
        if self._closed:
            raise StopAsyncIteration
        if self._behind:
            self._behind = False
            self._rest_if_empty()
            return self._whole()
        message = self._messages.popleft()
        self._rest_if_empty()
        return message

    def _rest_if_empty(self) -> None:
        if not self._messages:
            self._wake.clear()


@dataclass
class _Audience:
    """Those who look at one view of one site, and the board as they last got it."""

    viewers: set[Viewer] = field(default_factory=set)
    shown: Board = field(default_factory=dict)
    whole: bytes = b""

    def show(self, board: Board) -> Board:
        """Replace what is shown; returns what was."""
        before, self.shown, self.whole = self.shown, board, b""
        return before


@dataclass
class _SiteHub:
    state: SiteState = field(default_factory=SiteState)
    revision: int = 0
    flushed: int = 0
    heard: float | None = None
    audiences: dict[View, _Audience] = field(default_factory=dict)


class Hub:
    """All sites and all viewers. `apply` feeds it; `run` sends until it is cancelled.

    `monotonic` is seconds of a clock that only ticks, for the age of the last record. Until `ready`
    first says so nobody is shown anything: a board that has just started passes through minutes of
    old figures on its way to the present ones.
    """

    def __init__(
        self,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._ready = ready
        self._opened = False
        self._sites: dict[str, _SiteHub] = {}
        self._turned = monotonic()
        self._news = asyncio.Event()
        self._flushed = float("-inf")

    def apply(self, record: LiveRecord) -> None:
        """Take one record of the live topic; older ones than what is held are ignored."""
        site = self._site(record["site"])
        if site.state.apply(record):
            site.revision += 1
            # What the store says of last week must not hide that the worker has fallen silent.
            if record["kind"] != QUALITY:
                site.heard = self._monotonic()
            self._news.set()

    def sites(self) -> list[dict[str, Any]]:
        """Every site that has a board: id, name, moment and age, by id."""
        shown = ((name, self._board(name)) for name in sorted(self._sites))
        return [
            {"site": name, "name": board.get("name") or name, **self._moment(name)}
            for name, board in shown
            if board
        ]

    def board(self, site: str) -> Board:
        """The whole board of a site with its moment and age, empty if there is none yet."""
        board = self._board(site)
        return {**board, **self._moment(site)} if board else {}

    def join(self, site: str, view: View) -> Viewer:
        """A new viewer; its first message is the whole board, or a heartbeat before there is one.

        A site that nothing is known of may be joined: its board comes when its first record does.
        """
        audience = self._site(site).audiences.setdefault(view, _Audience())
        viewer = Viewer(lambda: self._whole(site, view))
        audience.viewers.add(viewer)
        return viewer

    def leave(self, site: str, view: View, viewer: Viewer) -> None:
        """Forget a viewer; the last one of a view takes the view's memory along."""
        hub = self._sites.get(site)
        audience = hub.audiences.get(view) if hub else None
        if hub is None or audience is None:
            return
        audience.viewers.discard(viewer)
        if not audience.viewers:
            del hub.audiences[view]
        if not hub.audiences and not hub.revision:
            del self._sites[site]

    def viewers(self) -> int:
        """How many viewers there are."""
        return sum(
            len(audience.viewers)
            for hub in self._sites.values()
            for audience in hub.audiences.values()
        )

    def close(self) -> None:
        """Let all viewers go."""
        for hub in self._sites.values():
            for audience in hub.audiences.values():
                for viewer in audience.viewers:
                    viewer.close()

    def turned_ms_ago(self) -> float:
        """How long ago the sending loop last turned, in milliseconds."""
        return (self._monotonic() - self._turned) * 1000

    def silent_s(self) -> float:
        """How long no site has had a live record, in seconds; 0 if there is no site to have one."""
        heard = [hub.heard for hub in self._sites.values() if hub.heard is not None]
        return self._monotonic() - max(heard) if heard else 0.0

    async def run(self) -> None:
        """Send changes and heartbeats until cancelled."""
        beat_due = self._monotonic()
        while True:
            self._turned = self._monotonic()
            try:
                self.flush()
                if self._turned >= beat_due:
                    self.beat()
                    beat_due = max(beat_due + BEAT_MS / 1000, self._turned)
            except Exception:
                # One odd record must not stop the page of every site; the next round tries again.
                log.exception("the board could not send")
            await self._rest()

    async def _rest(self) -> None:
        """Until something has come, at most as long as a beat may be late."""
        try:
            async with asyncio.timeout(FLUSH_MS / 1000):
                await self._news.wait()
        except TimeoutError:
            return
        since = self._monotonic() - self._flushed
        await asyncio.sleep(max(GATHER_MS, FLUSH_MS - since * 1000) / 1000)

    def flush(self) -> None:
        """Send what changed since the last flush to the viewers of each view."""
        self._news.clear()
        if not self._open():
            return
        for name, hub in self._sites.items():
            if hub.flushed == hub.revision:
                continue
            hub.flushed = hub.revision
            self._flushed = self._monotonic()
            for view, audience in hub.audiences.items():
                self._send_changes(name, view, audience)

    def beat(self) -> None:
        """Send each viewer the clock, the moment and the age of its site."""
        for name, hub in self._sites.items():
            if hub.audiences:
                message = sse("beat", self._moment(name))
                for audience in hub.audiences.values():
                    for viewer in audience.viewers:
                        viewer.offer(message)

    def _send_changes(self, site: str, view: View, audience: _Audience) -> None:
        board = view_of(self._board(site), view)
        if not board:
            return
        before = audience.show(board)
        if not before:
            for viewer in audience.viewers:
                viewer.resend()
            return
        message = sse("change", {**self._moment(site), "ops": changes(before, board)})
        for viewer in audience.viewers:
            viewer.offer(message)

    def _whole(self, site: str, view: View) -> bytes:
        hub = self._site(site)
        audience = hub.audiences.setdefault(view, _Audience())
        # Not the newest state but the one last shown: the next changes start from there.
        if not audience.shown:
            audience.show(view_of(self._board(site), view))
        moment = self._moment(site)
        if not audience.shown:
            return sse("beat", moment)
        # Three hundred viewers that come back at once share one serialised board; only the
        # moment, which ages by itself, is added each time.
        audience.whole = audience.whole or orjson.dumps({**audience.shown, "at": moment["at"]})
        rest = {key: value for key, value in moment.items() if key not in EVERY_MOMENT}
        whole = audience.whole[:-1] + b"," + orjson.dumps(rest)[1:]
        return b"event: board\ndata: " + whole + b"\n\n"

    def _moment(self, site: str) -> dict[str, Any]:
        """Server clock, pace, the site's moment, and how old it is in real milliseconds.

        The age is the greater of two: by the clock, and since the last record. The first alone
        would be blind for a site whose platform runs ahead, the second after a restart.
        """
        now = self._clock.now_ms()
        hub = self._sites.get(site)
        moment: dict[str, Any] = {"now": now, "pace": self._clock.pace, "at": None, "age_ms": None}
        board = self._board(site)
        if hub is not None and board and hub.heard is not None:
            moment["at"] = board["at"]
            behind = (now - board["at"]) / self._clock.pace
            silent = (self._monotonic() - hub.heard) * 1000
            moment["age_ms"] = max(0, int(max(behind, silent)))
        return moment

    def _open(self) -> bool:
        self._opened = self._opened or self._ready()
        return self._opened

    def _board(self, site: str) -> Board:
        hub = self._sites.get(site)
        return hub.state.board if hub and self._open() else {}

    def _site(self, name: str) -> _SiteHub:
        return self._sites.setdefault(name, _SiteHub())
