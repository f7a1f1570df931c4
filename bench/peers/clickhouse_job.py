"""The job by ClickHouse (chDB, the engine in this process), as one batch: a bound, as polars is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chdb.session import Session

from bench.peers.process import main

SQL = Path(__file__).with_name("clickhouse.sql")


def run(events: str, results: str) -> int:
    """Read a day, write the results into a folder; how many events it had."""
    folder = Path(results)
    folder.mkdir()
    places = {"day": Path(events), "queues": folder / "queues.csv", "site": folder / "site.csv"}
    text = SQL.read_text()
    for name, path in places.items():
        text = text.replace(f"{{{name}}}", f"'{path.resolve()}'")
    session: Any = Session()  # type: ignore[no-untyped-call]
    with session:
        for statement in text.split(";\n"):
            if statement.strip():
                answer = session.query(statement, "TSV")
        return int(str(answer))


if __name__ == "__main__":
    main(run)
