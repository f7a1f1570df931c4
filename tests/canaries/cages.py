"""Secrets that can be told from all else, a process that knows all of them, and what it said."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from schemas.config import COLLECTOR_SECRETS, CONTACT_SECRETS, SECRETS, variable_of

MARK = "canary" + secrets.token_hex(4)
ADDRESSES = ("clickhouse_url", "grafana_url", "door_url")
"""Addresses in which somebody may have put a password."""


def canary(field: str) -> str:
    """The secret of a field: long enough for every one, and with what must be quoted."""
    return f"{MARK}-{field}-'%/+{'x' * 24}"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Every secret set; brokers and store where nobody is."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
    given = {variable_of(name): canary(name) for name in (*SECRETS, *COLLECTOR_SECRETS)}
    for name in CONTACT_SECRETS:
        url = name.endswith("_url")
        given[variable_of(name)] = ("https://hooks.invalid/" if url else "") + canary(name)
    for name in ADDRESSES:
        password = quote(canary(name), safe="")
        given[variable_of(name)] = f"http://somebody:{password}@127.0.0.1:9"
    (folder / "settings").mkdir(exist_ok=True)
    (folder / "settings" / "bank.yml").write_text("site: bank\n")
    given |= {
        "CALLBOARD_BOOTSTRAP": "127.0.0.1:9",
        "CALLBOARD_KAFKA_SECURITY": "sasl_plaintext",
        "CALLBOARD_KAFKA_USER": "somebody",
        "CALLBOARD_SETTINGS_DIR": str(folder / "settings"),
        "CALLBOARD_DATA_DIR": str(folder / "data"),
        "CALLBOARD_HOOKS_DIR": str(folder / "hooks"),
        "CALLBOARD_BOARD_ACCESS": "token",
        "CALLBOARD_LOG_LEVEL": "DEBUG",
        "PYTHONUNBUFFERED": "1",
    }
    return {**kept, **given, **more}


def told(text: str) -> list[str]:
    """The lines that say a secret, in any of the forms in which one may be written."""
    forms = {MARK, quote(MARK), *encoded()}
    return [line for line in text.splitlines() if any(form in line for form in forms)]


def encoded() -> Iterator[str]:
    """The mark within base64, wherever in it it begins."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + MARK.encode()).decode()
        yield whole[4:-4]


class Caged:
    """A command that runs; `text` is all it has said so far."""

    def __init__(self, words: list[str], environ: dict[str, str], out: Path) -> None:
        self._out = out
        with out.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli.main", *words],
                env=environ, stdout=file, stderr=subprocess.STDOUT, cwd=out.parent,
            )  # fmt: skip

    @property
    def text(self) -> str:
        return self._out.read_text("utf-8", "replace")

    def until(self, *words: str, seconds: float = 90) -> None:
        """Wait until it has said one of these, or has ended."""
        deadline = time.monotonic() + seconds
        while not any(word in self.text for word in words):
            if self._process.poll() is not None:
                return
            assert time.monotonic() < deadline, f"none of {words}:\n{self.text[-3000:]}"
            time.sleep(0.1)

    def end(self) -> int:
        """Let it end by itself, or as an operator would."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(60)

    def wait(self, seconds: float = 100) -> int:
        return self._process.wait(seconds)


def ask(
    address: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, str]:
    """Status, and headers and body as one text; status 0 while nobody listens."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(address, body, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, f"{answer.headers}\n{answer.read().decode('utf-8', 'replace')}"
    except urllib.error.HTTPError as error:
        return error.code, f"{error.headers}\n{error.read().decode('utf-8', 'replace')}"
    except OSError:
        return 0, ""


def raw(port: int, sent: bytes) -> str:
    """What is answered to bytes that are no request."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts).decode("utf-8", "replace")


@contextmanager
def parrot() -> Iterator[str]:
    """A server that refuses all and says why in the caller's own words; yields host:port."""

    class Parrot(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = f"refused: {self.path} {self.headers}".encode() + body
            self.send_response(403)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def lines(greeting: bytes, refusal: bytes) -> Iterator[int]:
    """A server that greets, and refuses whatever it is sent; yields its port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.sendall(greeting)
                heard = connection.recv(65536)
                connection.sendall(refusal + heard)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()
