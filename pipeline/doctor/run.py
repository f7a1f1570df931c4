"""The groups of checks in the order in which one would look, and how they are run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping

from pipeline.doctor import (
    broker,
    clocks,
    configuration,
    epoch,
    groups,
    machine,
    roles,
    settings,
    store,
    watching,
)
from pipeline.doctor.around import Around
from pipeline.doctor.finding import CannotTell, Check, Finding, failed, unknown

GROUPS: Mapping[str, Check] = {
    "configuration": configuration.check,
    "machine": machine.check,
    "settings": settings.check,
    "broker": broker.check,
    "topics": broker.topics,
    "groups": groups.check,
    "store": store.check,
    "epoch": epoch.check,
    "progress": store.progress,
    "clocks": clocks.check,
    "roles": roles.check,
    "alerts": watching.check,
}
PATIENCE_S = 60.0
"""No group takes longer; each question in it has a shorter limit of its own."""


async def examine(
    around: Around, only: Collection[str] = ()
) -> AsyncIterator[tuple[str, list[Finding]]]:
    """The findings of every group, or of those asked for, one group after another."""
    for name, check in GROUPS.items():
        if not only or name in only:
            yield name, await _findings(name, check, around)


async def _findings(name: str, check: Check, around: Around) -> list[Finding]:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await check(around)
    except CannotTell as error:
        return [unknown(name, f"cannot tell: {error}")]
    except TimeoutError:
        return [unknown(name, f"not done within {PATIENCE_S:.0f} s")]
    except Exception as error:  # one check that is wrong must not hide what the others find
        told = f"the check itself fails: {error!r}"
        return [failed(name, told[:300], "tell those who make callboard")]
