"""Runbooks of alerts as pages: `docs/runbooks/<AlertName>.md`, rendered as it is read."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from aiohttp import web
from markdown_it import MarkdownIt

from sinks.board.explain_page import page

FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
ALL = '<p><a href="../runbooks">All runbooks</a></p>'
_NAME = re.compile(r"[A-Za-z0-9]{1,100}")


class Runbooks:
    """The routes of the runbooks in a folder."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        # Text of ours, and yet no HTML in it: the page's policy holds what it may do.
        self._markdown = MarkdownIt("commonmark", {"html": False}).enable("table")

    def routes(self) -> list[web.AbstractRouteDef]:
        """All routes."""
        return [web.get("/runbooks", self.index), web.get("/runbooks/{name}", self.runbook)]

    def names(self) -> list[str]:
        """The alerts that have one, in order."""
        found = (path.stem for path in self._folder.glob("*.md"))
        return sorted(name for name in found if _NAME.fullmatch(name))

    async def index(self, _request: web.Request) -> web.Response:
        """The list."""
        rows = "".join(f'<li><a href="runbooks/{name}">{name}</a></li>' for name in self.names())
        body = f"<h1>Runbooks</h1><ul class='plain'>{rows}</ul>" if rows else "<h1>Runbooks</h1>"
        return _html(page("Runbooks", body, root=""))

    async def runbook(self, request: web.Request) -> web.Response:
        """One of them; 404 with the list's address for any other name."""
        name = request.match_info["name"].removesuffix(".md")
        if name not in self.names():
            body = f"<h1>No runbook {escape(name[:100])}</h1>{ALL}"
            return _html(page("No runbook", body, root="../"), 404)
        text = (self._folder / f"{name}.md").read_text(encoding="utf-8")
        rendered = self._rendered(text)
        title = "" if "<h1>" in rendered else f"<h1>{name}</h1>"
        body = f'<article class="text">{title}{rendered}</article>'
        return _html(page(name, body + ALL, root="../"))

    def _rendered(self, text: str) -> str:
        """HTML of a runbook, whose links to pages that are not served here become plain names."""
        tokens = self._markdown.parse(text)
        for inner in (child for token in tokens for child in token.children or ()):
            if str(inner.attrs.get("href", "")).startswith("../"):
                del inner.attrs["href"]
        return str(self._markdown.renderer.render(tokens, self._markdown.options, {}))


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")
