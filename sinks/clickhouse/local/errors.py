"""Errors of the local ClickHouse as a ClickHouse server words them: code, name, HTTP status.

`StoreError` is the only exception a request may end with. The engine reports its own errors as
text; `from_engine` reads code and name back out of it.
"""

from __future__ import annotations

import re

BAD_ARGUMENTS = (36, "BAD_ARGUMENTS")
NOT_IMPLEMENTED = (48, "NOT_IMPLEMENTED")
SYNTAX_ERROR = (62, "SYNTAX_ERROR")
QUERY_IS_TOO_LARGE = (229, "QUERY_IS_TOO_LARGE")
UNKNOWN_FORMAT = (73, "UNKNOWN_FORMAT")
UNKNOWN_COMPRESSION_METHOD = (89, "UNKNOWN_COMPRESSION_METHOD")
TIMEOUT_EXCEEDED = (159, "TIMEOUT_EXCEEDED")
READONLY = (164, "READONLY")
TOO_MANY_SIMULTANEOUS_QUERIES = (202, "TOO_MANY_SIMULTANEOUS_QUERIES")
ABORTED = (236, "ABORTED")
CANNOT_DECOMPRESS = (271, "CANNOT_DECOMPRESS")
NOT_ENOUGH_SPACE = (243, "NOT_ENOUGH_SPACE")
TOO_MANY_ROWS_OR_BYTES = (396, "TOO_MANY_ROWS_OR_BYTES")
ACCESS_DENIED = (497, "ACCESS_DENIED")
AUTHENTICATION_FAILED = (516, "AUTHENTICATION_FAILED")
UNKNOWN_EXCEPTION = (1002, "UNKNOWN_EXCEPTION")

# The status a ClickHouse server answers with, by error code; anything else is a 500. A store that
# is too busy or about to stop says 503 here, so that clients come back.
HTTP_STATUS: dict[int, int] = (
    {194: 401, 159: 408, 229: 413, 779: 415, 48: 501}
    | dict.fromkeys((192, 193, 497, 512, 516), 403)
    | dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), 404)
    | dict.fromkeys((76, 202, 209, 236, 439), 503)
    | dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 89, 117, 123), 400)
    | dict.fromkeys((167, 168, 223, 271, 321, 376, 427, 441, 675, 676), 400)
)

_ENGINE_ERROR = re.compile(r"Code: (\d+)\. DB::\w*Exception: ")
_VERSION = re.compile(r"\s*\(version [^()]*(?:\([^()]*\))?\)")
_SAME_NAME_TWICE = re.compile(r"(\([A-Z][A-Z0-9_]+\))(?:\.?\s*\1)+")
_TRAILING_NAME = re.compile(r"\s*\(([A-Z][A-Z0-9_]+)\)\.?\s*$")


class StoreError(Exception):
    """A request that failed, with what ClickHouse's HTTP interface says about it.

    `retry_after_s` asks the client to come back later; it goes into the `Retry-After` header.
    """

    def __init__(
        self, code: tuple[int, str], message: str, *, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.code, self.name = code
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def status(self) -> int:
        """The HTTP status of this error."""
        return HTTP_STATUS.get(self.code, 500)

    def text(self, version: str) -> str:
        """The body of the answer, in ClickHouse's words."""
        return (
            f"Code: {self.code}. DB::Exception: {self.message} ({self.name}) (version {version})\n"
        )


def from_engine(text: str) -> StoreError:
    """The error behind what the engine threw; of nested ones, the innermost message."""
    found = list(_ENGINE_ERROR.finditer(text))
    if not found:
        return StoreError(UNKNOWN_EXCEPTION, text.strip())
    message = _SAME_NAME_TWICE.sub(r"\1", _VERSION.sub("", text[found[-1].end() :]))
    name = _TRAILING_NAME.search(message)
    code = (int(found[0].group(1)), name.group(1) if name else UNKNOWN_EXCEPTION[1])
    return StoreError(code, _TRAILING_NAME.sub("", message).strip())
