"""Settings given as URL parameters: which concern only the transport, what an analyst may set.

An analyst's queries run with `readonly=1`, so the engine itself refuses a SETTINGS clause. Settings
in the URL are applied before that: harmless ones as given, limits clamped to the store's, the rest
refused as a server refuses them in readonly mode.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinks.clickhouse.local.errors import NOT_IMPLEMENTED, READONLY, StoreError
from sinks.clickhouse.local.limits import Limits

NOT_SETTINGS = frozenset(
    {
        "query",
        "database",
        "user",
        "password",
        "default_format",
        "query_id",
        "quota_key",
        "role",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "client_protocol_version",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "stacktrace",
        "max_result_size",
        "enable_http_compression",
        "http_zlib_compression_level",
        "http_native_compression_disable_checksumming_on_decompress",
        "http_wait_end_of_query",
        "http_response_buffer_size",
        "http_headers_progress_interval_ms",
        "send_progress_in_http_headers",
        "add_http_cors_header",
        "cancel_http_readonly_queries_on_client_close",
        "http_write_exception_in_output_format",
    }
)
"""Parameters of the HTTP interface, not of the engine. Answers are always buffered whole, so the
ones about waiting, buffering and progress have nothing to change."""

ANALYST_MAY_SET = frozenset(
    {
        "max_threads",
        "max_block_size",
        "extremes",
        "limit",
        "offset",
        "final",
        "session_timezone",
        "use_client_time_zone",
        "date_time_input_format",
        "date_time_output_format",
        "join_use_nulls",
        "group_by_use_nulls",
        "union_default_mode",
        "aggregate_functions_null_for_empty",
        "cast_keep_nullable",
        "cast_string_to_dynamic_use_inference",
        "prefer_column_name_to_alias",
        "result_overflow_mode",
        "format_csv_delimiter",
        "log_comment",
    }
)
ANALYST_MAY_SET_PREFIXES = (
    "output_format_json_",
    "output_format_csv_",
    "output_format_tsv_",
    "output_format_pretty_",
    "output_format_native_",
    "output_format_arrow_",
    "output_format_parquet_",
    "output_format_binary_",
    "output_format_decimal_",
    "output_format_float_",
)


def analyst_settings(given: Mapping[str, str], limits: Limits) -> dict[str, str]:
    """The settings an analyst's query runs with, `readonly` the last of them."""
    ceilings: dict[str, float] = {
        "max_execution_time": limits.analyst_s,
        "max_memory_usage": limits.analyst_memory_bytes,
        "max_result_rows": limits.analyst_result_rows,
        "max_result_bytes": limits.analyst_result_bytes,
        "max_temporary_data_on_disk_size_for_query": limits.analyst_disk_bytes,
    }
    fixed = {
        "timeout_overflow_mode": "throw",
        "max_query_size": str(limits.analyst_query_bytes),
        "allow_introspection_functions": "0",
    }
    settings = {"result_overflow_mode": "throw"}
    for name, value in given.items():
        if name in ceilings:
            ceilings[name] = _clamped(value, ceilings[name])
        elif name in ANALYST_MAY_SET or name.startswith(ANALYST_MAY_SET_PREFIXES):
            settings[name] = value
        elif name != "readonly" or value not in ("1", "2"):
            raise StoreError(READONLY, f"Cannot modify '{name}' setting in readonly mode")
    bounds = {name: _number(value) for name, value in ceilings.items()}
    return settings | fixed | bounds | {"readonly": "1"}


def writer_settings(given: Mapping[str, str], limits: Limits, is_get: bool) -> dict[str, str]:
    """The settings a writer's statement runs with; a GET cannot change anything, as on a server."""
    settings = dict(given)
    settings.setdefault("max_result_bytes", str(limits.writer_result_bytes))
    wanted = settings.get("max_execution_time", "0")
    settings["max_execution_time"] = _number(_clamped(wanted, limits.writer_s))
    # An insert that was answered is there, whatever the client asked for.
    settings |= {"async_insert": "0", "wait_for_async_insert": "1"}
    readonly = settings.pop("readonly", "2" if is_get else "0")
    return settings | {"readonly": readonly}


def check_transport(query: Mapping[str, str]) -> None:
    """Refuse what this server cannot do, rather than do something else."""
    if query.get("compress", "0") not in ("", "0") or query.get("decompress", "0") not in ("", "0"):
        raise StoreError(
            NOT_IMPLEMENTED,
            "compress=1 and decompress=1 (ClickHouse's own block compression) are not supported "
            "here: switch compression off in the client, or use Accept-Encoding",
        )
    if query.get("session_check", "0") == "1":
        raise StoreError(NOT_IMPLEMENTED, "sessions are not kept here: each request stands alone")


def _number(value: float) -> str:
    return str(value) if value % 1 else str(int(value))


def _clamped(value: str, ceiling: float) -> float:
    """A limit as the client wants it, never above the ceiling; 0 means none."""
    try:
        wanted = float(value)
    except ValueError:
        return ceiling
    return min(wanted, ceiling) if wanted > 0 else ceiling
