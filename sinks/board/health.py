"""What the board says of itself: its loops turn, live records come.

`/readyz` is for operators, and is not 200 while the figures are old. A board with old figures is
still worth seeing, for it says that they are old: whoever sends viewers to a board asks `/servez`,
which is 200 once the board has something to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web

from schemas.config import Config
from service.health import Check
from service.operator_page import OperatorPage
from service.operator_routes import operator_routes
from sinks.board.stream import FLUSH_MS, Hub

TURN_LIMIT_MS = 20 * FLUSH_MS
SILENT_S = 30.0
"""The worker repeats everything every ten seconds."""

_UNREAD = "the live topic is not read to its end, or its broker does not answer"


def operator_page(
    hub: Hub, ready: Callable[[], bool], config: Config, checks: Iterable[Check] = ()
) -> OperatorPage:
    """The operator's page; `ready` says whether the live topic has been read to its end."""

    def stuck() -> str:
        turned = hub.turned_ms_ago()
        late = turned >= TURN_LIMIT_MS
        return f"the loop that sends has not turned for {turned / 1000:.0f} s" if late else ""

    def unready() -> list[str]:
        if not ready():
            return [_UNREAD]
        silent = hub.silent_s()
        return [f"no live record for {silent:.0f} s"] if silent > SILENT_S else []

    return OperatorPage("board", config, unready, [stuck, *checks], private=False)


def health_routes(page: OperatorPage, ready: Callable[[], bool]) -> list[web.AbstractRouteDef]:
    """The operator's routes, and whether viewers may be sent here."""

    async def servez(_request: web.Request) -> web.Response:
        text = "ready" if ready() else _UNREAD
        return web.Response(status=200 if ready() else 503, text=f"{text}\n")

    return [*operator_routes(page), web.get("/servez", servez)]
