"""The store: whether it answers, its schema, the rights of its users, how far it is filled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from pipeline.doctor.around import Around
from pipeline.doctor.finding import CannotTell, Finding, failed, ok, seconds, skipped, warning
from schemas.config import Config, shown_address
from sinks.clickhouse.migrate import MigrationError, load, pending
from sinks.clickhouse.query import connect

BEHIND_MS = 30_000
FAR_BEHIND_MS = 300_000
_APPLY = "deploy/clickhouse/apply.sh makes the users and their rights"


async def check(around: Around) -> list[Finding]:
    """Whether it answers, and is what this version writes to."""
    config = around.config
    try:
        rows = await around.query("SELECT version()")
    except CannotTell as error:
        told = str(error)
        todo = "CALLBOARD_CLICKHOUSE_URL, _USER and _PASSWORD say where and as whom; " + (
            "`callboard up` starts one" if config.alone else "is it running?"
        )
        return [failed("store", told, todo)]
    findings = [ok("store", f"ClickHouse {rows[0][0]} at {shown_address(config.clickhouse_url)}")]
    schema = await _schema(around)
    findings.append(schema)
    findings += await _rights(around)
    return findings


async def _schema(around: Around) -> Finding:
    client, database = await around.store(), around.config.clickhouse_database
    migrations = load()
    try:
        todo = await around.in_store(lambda: pending(client, database, migrations))
    except MigrationError as error:
        return failed("schema", str(error), "run the newest version everywhere")
    except CannotTell as error:
        return failed("schema", str(error), _APPLY)
    if todo:
        names = ", ".join(migration.name for migration in todo[:3])
        more = f" and {len(todo) - 3} more" if len(todo) > 3 else ""
        return failed("schema", f"not applied: {names}{more}", "callboard migrate")
    return ok("schema", f"{len(migrations)} migrations, all applied")


async def _rights(around: Around) -> list[Finding]:
    config, client = around.config, await around.store()
    try:
        lacking = await around.in_store(lambda: _lacking(client, config))
    except CannotTell as error:
        return [skipped("rights", f"this server does not tell: {error}")]
    findings = []
    if lacking == ["INSERT"] and (ago := await _written_ago_ms(around)) < BEHIND_MS:
        told = f"{config.clickhouse_user} may read; another writes, {seconds(ago)} ago"
        findings.append(ok("writer", told))
    elif lacking:
        told = f"{config.clickhouse_user} lacks {' and '.join(lacking)} on {_all(config)}"
        todo = f"{_APPLY}; or ask as the sink's user"
        findings.append(failed("writer", told, todo))
    else:
        findings.append(ok("writer", f"{config.clickhouse_user} may write and read"))
    if config.analyst_password:
        findings.append(await _analyst(around))
    return findings


async def _written_ago_ms(around: Around) -> float:
    """How long ago somebody wrote, by the store's own clock."""
    rows = await around.query(
        "SELECT dateDiff('millisecond', max(written_at), now64(3)) "
        f"FROM {around.config.clickhouse_database}.sink_progress"
    )
    return float(rows[0][0])


async def _analyst(around: Around) -> Finding:
    config = around.config
    try:
        may_write = await around.in_store(lambda: _tried_as_analyst(config))
    except CannotTell as error:
        return failed("analyst", str(error), "CALLBOARD_ANALYST_PASSWORD, or " + _APPLY)
    if may_write:
        return failed("analyst", "may write", _APPLY)
    return ok("analyst", "may read and not write")


def _lacking(client: Any, config: Config) -> list[str]:
    return [right for right in ("INSERT", "SELECT") if not _granted(client, right, config)]


def _granted(client: Any, right: str, config: Config) -> bool:
    return bool(client.query(f"CHECK GRANT {right} ON {_all(config)}").result_rows[0][0])


def _tried_as_analyst(config: Config) -> bool:
    """Whether the analyst may write; raises `QueryError` if not even read."""
    with closing(connect(config, database=config.clickhouse_database)) as client:
        client.query("SELECT count() FROM progress")
        try:
            # No row comes of it, also where it is allowed.
            client.command("INSERT INTO settings_history SELECT * FROM settings_history WHERE 0")
        except Exception:
            return False
    return True


def _all(config: Config) -> str:
    return f"{config.clickhouse_database}.*"


async def progress(around: Around) -> list[Finding]:
    """How far the store is behind the frames."""
    database = around.config.clickhouse_database
    rows = await around.query(
        "SELECT site, toUnixTimestamp64Milli(at), partition, frame_offset "
        f"FROM {database}.sink_progress FINAL ORDER BY site"
    )
    frames = await around.newest_frames()
    if not frames:
        return [skipped("progress", "there is no frame yet")]
    if not rows:
        todo = "is the sink running? Its /readyz and its log say what it waits for"
        return [failed("progress", "nothing was ever written, though there are frames", todo)]
    newest = {frame.partition: frame for frame in frames}
    behind = [
        (newest[int(partition)].now - int(at), str(site))
        for site, at, partition, _ in rows
        if int(partition) in newest
    ]
    return list(_told(behind))


def _told(behind: list[tuple[int, str]]) -> Iterator[Finding]:
    slow = sorted((one for one in behind if one[0] > BEHIND_MS), reverse=True)
    for late, site in slow[:5]:
        told = f"site {site} is {seconds(late)} behind the frames"
        todo = "see the sink's lag, and whether the store takes rows; a removed site stays behind"
        yield (failed if late > FAR_BEHIND_MS else warning)("progress", told, todo)
    if not slow:
        worst = max(max((late for late, _ in behind), default=0), 0)
        sites = "1 site" if len(behind) == 1 else f"{len(behind)} sites"
        yield ok("progress", f"{sites}, at most {seconds(worst)} behind the frames")
