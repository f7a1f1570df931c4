"""The local ClickHouse of the embedded stack: the chDB engine behind ClickHouse's HTTP interface.

A request goes `server` (HTTP) -> `request` (what is asked) -> `turns` (whose turn it is) ->
`process` (one engine process) -> `engine` (chDB); `gate` judges what an analyst may run.
"""

from sinks.clickhouse.local.limits import Limits
from sinks.clickhouse.local.lock import StoreLocked
from sinks.clickhouse.local.process import EngineFailed
from sinks.clickhouse.local.server import LocalClickHouse, serve

__all__ = ["EngineFailed", "Limits", "LocalClickHouse", "StoreLocked", "serve"]
