"""Cisco Finesse: the notifications of its XMPP service for users and dialogs.

Finesse shows a call only once an agent is involved, so a caller's wait is what a call variable says
of it, else the ring. See docs/sources/cisco-finesse.md.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element

from pipeline.sources.fitting import fit
from pipeline.sources.platforms.cisco_finesse.dialogs import GONE, Dialogs, Picture, Record
from pipeline.sources.platforms.cisco_finesse.notification import (
    Notification,
    id_in,
    kind,
    read,
    text_in,
    texts_of,
)
from pipeline.sources.platforms.cisco_finesse.options import FinesseOptions
from pipeline.sources.platforms.cisco_finesse.users import Users, login_of, users_of
from pipeline.sources.source import Context, Event, Source, Translator

_MOST_CONTACTS = 20_000
_MOST_ADDRESSES = 50_000
_ENDED_KEPT_MS = 1_800_000
"""Copies of a last picture come within moments of it; a batch that is sent again may reach back a
quarter of an hour, and what is older is late."""
_OPEN_KEPT_MS = 48 * 3_600_000
"""The end of a call may be missed; no call lasts as long."""

_AGENTS = frozenset({"User", "Team", "Media"})
_DIALOGS = frozenset({"Dialog", "Dialogs"})


class FinesseTranslator(Translator):
    """Remembers contacts in dialogs, and whose extension an address is."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options: FinesseOptions = context.options
        self._users = Users(context)
        self._dialogs = Dialogs(context)
        self._logins: dict[str, str] = {}
        self._contact_of: dict[str, str] = {}
        self._contacts: dict[str, Record] = {}
        self._ended: dict[str, None] = {}
        """Which of the contacts have ended, the first first."""

    def translate(self, payload: bytes) -> list[Event]:
        """See `Translator.translate`."""
        note = read(payload, bool(self._options.wait_variable))
        if note.data is None:
            return []
        if note.kind in _AGENTS:
            events = self._users.events(note, note.data)
            if note.kind != "Media":
                self._learn(self._extensions(note, note.data))
            return events
        if note.kind in _DIALOGS and self._options.calls:
            return self._pictures(note, note.data)
        return []

    def memory(self) -> Any:
        """Logins by address, contacts by dialog, and the contacts."""
        parts: list[dict[str, Any]] = [
            dict(self._logins),
            dict(self._contact_of),
            dict(self._contacts),
        ]
        return fit(parts, parts)

    def recall(self, memory: Any) -> None:
        """See `Translator.recall`."""
        self._logins, self._contact_of, self._contacts = memory
        over = [contact for contact, record in self._contacts.items() if _ended(record)]
        self._ended = dict.fromkeys(over)

    def _pictures(self, note: Notification, data: Element) -> list[Event]:
        """All that one notification shows is remembered, or nothing of it."""
        events: list[Event] = []
        logins: dict[str, str] = {}
        records: dict[str, Record] = {}
        dialogs: dict[str, str] = {}
        elements = (
            [data] if note.kind == "Dialog" else [e for e in data if e.tag.lower() == "dialog"]
        )
        for element in elements:
            picture = self._dialogs.picture(element)
            if picture is None:
                continue
            logins |= self._new_logins(picture, note)
            agents = self._agents(picture, note.user, logins)
            contact = dialogs.get(picture.dialog) or self._contact(picture)
            record = records.get(contact) or self._record(contact)
            leaving = note.user if note.event == "DELETE" else ""
            events += self._dialogs.apply(picture, contact, record, agents, leaving)
            records[contact], dialogs[picture.dialog] = record, contact
        self._learn(logins)
        self._remember(records, dialogs)
        return events

    def _contact(self, picture: Picture) -> str:
        """The call's key; that it comes late, or that a dialog is another's, changes nothing."""
        key = id_in(picture.properties, "callKeyCallId")
        day = id_in(picture.properties, "callKeyPrefix")
        known = self._contact_of.get(picture.dialog, "")
        record = self._contacts.get(known)
        # Numbers of dialogs come again: only of a contact that goes on the dialog says which it is.
        goes_on = record is not None and not _ended(record)
        if goes_on and (known == picture.dialog or not (key and day)):
            return known
        if key and day:
            return f"{day}-{key}"
        return self._contact_of.get(text_in(picture.texts, "secondaryId"), picture.dialog)

    def _record(self, contact: str) -> Record:
        known = self._contacts.get(contact)
        if known is None:
            return {"n": 0, "w": None, "p": {}, "d": []}
        return {**known, "p": {agent: [*part] for agent, part in known["p"].items()}}

    def _agents(self, picture: Picture, user: str, new: dict[str, str]) -> dict[str, str]:
        """The agents by their addresses; a task has one agent, whose address it need not give."""
        if not picture.voice:
            return {part.address: user or part.address for part in picture.parts}
        known = {part.address: self._logins.get(part.address, "") for part in picture.parts} | new
        return {address: login for address, login in known.items() if login}

    def _new_logins(self, picture: Picture, note: Notification) -> dict[str, str]:
        """What the node's user tells: whose the one address is, or the one that is nobody's yet."""
        user = note.user
        if not user or not picture.voice:
            return {}
        addresses = [part.address for part in picture.parts if part.is_agent and part.address]
        if len(addresses) == 1 and note.event != "DELETE":
            return {addresses[0]: user}
        unknown = [address for address in addresses if address not in self._logins]
        mine = any(self._logins.get(address) == user for address in addresses)
        return {unknown[0]: user} if len(unknown) == 1 and not mine else {}

    def _extensions(self, note: Notification, data: Element) -> dict[str, str]:
        users = [texts_of(user) for user in users_of(note, data)]
        pairs = ((id_in(user, "extension"), login_of(user, note)) for user in users)
        return {extension: login for extension, login in pairs if extension}

    def _learn(self, logins: dict[str, str]) -> None:
        self._logins |= logins
        while len(self._logins) > _MOST_ADDRESSES:
            del self._logins[next(iter(self._logins))]

    def _remember(self, records: dict[str, Record], dialogs: dict[str, str]) -> None:
        self._contact_of |= dialogs
        while len(self._contact_of) > _MOST_CONTACTS:
            del self._contact_of[next(iter(self._contact_of))]
        for contact, record in records.items():
            # The one that was told of last stands last, among all and among those that ended.
            self._contacts.pop(contact, None)
            self._contacts[contact] = record
            self._ended.pop(contact, None)
            if _ended(record):
                self._ended[contact] = None
            self._forget(record["n"])

    def _forget(self, now: int) -> None:
        """Drop those that ended long ago; of the rest the oldest while there are too many."""
        while self._ended and self._is_stale(next(iter(self._ended)), now - _ENDED_KEPT_MS):
            self._drop(next(iter(self._ended)))
        while self._contacts:
            oldest = next(iter(self._contacts))
            stale = self._is_stale(oldest, now - _OPEN_KEPT_MS)
            if not stale and len(self._contacts) <= _MOST_CONTACTS:
                return
            self._drop(oldest)

    def _is_stale(self, contact: str, since: int) -> bool:
        return bool(self._contacts[contact]["n"] < since)

    def _drop(self, contact: str) -> None:
        record = self._contacts.pop(contact)
        self._ended.pop(contact, None)
        for dialog in [*record["d"], *(part[2] for part in record["p"].values())]:
            if self._contact_of.get(dialog) == contact:
                del self._contact_of[dialog]


def _ended(record: Record) -> bool:
    return record["w"] is None and all(part[0] == GONE for part in record["p"].values())


SOURCE = Source(
    name="cisco-finesse",
    title="Cisco Finesse (UCCE, PCCE, UCCX)",
    translator=FinesseTranslator,
    kind=kind,
    options=FinesseOptions,
    stateful=True,
)
