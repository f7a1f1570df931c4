"""A receiver of pages: keeps what a webhook is sent, with the moment it came."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.e2e.figures import Json


@dataclass
class Pager:
    """The alerts of all pages, each with `came`, the wall clock in seconds."""

    url: str = ""
    pages: list[Json] = field(default_factory=list)

    def alerts(self, name: str, status: str) -> list[Json]:
        """What came of one alert: firing or resolved."""
        return [
            {**alert, "came": page["came"]}
            for page in list(self.pages)
            for alert in page["alerts"]
            if alert["labels"]["alertname"] == name and alert["status"] == status
        ]


@contextmanager
def carried() -> Iterator[Pager]:
    """A pager that can be reached until the block ends."""
    pager = Pager()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            pager.pages.append({**json.loads(body), "came": time.time()})
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    pager.url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield pager
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
