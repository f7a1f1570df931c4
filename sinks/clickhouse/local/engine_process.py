"""The engine process: reads commands from one socket, runs them one after another, answers.

A second socket carries wishes to cancel; its end means that the server is gone, and so this process
goes too. The engine lives in a process of its own because some work hears no limit and no cancel
(the distance of two long strings, say): then the server kills this process and starts another.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

from sinks.clickhouse.local.command import FRAME, Answer, Command
from sinks.clickhouse.local.engine import Engine

PIECE_BYTES = 1 << 20
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Serve the engine: `DATABASE DATA_SOCKET CONTROL_SOCKET`, in the store's directory."""
    database, data, control = arguments[0], int(arguments[1]), int(arguments[2])
    _die_with_parent()
    with socket.socket(fileno=data) as commands, socket.socket(fileno=control) as wishes:
        try:
            engine = Engine(database)
        except RuntimeError as error:
            commands.sendall(Answer(error=str(error)).pack())
            sys.exit(1)
        threading.Thread(target=_obey, args=(engine, wishes), daemon=True).start()
        version = engine.version.encode()
        commands.sendall(Answer(body=version).pack() + version)
        with suppress(BrokenPipeError, ConnectionResetError):  # the server does not wait any more
            _serve(engine, commands)
        engine.close()


def _serve(engine: Engine, commands: socket.socket) -> None:
    with commands.makefile("rb", buffering=PIECE_BYTES) as stream:
        while frame := stream.read(FRAME.size):
            header_bytes, body_bytes = FRAME.unpack(frame)
            command = Command.unpack(stream.read(header_bytes))
            if command.insert_format:
                pieces = _pieces(stream.read, body_bytes)
                answer = engine.insert(command, pieces)
                for _ in pieces:  # after an error the rest is still on its way
                    pass
            else:
                answer = engine.run(command)
            commands.sendall(answer.pack())
            if answer.body:  # to send nothing to a server that is gone would still be an error
                commands.sendall(answer.body)


def _pieces(read: Callable[[int], bytes], body_bytes: int) -> Iterator[bytes]:
    while body_bytes:
        piece = read(min(PIECE_BYTES, body_bytes))
        if not piece:
            raise EOFError("the server is gone in the middle of an insert")
        body_bytes -= len(piece)
        yield piece


def _obey(engine: Engine, wishes: socket.socket) -> None:
    while wishes.recv(1):
        engine.cancel()
    os._exit(0)  # a query may be running: nobody waits for it any more


def _die_with_parent() -> None:
    """On Linux, die the moment the server does, also while a query holds every thread."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
