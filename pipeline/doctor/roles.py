"""Every role's own word: whether its loops turn and its work flows."""

from __future__ import annotations

import asyncio

from pipeline.doctor.around import Around, Page
from pipeline.doctor.finding import CannotTell, Finding, failed, ok, skipped, warning
from pipeline.doctor.pages import ROLES

_LOG = "see its log"


async def check(around: Around) -> list[Finding]:
    """Ask every role."""
    found = await asyncio.gather(*(_of(around, role) for role in ROLES))
    if all(state == "skipped" for state in (finding.state for finding in found)):
        told = "none on this machine; name them: --page worker=http://HOST:7090"
        return [skipped("roles", told)]
    return found


async def _of(around: Around, role: str) -> Finding:
    address = around.pages[role]
    try:
        health = await around.page(role, "/healthz")
        ready = await around.page(role, "/readyz")
    except CannotTell as error:
        if around.expected(role):
            todo = f"start it, or wait until it is up; {_LOG}"
            return failed(role, f"{address}: {error}", todo)
        told = f"{address}: {error}; elsewhere? --page {role}=http://HOST:PORT"
        return skipped(role, told)
    if health.role != role:
        is_what = f"the {health.role}" if health.role else "something else"
        return failed(role, f"at {address} is {is_what}", "another port, or end what holds it")
    return _judged(role, health, ready)


def _judged(role: str, health: Page, ready: Page) -> Finding:
    if health.status != 200:
        return failed(role, f"stuck: {_one_line(health.text)}", f"restart it; {_LOG}")
    if ready.status != 200:
        return warning(role, f"not ready: {_one_line(ready.text)}", f"what it waits for; {_LOG}")
    return ok(role, "its loops turn, its work flows")


def _one_line(text: str) -> str:
    return "; ".join(text.splitlines())[:300]
