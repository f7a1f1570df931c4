"""How long the store keeps rows: the TTL of every table, brought to what is configured.

A figure of each deployment and so no migration. Parts are dropped whole, a month at a time, which
costs nothing, once all their rows are old enough: rows live up to a month longer than configured.
Records live 40 days more than panes, since a pane counts contacts and states that began before it,
in the month before too. What the views need for ever (settings, progress) is kept.
"""

from __future__ import annotations

import re

from sinks.clickhouse.migrate import Client

RECORDS_LONGER_DAYS = 40
KEPT = frozenset({"pane_settings"})
"""Tables that are by month and never expire: the first settings hold from the beginning."""
PANES = frozenset({"queue_panes", "team_panes"})

_PARTITION = re.compile(r"toYYYYMM\((\w+)\)")
_TTL = re.compile(r" TTL toDateTime\(\w+\) \+ toIntervalDay\((\d+)\)")


def keep(client: Client, database: str, days: int) -> list[str]:
    """Bring every table to `days`, 0 for ever; returns what was changed, one line a table.

    Only a TTL of this form is ever taken away: another one is somebody's own.
    """
    tables = client.query(
        "SELECT name, partition_key, create_table_query FROM system.tables "
        f"WHERE database = '{database}' AND engine LIKE '%MergeTree' ORDER BY name"
    )
    changed = []
    for name, partition_key, sql in tables.result_rows:
        by_month = _PARTITION.fullmatch(str(partition_key))
        if by_month is None or name in KEPT:
            continue
        wanted = days + (0 if name in PANES or not days else RECORDS_LONGER_DAYS)
        found = _TTL.search(str(sql))
        if int(found[1] if found else 0) == wanted:
            continue
        _set(client, f"{database}.{name}", by_month[1], wanted)
        changed.append(f"{name}: kept {f'{wanted} days' if wanted else 'for ever'}")
    return changed


def _set(client: Client, table: str, moment: str, days: int) -> None:
    if not days:
        client.command(f"ALTER TABLE {table} REMOVE TTL")
        return
    client.command(f"ALTER TABLE {table} MODIFY SETTING ttl_only_drop_parts = 1")
    client.command(f"ALTER TABLE {table} MODIFY TTL toDateTime({moment}) + INTERVAL {days} DAY")
