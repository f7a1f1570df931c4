"""What every role answers an operator: `/healthz`, `/readyz`, and the levels of its loggers.

Pure: `operator_routes` hands requests over.

    GET /healthz     200 while the loops of the process turn
    GET /readyz      200 while what it is there for happens, else one reason a line
    GET /log-level   the levels
    PUT /log-level   {"logger": "aiokafka", "level": "DEBUG", "for_s": 600}

The levels are for whoever shows the operator's token. On a page that is for operators alone they
are also for whoever asks from this machine, unless a proxy or a web page asks on another's behalf.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import orjson

from schemas.config import Config
from service.callers import asks_for_itself
from service.health import Check
from service.log_levels import DEFAULT_S, ROOT, LevelError, Levels

JSON = "application/json"
TEXT = "text/plain"
ROLE_HEADER = "X-Callboard-Role"
EPOCH_HEADER = "X-Callboard-Epoch"
"""By these whoever asks knows that the page is the one it was meant to be."""
MAX_BODY_BYTES = 4096


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    text: str
    kind: str = TEXT


class Caller(NamedTuple):
    """Who asks: the address the connection comes from, and the headers, by any case."""

    remote: str | None
    headers: Mapping[str, str]


class OperatorPage:
    """The answers of one role.

    `checks` say what is stuck, `unready` why it is not ready, both empty if nothing is. `private`
    means that the page is for operators alone, which those of the door and the board are not.
    `headers` go with every answer.
    """

    def __init__(
        self,
        role: str,
        config: Config,
        unready: Callable[[], Iterable[str]],
        checks: Iterable[Check] = (),
        *,
        private: bool = True,
    ) -> None:
        self.levels = Levels()
        self.headers = {ROLE_HEADER: role, EPOCH_HEADER: str(config.epoch)}
        self._unready = unready
        self._checks = tuple(checks)
        self._token = config.operator_token.encode()
        self._private = private

    def healthz(self) -> Reply:
        """Whether all loops turn."""
        return _reply([found for check in self._checks if (found := check())], "ok")

    def readyz(self) -> Reply:
        """Whether work flows."""
        return _reply([reason for reason in self._unready() if reason], "ready")

    def show_levels(self, caller: Caller) -> Reply:
        """The levels as JSON, or a refusal."""
        return self.refusal(caller) or Reply(200, _dumped(self.levels.shown()), JSON)

    def set_level(self, caller: Caller, body: bytes) -> Reply:
        """Change a level and show all, or say what is wrong."""
        refused = self.refusal(caller)
        if refused is not None:
            return refused
        try:
            self.levels.set(*_asked(body))
        except LevelError as error:
            return Reply(400, f"{error}\n")
        return Reply(200, _dumped(self.levels.shown()), JSON)

    def refusal(self, caller: Caller) -> Reply | None:
        """What is answered to one who may not see or change levels, None to one who may."""
        if self._token and _shows(caller, self._token):
            return None
        if self._private and asks_for_itself(*caller):
            return None
        if not self._token:
            where = "from this machine, or " if self._private else ""
            told = f"only {where}with CALLBOARD_OPERATOR_TOKEN, which this role has not; or SIGUSR1"
            return Reply(403, f"{told}\n")
        return Reply(401, "show CALLBOARD_OPERATOR_TOKEN as `Authorization: Bearer …`\n")


def _reply(wrong: list[str], right: str) -> Reply:
    return Reply(503 if wrong else 200, "".join(f"{line}\n" for line in wrong or [right]))


def _asked(body: bytes) -> tuple[str, str, float]:
    try:
        asked = orjson.loads(body)
    except orjson.JSONDecodeError:
        asked = None
    if not isinstance(asked, dict):
        raise LevelError('an object is needed: {"logger": "root", "level": "DEBUG", "for_s": 600}')
    seconds = asked.get("for_s", DEFAULT_S)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise LevelError("for_s is a number of seconds")
    return str(asked.get("logger", ROOT)), str(asked.get("level", "")), float(seconds)


def _shows(caller: Caller, token: bytes) -> bool:
    """Whether the token is there; the comparison takes the same time for any other."""
    scheme, _, given = _header(caller, "authorization").partition(" ")
    same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token)
    return scheme.lower() == "bearer" and same


def _header(caller: Caller, name: str) -> str:
    return next((v for key, v in caller.headers.items() if key.lower() == name), "")


def _dumped(levels: Mapping[str, object]) -> str:
    return orjson.dumps(levels, option=orjson.OPT_INDENT_2).decode() + "\n"
