"""Who asks: users and passwords as ClickHouse's HTTP interface takes them."""

from __future__ import annotations

import hmac
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass

from sinks.clickhouse.local.command import Role
from sinks.clickhouse.local.errors import AUTHENTICATION_FAILED, StoreError


@dataclass(frozen=True, slots=True)
class User:
    """A user of the store."""

    name: str
    password: str
    role: Role


class Users:
    """The store's users. An empty password lets nobody in."""

    def __init__(self, *users: User) -> None:
        self._users = {user.name: user for user in users}

    def authenticate(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Role:
        """The role of a request's user; raise `StoreError` when name or password are wrong.

        Taken are Basic authentication, the headers `X-ClickHouse-User` and `X-ClickHouse-Key`, and
        the URL parameters `user` and `password`; two of these at once are refused, as ClickHouse
        does.
        """
        ways = [
            way
            for way in (_of_headers(headers), _basic(headers), _of_query(query))
            if way is not None
        ]
        if len(ways) > 1:
            raise StoreError(AUTHENTICATION_FAILED, "Invalid authentication: given in two ways")
        name, password = map(_readable, ways[0] if ways else ("default", ""))
        user = self._users.get(name)
        known = user.password if user is not None else ""
        same = hmac.compare_digest(known.encode(), password.encode())
        if user is None or not known or not same:
            raise StoreError(
                AUTHENTICATION_FAILED,
                f"{name}: Authentication failed: password is incorrect, or there is no user with "
                "such name",
            )
        return user.role


def _readable(text: str) -> str:
    """Bytes of a header that are no text come as half pairs, which nothing encodes."""
    return text.encode("utf-8", "replace").decode()


def _of_headers(headers: Mapping[str, str]) -> tuple[str, str] | None:
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", "")
    return None


def _basic(headers: Mapping[str, str]) -> tuple[str, str] | None:
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    if not scheme:
        return None
    if scheme.lower() != "basic":
        raise StoreError(AUTHENTICATION_FAILED, f"Authorization scheme {scheme} is not supported")
    try:
        name, _, password = b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        raise StoreError(AUTHENTICATION_FAILED, "Basic credentials cannot be read") from None
    return name, password


def _of_query(query: Mapping[str, str]) -> tuple[str, str] | None:
    if "user" in query or "password" in query:
        return query.get("user", "default"), query.get("password", "")
    return None
