"""Agents in notifications: users, teams of users, and users in other media than voice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from pipeline.sources.platforms.cisco_finesse.notification import (
    Notification,
    Texts,
    id_in,
    moment_in,
    text_in,
    texts_of,
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
            return self._media(note, data)
        if self._options.agent_media != "voice":
            return []
        made = [self._user(user, texts_of(user), note) for user in users_of(note, data)]
        return [event for event in made if event is not None]

    def _user(self, element: Element, user: Texts, note: Notification) -> Event | None:
        state = text_in(user, "state")
        if note.event == "DELETE" or not state:
            # An administrator has removed the user, or only names have changed.
            return None
        code, team = element.find("ReasonCode"), self._team(user, note)
        return self._state(note, user, code, login_of(user, note), _known(_STATES, state), team)

    def _media(self, note: Notification, element: Element) -> list[Event]:
        """Only a centre without voice has its agents' states from a medium."""
        media = texts_of(element)
        wanted = self._options.agent_media
        if wanted not in (id_in(media, "id"), id_in(media, "name")):
            return []
        state = _known(_MEDIA_STATES, text_in(media, "state"))
        match = _USER_URI.search(text_in(media, "uri"))
        if match is None:
            raise Unread("update.data.Media.uri", "names no user")
        event = self._state(note, media, element.find("ReasonCode"), match[1], state, None)
        return [] if event is None else [event]

    def _state(
        self,
        note: Notification,
        texts: Texts,
        code: Element | None,
        agent: str,
        state: str | None,
        team: str | None,
    ) -> Event | None:
        since = moment_in(texts, "stateChangeTime")
        if state is None or since is None:
            return None
        if note.received is not None and note.received - since > self._options.fresh_s * 1000:
            since = note.received
        reason = _reason(texts, code)
        return self._context.event(
            "agent.state", since, agent=agent, state=state, reason=reason, team=team
        )

    def _team(self, user: Texts, note: Notification) -> str | None:
        if self._options.team == "name":
            return id_in(user, "teamName") or None
        match = _TEAM_URI.match(note.node) or _TEAM_URI.match(note.source)
        return id_in(user, "teamId") or (match[1] if match else None)


def users_of(note: Notification, data: Element) -> Iterator[Element]:
    """The users of a notification: one, or those of a team."""
    if note.kind == "User":
        yield data
        return
    for element in data.iter():
        if element.tag in ("User", "user"):
            yield element


def login_of(user: Texts, note: Notification) -> str:
    """The agent's login id. Raises `Unread`."""
    login = id_in(user, "loginId")
    if not login:
        match = _USER_URI.search(text_in(user, "uri"))
        login = match[1] if match else note.user
    if not login:
        raise Unread("update.data.user.loginId", "is required")
    return login


def _known(states: dict[str, str | None], state: str) -> str | None:
    if state not in states:
        raise Unread("update.data.state", f"is an unknown {shown(state)}")
    return states[state]


def _reason(texts: Texts, element: Element | None) -> str | None:
    """The label of the reason where the site has given it one, else its code."""
    if text_in(texts, "state") not in _WITH_REASON:
        return None
    code = texts_of(element)
    number = text_in(texts, "reasonCodeId")
    reason = text_in(code, "label") or text_in(code, "code") or number
    return None if reason in ("", "-1") else reason
