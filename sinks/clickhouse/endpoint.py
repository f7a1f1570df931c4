"""Where the store is and how it is reached: what both kinds of clients are made with."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from schemas.config import Config

_REFUSED = re.compile(r"certificate verify failed: (.*?)(?: \(_ssl\.c:\d+\)|$)")
_NAMES = ("Hostname mismatch", "IP address mismatch")
_EXPIRED = "has expired"


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
    found = _REFUSED.search(str(error))
    if found is None:
        return ""
    reason = found.group(1)
    helps = "CALLBOARD_CLICKHOUSE_CA_FILE must hold the authority that signed it"
    if reason.startswith(_NAMES):
        helps = "CALLBOARD_CLICKHOUSE_URL must use a name that stands in it"
    elif _EXPIRED in reason:
        helps = "it must be renewed at the store"
    return f"its certificate is refused, {reason}: {helps}"
