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
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sinks.clickhouse.local.command import FRAME, WISH, Answer, Command
from sinks.clickhouse.local.engine import Engine

PIECE_BYTES = 1 << 20
AGAIN_S = 0.1
CANCELLED = "Code: 394. DB::Exception: Query was cancelled. (QUERY_WAS_CANCELLED)"
_PR_SET_PDEATHSIG = 1


class Current:
    """The command that runs, by its number, and the wishes to cancel it.

    A wish may come late, when the next command runs already, or early, before its own is read: it
    meets the command it names or none.
    """

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel
        self._lock = threading.Lock()
        self._count = 0
        self._runs = False
        self._unwanted = 0

    @contextmanager
    def next(self) -> Iterator[bool]:
        """The next command runs within, if it is still wanted: the answer says so."""
        with self._lock:
            self._count += 1
            self._runs = self._count != self._unwanted
        try:
            yield self._runs
        finally:
            with self._lock:
                self._runs = False

    def wish(self, number: int) -> None:
        """Cancel the command of this number, also one that is still to come.

        Returns when it has ended. The engine stops what it works on, which may be no more than what
        comes before the statement: so it is asked again until the command is over.
        """
        while self._wish_once(number):
            time.sleep(AGAIN_S)

    def _wish_once(self, number: int) -> bool:
        with self._lock:
            if number > self._count:
                self._unwanted = number
                return False
            runs = number == self._count and self._runs
            if runs:
                self._cancel()
            return runs


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
        current = Current(engine.cancel)
        threading.Thread(target=_obey, args=(current, wishes), daemon=True).start()
        version = engine.version.encode()
        try:
            commands.sendall(Answer(body=version).pack() + version)
            _serve(engine, current, commands)
        except (BrokenPipeError, ConnectionResetError):
            # Nobody waits any more. In an orderly end Python would wait for threads of the engine,
            # and they may hold the lock on the data for ever.
            os._exit(0)
        engine.close()


def _serve(engine: Engine, current: Current, commands: socket.socket) -> None:
    with commands.makefile("rb", buffering=PIECE_BYTES) as stream:
        while frame := stream.read(FRAME.size):
            header_bytes, body_bytes = FRAME.unpack(frame)
            command = Command.unpack(stream.read(header_bytes))
            pieces = _pieces(stream.read, body_bytes)
            with current.next() as wanted:
                answer = _done(engine, command, pieces) if wanted else Answer(error=CANCELLED)
            for _ in pieces:  # after an error the rest is still on its way
                pass
            commands.sendall(answer.pack())
            if answer.body:  # to send nothing to a server that is gone would still be an error
                commands.sendall(answer.body)


def _done(engine: Engine, command: Command, pieces: Iterator[bytes]) -> Answer:
    if command.insert_format:
        return engine.insert(command, pieces)
    return engine.run(command)


def _pieces(read: Callable[[int], bytes], body_bytes: int) -> Iterator[bytes]:
    while body_bytes:
        piece = read(min(PIECE_BYTES, body_bytes))
        if not piece:
            raise EOFError("the server is gone in the middle of an insert")
        body_bytes -= len(piece)
        yield piece


def _obey(current: Current, wishes: socket.socket) -> None:
    while wish := wishes.recv(WISH.size, socket.MSG_WAITALL):
        threading.Thread(target=current.wish, args=WISH.unpack(wish), daemon=True).start()
    os._exit(0)  # a query may be running: nobody waits for it any more


def _die_with_parent() -> None:
    """On Linux, die the moment the server does, also while a query holds every thread."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1:])
