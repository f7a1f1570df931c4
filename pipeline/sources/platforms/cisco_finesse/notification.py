"""A notification of Finesse: the XML of one `Update`, read without trusting it.

Text that declares a document type is refused before it is parsed: entities can be declared nowhere
else, so none is ever expanded and nothing is fetched.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError, fromstring

import orjson

from pipeline.sources.source import Unread
from pipeline.sources.values import iso, shown, whole_or_none
from schemas.events import MAX_ID

MOST_CHARACTERS = 262_144
"""Of an update. A dialog with ten participants and all call variables has less than 10,000."""

_KINDS = {
    kind.lower(): kind
    for kind in (
        "User",
        "Team",
        "Dialog",
        "Dialogs",
        "Queue",
        "Queues",
        "Media",
        "TeamMessage",
        "TeamMessages",
        "SystemInfo",
        "apiErrors",
    )
}
_NOTHING = "empty"
_VARIABLES = ("<callvariables>", "</callvariables>")
_USER = re.compile(r"^/finesse/api/User/([^/]+)")


class Notification(NamedTuple):
    """`kind` is the object in `data`; `event` is POST, PUT or DELETE; `node` may be empty.

    `received` is when a collector was told it, epoch ms.
    """

    kind: str
    event: str
    node: str
    source: str
    received: int | None
    data: Element | None

    @property
    def user(self) -> str:
        """Whose node it was published at, empty if that is not known."""
        match = _USER.match(self.node) or _USER.match(self.source)
        return match[1] if match else ""


def read(payload: bytes, variables: bool) -> Notification:
    """The notification of a payload; without `variables` call variables may be left out.

    A payload is `{"node": …, "update": "<Update>…", "received": …}`, the update as a JSON string,
    or the XML itself. Raises `Unread`.
    """
    node, text, received = _update(payload)
    root = parse(text, variables)
    if root.tag != "Update":
        raise Unread("update", f"not an Update but {shown(root.tag)}")
    data = root.find("data")
    if data is None:
        raise Unread("update.data", "is required")
    source = root.findtext("source", "").strip()
    event = root.findtext("event", "").strip().upper()
    if not len(data):
        return Notification(_NOTHING, event, node, source, received, None)
    kind = _KINDS.get(data[0].tag.lower())
    if kind is None:
        raise Unread("update.data", f"holds an unknown {shown(data[0].tag)}")
    return Notification(kind, event, node, source, received, data[0])


def parse(text: str, variables: bool = True) -> Element:
    """The root of an update's XML. Raises `Unread`."""
    if len(text) > MOST_CHARACTERS:
        raise Unread("update", f"has {len(text)} characters, more than {MOST_CHARACTERS}")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Unread("update", "declares a document type")
    if not variables:
        lean = _without_variables(text)
        if lean is not None:
            try:
                return fromstring(lean)
            except (ParseError, ValueError):
                pass  # CDATA that looks like a tag, say: the whole text decides
    try:
        return fromstring(text)
    except (ParseError, ValueError) as error:
        raise Unread("update", f"not XML: {error}") from None


Texts = dict[str, str | None]
"""The texts of an element's children by their tags."""


def texts_of(element: Element | None) -> Texts:
    """The children's texts, read at once: paths are slow to follow."""
    return {} if element is None else {child.tag: child.text for child in element}


def text_in(texts: Texts, tag: str) -> str:
    """A child's text, empty where there is none."""
    value = texts.get(tag)
    return value.strip() if value else ""


def id_in(texts: Texts, tag: str) -> str:
    """An id of at most 200 characters, empty where there is none. Raises `Unread`."""
    value = text_in(texts, tag)
    if len(value) > MAX_ID:
        raise Unread(tag, f"has {len(value)} characters, more than {MAX_ID}")
    return value


def moment_in(texts: Texts, tag: str) -> int | None:
    """Epoch ms of a time, None where Finesse gives none. Raises `Unread`."""
    value = text_in(texts, tag)
    return iso(value, tag) if value else None


def kind(payload: bytes) -> str:
    """What a payload is, for the summary of a capture."""
    try:
        return read(payload, variables=False).kind
    except Unread:
        return "unreadable"


def _update(payload: bytes) -> tuple[str, str, int | None]:
    start = payload.lstrip()
    if start[:1] == b"<":
        try:
            return "", start.decode(), None
        except UnicodeDecodeError as error:
            raise Unread("payload", f"not UTF-8: {error}") from None
    try:
        obj = orjson.loads(start)
    except orjson.JSONDecodeError as error:
        raise Unread("payload", f"not JSON: {error}") from None
    if isinstance(obj, str):
        return "", obj, None
    if not isinstance(obj, dict):
        raise Unread("payload", f"neither an object nor text but {shown(obj)}")
    node, update = obj.get("node"), obj.get("update")
    if node is not None and not isinstance(node, str):
        raise Unread("node", f"should be text, not {shown(node)}")
    if not isinstance(update, str):
        raise Unread("update", f"should be text, not {shown(update)}")
    return node or "", update, whole_or_none(obj, "received")


def _without_variables(text: str) -> str | None:
    """Call variables are most of a dialog and are rarely asked for."""
    start = text.find(_VARIABLES[0])
    end = text.find(_VARIABLES[1], start)
    if start < 0 or end < 0 or "<callvariables>" in text[end:]:
        return None
    return text[:start] + text[end + len(_VARIABLES[1]) :]
