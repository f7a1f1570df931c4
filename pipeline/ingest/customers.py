"""Customers without their numbers: what leaves ingest is a hash under a key of the site.

The same number of the same site always gives the same hash, so that contacts of one customer are
found together; without the key nobody can try numbers out. The raw topic and the dead letters hold
payloads as they came.
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from hashlib import blake2b, sha256

from pipeline.sources.source import Event

HASH_BYTES = 16


class Customers:
    """Hashes under one key for all sites; without a key customers are left out."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._hashed = lru_cache(maxsize=65_536)(self._hash)
        self._site_keys: dict[str, bytes] = {}

    def hide(self, event: Event) -> None:
        """Replace the customer of an event, if it names one."""
        customer = event.get("customer")
        if customer is None:
            return
        if self._key:
            event["customer"] = self._hashed(event["site"], customer)
        else:
            del event["customer"]

    def _hash(self, site: str, customer: str) -> str:
        key = self._site_keys.get(site)
        if key is None:
            key = self._site_keys[site] = hmac.digest(self._key, site.encode(), sha256)
        return blake2b(customer.encode(), key=key, digest_size=HASH_BYTES).hexdigest()
