"""Sites of the tests: one closed at any hour, one open but on a holiday long gone."""

from __future__ import annotations

from schemas.settings import SiteSettings, parse_site

CLOSED = parse_site({"site": "closed", "hours": {}, "time_zone": "Europe/Berlin"}, "closed")
OPEN = parse_site({"site": "open", "holidays": ["2020-01-01"]}, "open")
STRANGE = parse_site({"site": 'a "$b" \\c|.*', "hours": {"mon": ["08:00-12:00"]}}, "strange")
SITES: tuple[SiteSettings, ...] = (CLOSED, OPEN, STRANGE)
