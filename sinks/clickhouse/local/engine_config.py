"""Configuration files of the local engine: its memory, its background work, its two roles.

The engine has one user, `default`, without rights of its own; a connection takes one of the roles
`writer` and `analyst`, so the grants are the engine's own and hold for every query.
"""

from __future__ import annotations

import re
from pathlib import Path

ENGINE_FILE = "engine.xml"
USERS_FILE = "users.xml"

_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

# chDB deletes the parts of a merge at once; kept for a while as on a server, they come back where
# the merged one cannot be read.
_ENGINE = """<clickhouse>
  <logger><level>none</level></logger>
  <user_directories><users_xml><path>{users_file}</path></users_xml></user_directories>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>16777216</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_mark_cache_size>4194304</index_mark_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <merge_tree>
    <fsync_after_insert>{fsync}</fsync_after_insert>
    <fsync_part_directory>{fsync}</fsync_part_directory>
    <old_parts_lifetime>480</old_parts_lifetime>
    <merge_max_block_size_bytes>4194304</merge_max_block_size_bytes>
    <max_bytes_to_merge_at_max_space_in_pool>2147483648</max_bytes_to_merge_at_max_space_in_pool>
  </merge_tree>
</clickhouse>
"""

_USERS = """<clickhouse>
  <profiles>
    <default>
      <async_insert>0</async_insert>
      <wait_for_async_insert>1</wait_for_async_insert>
      <log_queries>0</log_queries>
    </default>
  </profiles>
  <quotas><default></default></quotas>
  <roles>
    <writer><grants><query>GRANT ALL ON *.*</query></grants></writer>
    <analyst><grants><query>GRANT SELECT ON {database}.*</query></grants></analyst>
  </roles>
  <users>
    <default>
      <password></password>
      <networks><ip>::1</ip><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants><query>GRANT writer, analyst</query></grants>
    </default>
  </users>
</clickhouse>
"""


def checked_database(name: str) -> str:
    """`name` if it may be a database's name here; it goes into grants and statements unquoted."""
    if not _DATABASE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a database name: use letters, digits and _")
    return name


def write_config(directory: Path, database: str, memory_bytes: int, fsync: bool) -> None:
    """Write both files into the store's directory, anew at every start."""
    engine = _ENGINE.format(users_file=USERS_FILE, memory=memory_bytes, fsync=int(fsync))
    (directory / ENGINE_FILE).write_text(engine)
    (directory / USERS_FILE).write_text(_USERS.format(database=checked_database(database)))
