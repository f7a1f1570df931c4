"""A synthetic centre whose events number themselves: a loss names its contact.

Every event of a contact carries `id` `<contact>#<n>`, counted from 0. Each payload comes with what
must become of it, so that whoever reads the raw topic knows without asking callboard.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import orjson

GOOD = "good"
LATE = "late"
FUTURE = "future"

LATENESS_MS = 900_000
MAX_AHEAD_MS = 60_000

Event = dict[str, Any]
Step = tuple[int, Event]
"""After how many milliseconds an event of a story happens."""


@dataclass(frozen=True, slots=True)
class Message:
    """One payload to send: what must become of it, and under which site it is counted.

    `verdict` is `good`, `late` or the reason of its dead letter. `key` is the site it is sent for,
    None if its sender names none. It goes by one of three ways: through the `door`, as `foreign` to
    its site's partition, or as `stray` to another one, as a producer does that hashes keys in
    another way.
    """

    payload: bytes
    verdict: str
    key: str | None
    site: str | None
    way: str = "door"
    contact: str = ""


@dataclass(order=True, slots=True)
class _Due:
    at: int
    turn: int
    happen: Callable[[int], None] = field(compare=False)


class Centre:
    """The events of one site. Times are epoch ms of the clock that `happen` is told."""

    def __init__(self, site: str, seed: str, rate: float, strays: bool = True) -> None:
        self.site = site
        self._ways = [66, 30, 4 if strays else 0]
        self.shift_ms = 0
        """By how much the platform's clock is wrong now."""
        self._dice = random.Random(f"{seed}/{site}")
        self._rate = rate
        self._turn = 0
        self._contacts = 0
        self._agenda: list[_Due] = []
        self._out: list[Message] = []
        self._counts: dict[str, int] = {}
        self._carry = 0.0
        self._last: int | None = None
        self._known: list[str] = []

    def wake(self, now: int) -> None:
        """Nobody called while nobody looked."""
        if self._last is not None:
            self._last = now

    def happen(self, now: int) -> list[Message]:
        """What is sent by now."""
        if self._last is None:
            self._begin(now)
        else:
            self._carry += (now - self._last) / 1000 * self._rate
        self._last = now
        while self._carry >= 1:
            self._carry -= 1
            self._new_contact(now)
        while self._agenda and self._agenda[0].at <= now:
            heapq.heappop(self._agenda).happen(now)
        out, self._out = self._out, []
        return out

    def acknowledged(self, messages: list[Message]) -> None:
        """These are safe in the raw topic."""
        self._known += [m.contact for m in messages if m.contact and m.verdict == GOOD]

    # --- stories ------------------------------------------------------------------------------

    def _begin(self, now: int) -> None:
        for number in range(6):
            agent = {"agent": f"a{number}", "team": f"t{number % 2}"}
            self._send(self._event("agent.state", now, state="available", **agent))

    def _new_contact(self, now: int) -> None:
        contact = f"{self.site}-c{self._contacts}"
        self._contacts += 1
        for after, event in self._story(contact):
            self._plan(now + after, partial(self._tell, event))
        if self._dice.random() < 0.08:
            self._plan(now, self._oddity)

    def _story(self, contact: str) -> Iterator[Step]:
        dice = self._dice
        agent = {"contact": contact, "agent": f"a{dice.randrange(6)}"}
        queue = {"queue": f"q{dice.randrange(3)}", "channel": dice.choice(["voice", "chat"])}
        yield 0, {"type": "contact.queued", "contact": contact, **queue}
        wait = int(dice.expovariate(1 / 2500))
        if dice.random() < 0.2:
            yield wait, {"type": "contact.abandoned", "contact": contact}
            return
        if dice.random() < 0.3:
            yield wait // 3, {"type": "contact.offered", **agent}
            yield wait // 2, {"type": "contact.declined", **agent}
        yield wait, {"type": "contact.answered", **agent}
        talk = wait + int(dice.expovariate(1 / 3000))
        if dice.random() < 0.3:
            yield wait + (talk - wait) // 3, {"type": "contact.held", **agent}
            yield wait + (talk - wait) // 2, {"type": "contact.resumed", **agent}
        reason = "transferred" if dice.random() < 0.1 else "completed"
        yield talk, {"type": "contact.released", "reason": reason, **agent}
        yield talk + int(dice.expovariate(1 / 800)), {"type": "contact.wrapped", **agent}
        if dice.random() < 0.2:
            state = dice.choice(["not_ready", "available"])
            yield talk + 900, {"type": "agent.state", "agent": agent["agent"], "state": state}

    def _tell(self, event: Event, at: int) -> None:
        """An event happens; it may be sent later, and more than once."""
        message = self._message(self._event(event.pop("type"), at, **event))
        dice = self._dice
        delay = 0
        if dice.random() < 0.15:
            delay = dice.choice([50, 300, 6_000])
        self._post(at + delay, message)
        if dice.random() < 0.08:
            self._post(at + delay + dice.choice([0, 200, 4_000]), message)

    def _event(self, kind: str, at: int, **fields: Any) -> Event:
        numbered = fields.get("contact") or f"{self.site}-{fields.get('agent')}"
        number = self._counts.get(numbered, 0)
        self._counts[numbered] = number + 1
        told = {"id": f"{numbered}#{number}", "source": f"acd-{self.site}"}
        return {"type": kind, "site": self.site, "ts": at + self.shift_ms, **told, **fields}

    def _message(self, event: Event) -> Message:
        verdict = FUTURE if self.shift_ms > MAX_AHEAD_MS else GOOD
        return self._made(event, verdict, contact=event.get("contact", ""))

    def _made(self, event: Event, verdict: str, contact: str = "") -> Message:
        way = self._dice.choices(["door", "foreign", "stray"], self._ways)[0]
        # What strays is in no order with the rest, so nothing may rely on its being known.
        contact = "" if way == "stray" else contact
        return Message(orjson.dumps(event), verdict, self.site, self.site, way, contact)

    # --- what nobody should send --------------------------------------------------------------

    def _oddity(self, now: int) -> None:
        number = self._contacts
        self._contacts += 1
        contact = f"{self.site}-odd{number}"
        dice = self._dice
        make = dice.choice(
            [self._late, self._late_agent, self._old_of_a_known, self._future, self._poison]
        )
        make(now, contact)
        if make != self._poison and dice.random() < 0.5:
            self._poison(now, f"{contact}p")

    def _late(self, now: int, contact: str) -> None:
        fields = {"contact": contact, "queue": "q0"}
        event = self._event("contact.queued", now - self.shift_ms - 4 * LATENESS_MS, **fields)
        self._post(now, self._made(event, LATE))

    def _late_agent(self, now: int, contact: str) -> None:
        fields = {"agent": contact, "state": "busy"}
        event = self._event("agent.state", now - self.shift_ms - 4 * LATENESS_MS, **fields)
        self._post(now, self._made(event, LATE))

    def _old_of_a_known(self, now: int, _contact: str) -> None:
        """Older than the lateness, but its contact is remembered: not late."""
        if self._known:
            contact = self._dice.choice(self._known)
            fields = {"contact": contact, "queue": "q2"}
            at = now - self.shift_ms - LATENESS_MS - 200_000
            message = self._made(self._event("contact.queued", at, **fields), GOOD)
            self._post(now, replace(message, way="foreign"))

    def _future(self, now: int, contact: str) -> None:
        fields = {"contact": contact, "queue": "q0"}
        event = self._event("contact.queued", now - self.shift_ms + 10 * MAX_AHEAD_MS, **fields)
        self._post(now, self._made(event, FUTURE))

    def _poison(self, now: int, contact: str) -> None:
        good = self._event("contact.queued", now, contact=contact, queue="q1")
        site, dice = self.site, self._dice
        stranger = orjson.dumps({**good, "site": "nowhere"})
        large = {**good, "type": "contact.recorded", "url": "x" * 70_000}
        bad: list[tuple[bytes, str, str | None, str | None]] = [
            (f"not JSON {contact}".encode(), "unreadable", site, site),
            (b"\xff\xfe" + contact.encode(), "unreadable", site, site),
            (orjson.dumps({**good, "ts": "noon"}), "unreadable", site, site),
            (orjson.dumps({**good, "channel": "pigeon"}), "unreadable", site, site),
            (orjson.dumps({**good, "contact": contact + "x" * 201}), "unreadable", site, site),
            (orjson.dumps({**good, "type": "contact.teleported"}), "unreadable", site, site),
            (f"[{contact!r}]".encode(), "unreadable", None, None),
            (stranger, "unknown_site", "nowhere", None),
            (stranger, "unknown_site", site, None),
            (orjson.dumps(large), "too_large", site, site),
        ]
        payload, reason, key, counted = dice.choice(bad)
        # Lines of a post are text, and the door names no site where the post names none.
        by_door = key is not None and b"\xff" not in payload and dice.random() < 0.5
        way = "door" if by_door else "foreign"
        self._post(now, Message(payload, reason, key, counted, way))

    # --- sending ------------------------------------------------------------------------------

    def _plan(self, at: int, happen: Callable[[int], None]) -> None:
        self._turn += 1
        heapq.heappush(self._agenda, _Due(at, self._turn, happen))

    def _post(self, at: int, message: Message) -> None:
        self._plan(at, lambda _now: self._out.append(message))

    def _send(self, event: Event) -> None:
        self._out.append(self._message(event))
