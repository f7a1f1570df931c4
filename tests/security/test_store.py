"""TLS to the store: the right authority is enough, and every other certificate is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from schemas.config import Config
from sinks.clickhouse.query import QueryError, Question
from sinks.clickhouse.writer import HttpStore, Unavailable
from tests.certificates import DAY, LOOPBACK, Authority
from tests.security.tls_front import tls_front
from tests.sinks.clickhouse.store import Server, running


@dataclass
class Place:
    """A store and two authorities, of which only the first signs for it."""

    server: Server
    authority: Authority
    other: Authority


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("store")
    with running(folder / "store") as server:
        yield Place(server, Authority(folder), Authority(folder, "another authority"))


def asking(place: Place, port: int, authority: Authority) -> Config:
    return place.server.config(
        clickhouse_url=f"https://127.0.0.1:{port}", clickhouse_ca_file=str(authority.file)
    )


async def test_both_clients_speak_to_a_store_behind_tls(place: Place) -> None:
    with tls_front(place.authority.certificate("store"), place.server.port) as front:
        config = asking(place, front.port, place.authority)
        question = Question(config, write=True)
        assert question.text("SELECT 1", "TSV") == "1\n"
        question.close()
        store = HttpStore(config)
        assert await store.check("SELECT 1") == [[1]]
        await store.close()


@pytest.mark.parametrize(
    ("hosts", "ends", "authority", "told"),
    [
        (LOOPBACK, DAY, "other", ("local issuer", "CALLBOARD_CLICKHOUSE_CA_FILE")),
        (LOOPBACK, -DAY, "authority", ("expired", "renewed at the store")),
        (("store.example.org",), DAY, "authority", ("mismatch", "CALLBOARD_CLICKHOUSE_URL")),
    ],
)
async def test_a_wrong_certificate_is_refused_in_one_line(
    place: Place, hosts: tuple[str, ...], ends: timedelta, authority: str, told: tuple[str, str]
) -> None:
    certificate = place.authority.certificate("wrong", hosts, ends)
    with tls_front(certificate, place.server.port) as front:
        config = asking(place, front.port, getattr(place, authority))
        with pytest.raises(QueryError) as asked:
            Question(config, write=True)
        store = HttpStore(config)
        with pytest.raises(Unavailable) as written:
            await store.check("SELECT 1")
        await store.close()
    for refusal in (str(asked.value), str(written.value)):
        assert [word for word in told if word not in refusal] == [], refusal
        assert "\n" not in refusal
