"""Where the roles of this configuration show their pages."""

from __future__ import annotations

from collections.abc import Iterable

from schemas.config import Config

ROLES = ("door", "ingest", "worker", "sink", "board")
WATCHERS = ("prometheus", "alertmanager")
_ANY = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}


class PageError(ValueError):
    """A page that is named wrongly; the message says how it should be."""


def pages_of(config: Config) -> dict[str, str]:
    """By role, the address of its page on this machine."""
    return {
        "door": _address(config.door_host, config.door_port),
        "ingest": _address(config.page_host, config.ingest_port),
        "worker": _address(config.page_host, config.worker_port),
        "sink": _address(config.page_host, config.sink_port),
        "board": _address(config.board_host, config.board_port),
        "prometheus": _address("127.0.0.1", config.prometheus_port),
        "alertmanager": _address("127.0.0.1", config.alertmanager_port),
    }


def named_pages(given: Iterable[str]) -> dict[str, str]:
    """The pages of `worker=http://host:7090`, by role. Raises `PageError`."""
    pages = {}
    for item in given:
        role, equals, address = item.partition("=")
        known = (*ROLES, *WATCHERS)
        if not equals or role not in known or not address.startswith(("http://", "https://")):
            roles = ", ".join(known)
            raise PageError(f"--page {item}: ROLE=http://HOST:PORT, with a role of {roles}")
        pages[role] = address.rstrip("/")
    return pages


def _address(host: str, port: int) -> str:
    host = _ANY.get(host, host)
    return f"http://{f'[{host}]' if ':' in host and not host.startswith('[') else host}:{port}"
