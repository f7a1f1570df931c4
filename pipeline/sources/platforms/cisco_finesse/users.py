"""Agents in notifications: users, teams of users, and users in other media than voice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from pipeline.sources.platforms.cisco_finesse.notification import (
    Notification,
    id_of,
    moment_of,
    text_of,
)
from pipeline.sources.platforms.cisco_finesse.options import FinesseOptions
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import shown

_STATES = {
    "LOGIN": "not_ready",
    "LOGOUT": "offline",
    "NOT_READY": "not_ready",
    "READY": "available",
    # A ring is laid over an agent who is available; reserved is what Finesse calls the ring.
    "RESERVED": "available",
    "RESERVED_OUTBOUND": "busy",
    "RESERVED_OUTBOUND_PREVIEW": "busy",
    "TALKING": "busy",
    "HOLD": "busy",
    "WORK": "wrap",
    "WORK_READY": "wrap",
    "UNKNOWN": None,
}
_MEDIA_STATES = {
    "LOGIN": "not_ready",
    "LOGOUT": "offline",
    "NOT_READY": "not_ready",
    "READY": "available",
    "RESERVED": "available",
    "ACTIVE": "busy",
    "BUSY": "busy",
    "WORK": "wrap",
    "WORK_READY": "wrap",
    "INTERRUPTED": "not_ready",
    "UNKNOWN": None,
}
_WITH_REASON = frozenset({"NOT_READY", "LOGOUT"})
_USER_URI = re.compile(r"/User/([^/]+)")
_TEAM_URI = re.compile(r"^/finesse/api/Team/([^/]+)")


class Users:
    """Makes agents' events of notifications; remembers nothing."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._options: FinesseOptions = context.options

    def events(self, note: Notification, data: Element) -> list[Event]:
        """The events of a User, Team or Media notification. Raises `Unread`."""
        if note.kind == "Media":
            return self._media(data)
        if self._options.agent_media != "voice":
            return []
        made = [self._user(user, note) for user in users_of(note, data)]
        return [event for event in made if event is not None]

    def _user(self, user: Element, note: Notification) -> Event | None:
        state = text_of(user, "state")
        if note.event == "DELETE" or not state:
            # An administrator has removed the user, or only names have changed.
            return None
        return self._state(
            user, login_of(user, note), _known(_STATES, state), self._team(user, note)
        )

    def _media(self, media: Element) -> list[Event]:
        """Only a centre without voice has its agents' states from a medium."""
        wanted = self._options.agent_media
        if wanted not in (id_of(media, "id"), id_of(media, "name")):
            return []
        state = _known(_MEDIA_STATES, text_of(media, "state"))
        match = _USER_URI.search(text_of(media, "uri"))
        if match is None:
            raise Unread("update.data.Media.uri", "names no user")
        event = self._state(media, match[1], state, None)
        return [] if event is None else [event]

    def _state(
        self, element: Element, agent: str, state: str | None, team: str | None
    ) -> Event | None:
        since = moment_of(element, "stateChangeTime")
        if state is None or since is None:
            return None
        return self._context.event(
            "agent.state", since, agent=agent, state=state, reason=_reason(element), team=team
        )

    def _team(self, user: Element, note: Notification) -> str | None:
        if self._options.team == "name":
            return id_of(user, "teamName") or None
        match = _TEAM_URI.match(note.node) or _TEAM_URI.match(note.source)
        return id_of(user, "teamId") or (match[1] if match else None)


def users_of(note: Notification, data: Element) -> Iterator[Element]:
    """The users of a notification: one, or those of a team."""
    if note.kind == "User":
        yield data
        return
    for element in data.iter():
        if element.tag in ("User", "user"):
            yield element


def login_of(user: Element, note: Notification) -> str:
    """The agent's login id. Raises `Unread`."""
    login = id_of(user, "loginId")
    if not login:
        match = _USER_URI.search(text_of(user, "uri"))
        login = match[1] if match else note.user
    if not login:
        raise Unread("update.data.user.loginId", "is required")
    return login


def _known(states: dict[str, str | None], state: str) -> str | None:
    if state not in states:
        raise Unread("update.data.state", f"is an unknown {shown(state)}")
    return states[state]


def _reason(element: Element) -> str | None:
    """The label of the reason where the site has given it one, else its code."""
    if text_of(element, "state") not in _WITH_REASON:
        return None
    reason = text_of(element, "ReasonCode/label") or text_of(element, "ReasonCode/code")
    if not reason:
        number = text_of(element, "reasonCodeId")
        reason = "" if number == "-1" else number
    return reason or None
