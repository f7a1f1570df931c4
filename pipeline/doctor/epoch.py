"""Whether all are of one epoch: frames, store, roles."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pipeline.doctor.around import Around
from pipeline.doctor.finding import CannotTell, Finding, failed, ok, unknown, warning
from pipeline.doctor.pages import ROLES


async def check(around: Around) -> list[Finding]:
    """Compare CALLBOARD_EPOCH with all that carries one."""
    findings = [finding async for finding in _found(around)]
    if not findings:
        told = f"{around.config.epoch}: the same in frames, store and roles"
        findings.append(ok("epoch", told))
    return findings


async def _found(around: Around) -> AsyncIterator[Finding]:
    ours = around.config.epoch
    frames = await around.newest_frames()
    newest = max((frame.epoch for frame in frames), default=-1)
    if newest > ours:
        todo = f"set CALLBOARD_EPOCH to {newest}, for every role: rows of {ours} would not count"
        yield failed("frames", f"are of epoch {newest}, this configuration is {ours}", todo)
    elif newest < ours:
        said = f"the newest is of epoch {newest}" if newest >= 0 else "there is none"
        todo = "ingest writes them: is it running, with this epoch?"
        yield warning("frames", f"{said}, this configuration is {ours}", todo)
    async for finding in _of_store(around):
        yield finding
    async for finding in _of_roles(around):
        yield finding


async def _of_store(around: Around) -> AsyncIterator[Finding]:
    ours, database = around.config.epoch, around.config.clickhouse_database
    try:
        rows = await around.query(f"SELECT max(epoch) FROM {database}.sink_progress")
    except CannotTell as error:
        yield unknown("store", str(error))
        return
    stored = int(rows[0][0])
    if stored > ours:
        todo = f"raise CALLBOARD_EPOCH to {stored}, or above if the topics are new: "
        todo += "rows of a lower epoch never count"
        yield failed("store", f"has rows of epoch {stored}, this configuration is {ours}", todo)


async def _of_roles(around: Around) -> AsyncIterator[Finding]:
    ours = str(around.config.epoch)
    for role in ROLES:
        try:
            page = await around.page(role, "/healthz")
        except CannotTell:
            continue
        if page.role == role and page.epoch not in ("", ours):
            told = f"runs with epoch {page.epoch}, this configuration is {ours}"
            yield failed(role, told, "the same CALLBOARD_EPOCH for every role")
