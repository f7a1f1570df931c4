"""An analyst reads every view of the migrations: through grants, readonly mode and the gate."""

import re
from collections.abc import Iterator

import clickhouse_connect
import pytest

from sinks.clickhouse.migrate import migrate
from tests.sinks.clickhouse.local_store import PASSWORDS, ThreadedStore, threaded

PARAMETER = re.compile(r"\{(\w+): ?([^}]+)\}")
MOMENT = "toDateTime64('1999-02-07 15:30:00', 3, 'UTC')"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedStore]:
    with threaded(tmp_path_factory.mktemp("store")) as running:
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=running.port, username="writer", password=PASSWORDS["writer"]
        )
        migrate(client, "callboard")
        client.close()
        yield running


def value(name: str, kind: str) -> str:
    if name == "window":
        return "'5m'"
    if "DateTime" in kind:
        return MOMENT
    return "'x'" if kind == "String" else "1000"


def test_every_view_answers_an_analyst(store: ThreadedStore) -> None:
    listed = store.analyst(
        "SELECT name FROM system.tables WHERE database = 'callboard' AND engine = 'View' "
        "ORDER BY name"
    )
    views = listed.text.split()
    assert len(views) > 10
    for view in views:
        text = store.analyst(f"SHOW CREATE TABLE callboard.{view} FORMAT TSVRaw").text
        given = {name: value(name, kind) for name, kind in PARAMETER.findall(text)}
        arguments = ", ".join(f"{name}={literal}" for name, literal in given.items())
        call = f"{view}({arguments})" if given else view
        reply = store.analyst(f"SELECT * FROM callboard.{call} LIMIT 1")
        assert reply.status == 200, f"{call}: {reply.text}"
