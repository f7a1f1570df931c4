"""What a browser holds once it has shown its token: a signed cookie, good for a bounded time.

    v1.<id of the token>.<end, epoch ms>.<signature>

The signature covers the token's whole digest, so a cookie is good only as long as its token is in
the file. Nothing is remembered here: every board that has the key takes the cookie, also after a
restart.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from sinks.board.viewers import Entry, id_of

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PERSON_MS = 12 * HOUR_MS
"""A working day: who goes home without logging out has logged out."""
WALL_MS = 60 * DAY_MS
RENEW_MS = DAY_MS
"""A wall's cookie is renewed when it is this old."""
MAX_COOKIE = 400
_VERSION = "v1"


class Sessions:
    """Makes and reads cookies. Without a key there is one that ends with this process."""

    def __init__(self, key: str) -> None:
        raw = key.encode() or secrets.token_bytes(32)
        self._key = hashlib.sha256(b"callboard board session\0" + raw).digest()

    def issue(self, entry: Entry, now: int) -> tuple[str, int]:
        """A cookie for the holder of a token and when it ends, both within the token's own time."""
        end = now + (WALL_MS if entry.wall else PERSON_MS)
        if entry.expires is not None:
            end = min(end, entry.expires)
        return f"{_VERSION}.{id_of(entry)}.{end}.{self._signature(entry, end)}", end

    def read(
        self, cookie: str, of_id: Callable[[str], Entry | None], now: int
    ) -> tuple[Entry, int] | None:
        """Whose a cookie is and when it ends; None for one that is not good, or no longer."""
        parts = cookie.split(".") if len(cookie) <= MAX_COOKIE else []
        if len(parts) != 4 or parts[0] != _VERSION:
            return None
        _, id_, said, signature = parts
        entry = of_id(id_)
        if entry is None or not (said.isascii() and said.isdigit() and len(said) < 16):
            return None
        end = int(said)
        # As bytes: of text that is not ASCII nothing may be compared in constant time.
        wanted, given = self._signature(entry, end).encode(), signature.encode("utf-8", "replace")
        good = hmac.compare_digest(wanted, given)
        # The token's own end may have been brought forward since the cookie was given.
        over = now >= end or entry.over(now)
        return (entry, end) if good and not over else None

    def ages(self, entry: Entry, end: int, now: int) -> bool:
        """Whether a cookie should be replaced by a newer one: a wall is never asked again."""
        return entry.wall and end - now < WALL_MS - RENEW_MS and end != entry.expires

    def _signature(self, entry: Entry, end: int) -> str:
        signed = f"{_VERSION}.{entry.sha256}.{end}".encode()
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()
