"""Where the store is and how it is reached: what both kinds of clients are made with."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from clickhouse_connect.driver.httputil import get_pool_manager

from schemas.brokers import client_context
from schemas.config import Config

# What they would log, with tracebacks and again at every try, stands in what they raise.
for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_REFUSED = re.compile(r"certificate verify failed: (.*?) \(_ssl\.c")
_NAMES = ("Hostname mismatch", "IP address mismatch")
_EXPIRED = "has expired"


def blocking(config: Config) -> dict[str, Any]:
    """Arguments of clickhouse-connect's blocking client; it must not close the connections.

    Its own way to close those of an authority of ours fails beside urllib3-future, which other
    packages put in urllib3's place.
    """
    given = endpoint(config)
    authority = given.pop("ca_cert")
    if given["secure"]:
        given["pool_mgr"] = get_pool_manager(ssl_context=client_context(authority or ""))
    return given


def endpoint(config: Config) -> dict[str, Any]:
    """Arguments of clickhouse-connect's clients; over https the certificate is checked."""
    address = urlsplit(config.clickhouse_url)
    secure = address.scheme == "https"
    return {
        "host": address.hostname or "127.0.0.1",
        "port": address.port or (8443 if secure else 8123),
        "secure": secure,
        "ca_cert": config.clickhouse_ca_file or None,
    }


def refused_certificate(error: BaseException) -> str:
    """What is wrong with the store's certificate and what helps; empty for another failure."""
    found = next(filter(None, map(_REFUSED.search, map(str, _causes(error)))), None)
    if found is None:
        return ""
    reason = found.group(1).rstrip(".")
    helps = "CALLBOARD_CLICKHOUSE_CA_FILE must hold the authority that signed it"
    if reason.startswith(_NAMES):
        helps = "CALLBOARD_CLICKHOUSE_URL must use a name that stands in it"
    elif _EXPIRED in reason:
        helps = "it must be renewed at the store"
    return f"its certificate is refused, {reason}: {helps}"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what led to it: the client tells only that a request failed."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
