"""What crosses between the HTTP server and the engine process: a command out, an answer back.

Both travel as a JSON header and raw bytes after it, over a socket pair.
"""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import orjson

FRAME = struct.Struct("!IQ")
"""Length of the JSON header, length of the bytes after it."""

WISH = struct.Struct("!Q")
"""Which command to cancel: the engine's first is 1."""


class Role(StrEnum):
    """Who asks; the names are roles in the engine too, with their grants."""

    WRITER = "writer"
    ANALYST = "analyst"


@dataclass(frozen=True, slots=True)
class Command:
    """One statement to run. Its answer may have `result_bytes` bytes, any number if that is 0.

    `output_format` counts where the statement names none. With an `insert_format` the statement is
    the head of an INSERT, without its FORMAT clause, and the data follow the header.
    """

    sql: str
    role: Role
    database: str
    output_format: str = "TabSeparated"
    insert_format: str = ""
    result_bytes: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)

    def pack(self, body_bytes: int) -> bytes:
        """The frame's beginning; `body_bytes` bytes of data must follow it."""
        header = orjson.dumps(asdict(self))
        return FRAME.pack(len(header), body_bytes) + header

    @classmethod
    def unpack(cls, header: bytes) -> Command:
        """The command of a header."""
        fields: dict[str, Any] = orjson.loads(header)
        return cls(**(fields | {"role": Role(fields["role"])}))


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine says: `error` is its text, empty when the statement succeeded.

    `has_result` tells a query (even one without rows) from a statement that only acts.
    """

    error: str = ""
    has_result: bool = False
    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    elapsed_ns: int = 0
    body: bytes = b""

    def pack(self) -> bytes:
        """The frame's beginning; `body` must follow it."""
        header = {name: getattr(self, name) for name in self.__slots__ if name != "body"}
        packed = orjson.dumps(header)
        return FRAME.pack(len(packed), len(self.body)) + packed

    @classmethod
    def unpack(cls, header: bytes, body: bytes) -> Answer:
        """The answer of a header and the bytes after it."""
        return cls(**orjson.loads(header), body=body)
