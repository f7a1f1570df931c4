"""Names of callboard's things in a Grafana. They never change: links hang on them."""

from __future__ import annotations

FOLDER_UID = "callboard"
FOLDER_TITLE = "Callboard"
TAG = "callboard"
"""Tag of every board of callboard."""

PLAYLIST_UID = "callboard-walls"

PROMETHEUS_UID = "callboard-prometheus"
CLICKHOUSE_UID = "callboard-clickhouse"

BOARD_URL = "board_url"
"""Variable of the boards that holds the address of callboard's own board."""
