"""One user of the access rules, acted out by the embedded engine in a process of its own.

chDB has a single user and takes it from a file; so the file gives that user exactly the grants, the
profile and the row filters that the SQL gives somebody. Reads a job as JSON from standard input:
`{"folder", "grants": […], "settings": {…}, "filters": {table: condition}, "database", "migrate",
"queries": […]}`; prints the answers, texts or `!CODE`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from chdb import _chdb as _untyped

from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.retention import keep

_chdb: Any = _untyped

ENGINE = """<clickhouse><logger><level>none</level></logger>
<backups><allowed_path>{folder}/backups/</allowed_path></backups>
<user_directories><users_xml><path>users.xml</path></users_xml></user_directories></clickhouse>"""


def users(job: dict[str, Any]) -> str:
    """The file that makes the engine's user the one of the job."""
    settings = "".join(f"<{k}>{v}</{k}>" for k, v in job["settings"].items())
    limits = "".join(f"<{k}><max>{v}</max></{k}>" for k, v in job.get("maxima", {}).items())
    grants = "".join(f"<query>{escape(grant)}</query>" for grant in job["grants"])
    filters = "".join(
        f"<{table}><filter>{escape(condition)}</filter></{table}>"
        for table, condition in job["filters"].items()
    )
    database = job["database"]
    return f"""<clickhouse>
<profiles><default>{settings}<constraints>{limits}</constraints></default></profiles>
<quotas><default/></quotas>
<users><default><password/><networks><ip>::1</ip><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota><grants>{grants}</grants>
<databases><{database}>{filters}</{database}></databases></default></users></clickhouse>"""


class Client:
    """As much of a ClickHouse client as migrations need."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.result_rows: list[list[Any]] = []

    def command(self, cmd: str) -> None:
        self._connection.query(cmd, "Null")

    def query(self, query: str) -> Client:
        text = self._connection.query(query, "JSONCompactEachRow").bytes().decode()
        self.result_rows = [json.loads(line) for line in text.splitlines()]
        return self


def answer(connection: Any, query: str) -> str:
    try:
        return str(connection.query(query, "TSVRaw").bytes().decode()).strip()
    except Exception as error:  # whatever the engine refuses is what is asked about
        found = re.search(r"\(([A-Z_]+)\)\s*$", str(error).strip())
        return f"!{found[1] if found else error}"


def main() -> None:
    job = json.load(sys.stdin)
    os.chdir(job["folder"])
    Path("engine").mkdir(exist_ok=True)
    Path("engine.xml").write_text(ENGINE.format(folder=job["folder"]))
    Path("users.xml").write_text(users(job))
    connection = _chdb.connect("engine?config-file=engine.xml")
    if job.get("migrate"):
        migrate(Client(connection), job["database"])
        keep(Client(connection), job["database"], 10_000)
    answers = [answer(connection, query) for query in job["queries"]]
    connection.close()
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
