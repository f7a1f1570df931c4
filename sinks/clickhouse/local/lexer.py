"""The words of a statement, as ClickHouse's lexer splits them: enough to find where the data of an
INSERT begin and which output format a query asks for. Whether an analyst may run a statement is
judged on the engine's own syntax tree (`gate`), never here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    rb"""
      (?P<space> [\s\x0b\x0c\xa0]+ )
    | (?P<comment> --[^\n]* | \#[ !][^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<heredoc> \$(?P<tag>\w*)\$ .*? \$(?P=tag)\$ )
    | (?P<quoted> '(?:\\.|''|[^'\\])*(?:'|\Z) | `(?:\\.|``|[^`\\])*(?:`|\Z)
                | "(?:\\.|""|[^"\\])*(?:"|\Z) )
    | (?P<word> [A-Za-z_][A-Za-z0-9_$]* )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_BLANKS = b" \t\f"
_SESSION_ONLY = {"SET", "USE", "BEGIN", "COMMIT", "ROLLBACK"}
_QUERY_IN_INSERT = {"SELECT", "WITH", "WATCH"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word (upper case in `text`) or a mark outside parentheses, and where it ends."""

    text: str
    start: int
    end: int
    is_word: bool


@dataclass(frozen=True, slots=True)
class InsertHead:
    """An INSERT whose data come with it: the statement before FORMAT, the format, their start."""

    statement: str
    format: str
    data_start: int


def top_level(text: bytes) -> Iterator[Token]:
    """The words and marks that stand outside parentheses, quotes and comments."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind, raw = match.lastgroup, match.group()
        if kind == "word" and depth == 0:
            yield Token(raw.decode().upper(), match.start(), match.end(), is_word=True)
        elif kind == "other":
            depth += (raw in b"([{") - (raw in b")]}")
            if depth == 0:
                yield Token(raw.decode("latin-1"), match.start(), match.end(), is_word=False)
        elif kind in ("quoted", "heredoc") and depth == 0:
            yield Token("", match.start(), match.end(), is_word=False)


def insert_head(text: bytes) -> InsertHead | None:
    """Split an INSERT from the data after it; None for any other statement.

    `text` may end anywhere in the data. What follows `FORMAT Name` up to and including the first
    line break is not data, what follows `VALUES` is.
    """
    tokens = top_level(text)
    if next(tokens, _NOTHING).text != "INSERT":
        return None
    for token in tokens:
        if token.text == "VALUES":
            return InsertHead(text[: token.start].decode(), "Values", token.end)
        if token.text == "FORMAT":
            name = next(tokens, _NOTHING)
            if not name.is_word:
                return None
            head = text[: token.start].decode()
            given = text[name.start : name.end].decode()
            return InsertHead(head, given, _data_start(text, name.end))
        if token.text in _QUERY_IN_INSERT:
            return None
    return None


def output_format(text: bytes, default: str) -> str:
    """The format a query asks for with a FORMAT clause at its end, else `default`."""
    tokens = [token for token in top_level(text) if token.text != ";"]
    for place, token in reversed(list(enumerate(tokens))):
        if token.text == "FORMAT" and place + 1 < len(tokens) and tokens[place + 1].is_word:
            rest = tokens[place + 2 : place + 3]
            if not rest or rest[0].text == "SETTINGS":
                name = tokens[place + 1]
                return text[name.start : name.end].decode()
    return default


def needs_session(text: bytes) -> str:
    """The name of a statement that would only act on a session, else an empty text."""
    words = [token.text for token, _ in zip(top_level(text), range(4), strict=False)]
    if words and words[0] in _SESSION_ONLY:
        return words[0]
    if words[:1] == ["CREATE"] and "TEMPORARY" in words[1:]:
        return "CREATE TEMPORARY"
    return ""


def uses_server_files(text: bytes) -> str:
    """`INTO OUTFILE` or `FROM INFILE` if the statement has one, else an empty text."""
    before = ""
    for token in top_level(text):
        if (before, token.text) in (("INTO", "OUTFILE"), ("FROM", "INFILE")):
            return f"{before} {token.text}"
        before = token.text
    return ""


def _data_start(text: bytes, place: int) -> int:
    place = _skip(text, place, _BLANKS)
    if text[place : place + 1] == b";":
        place = _skip(text, place + 1, _BLANKS)
    if text[place : place + 1] == b"\r":
        place += 1
    return place + 1 if text[place : place + 1] == b"\n" else place


def _skip(text: bytes, place: int, what: bytes) -> int:
    while place < len(text) and text[place] in what:
        place += 1
    return place


_NOTHING = Token("", 0, 0, is_word=False)
