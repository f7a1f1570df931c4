"""Short names for the events of a test's story: contact `c`, queue `sales`, agent `ann`."""

from typing import Any

from schemas.events import validate_event
from schemas.settings import SiteSettings, parse_site

SITE = "s"
SECOND = 1_000
MINUTE = 60_000
HOUR = 3_600_000
DAY = 24 * HOUR

Event = dict[str, Any]


def event(name: str, ts: int, **fields: Any) -> Event:
    return validate_event({"type": name, "site": SITE, "ts": ts, **fields})


def queued(ts: int, contact: str = "c", queue: str = "sales", **more: Any) -> Event:
    return event("contact.queued", ts, contact=contact, queue=queue, **more)


def offered(ts: int, contact: str = "c", agent: str = "ann", **more: Any) -> Event:
    return event("contact.offered", ts, contact=contact, agent=agent, **more)


def declined(ts: int, contact: str = "c", agent: str = "ann", **more: Any) -> Event:
    return event("contact.declined", ts, contact=contact, agent=agent, **more)


def answered(ts: int, contact: str = "c", agent: str = "ann", **more: Any) -> Event:
    return event("contact.answered", ts, contact=contact, agent=agent, **more)


def held(ts: int, contact: str = "c", agent: str = "ann", **more: Any) -> Event:
    return event("contact.held", ts, contact=contact, agent=agent, **more)


def resumed(ts: int, contact: str = "c", agent: str = "ann", **more: Any) -> Event:
    return event("contact.resumed", ts, contact=contact, agent=agent, **more)


def released(ts: int, contact: str = "c", agent: str = "ann", **more: Any) -> Event:
    return event("contact.released", ts, contact=contact, agent=agent, **more)


def wrapped(ts: int, contact: str = "c", agent: str = "ann", **more: Any) -> Event:
    return event("contact.wrapped", ts, contact=contact, agent=agent, **more)


def abandoned(ts: int, contact: str = "c", **more: Any) -> Event:
    return event("contact.abandoned", ts, contact=contact, **more)


def left(ts: int, contact: str = "c", **more: Any) -> Event:
    return event("contact.left", ts, contact=contact, **more)


def state(ts: int, said: str, agent: str = "ann", **more: Any) -> Event:
    return event("agent.state", ts, agent=agent, state=said, **more)


def profile(ts: int, agent: str = "ann", **more: Any) -> Event:
    return event("agent.profile", ts, agent=agent, **more)


def survey(ts: int, contact: str = "c", **more: Any) -> Event:
    return event("survey.answered", ts, contact=contact, **more)


def clock(ts: int) -> Event:
    return event("clock", ts)


def site(**keys: Any) -> SiteSettings:
    """The settings of the site; what is not given has the contract's default."""
    return parse_site({"site": SITE, **keys}, "test")
