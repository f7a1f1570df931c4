"""Rights at the broker: they name what the product has, and the deployments have just them."""

from __future__ import annotations

import runpy
from pathlib import Path

from agents_stream.tables import GROUP, PANES, STATE
from schemas.access import USERS, principal_of
from schemas.topics import ALERTS, CHANGELOGS, DEAD, FRAMES, LIVE, RAW, ROWS, TOPICS
from sinks.clickhouse import alerts, sink

DEPLOY = Path(__file__).parents[2] / "deploy"


def test_changelogs_are_named_as_faust_names_them() -> None:
    assert [spec.name for spec in CHANGELOGS] == [f"{GROUP}-{t}-changelog" for t in (STATE, PANES)]


def test_every_topic_is_written_and_read_by_somebody_and_made_by_one() -> None:
    wanted = {spec.name for spec in (*TOPICS, *CHANGELOGS)}
    users = USERS.values()
    assert {name for user in users for name in user.writes} == wanted
    assert {name for user in users for name in user.reads} == wanted
    assert [name for name, user in USERS.items() if user.makes] == ["operator"]
    assert set(USERS["operator"].makes) == wanted


def test_a_role_may_what_it_does_and_nothing_beside() -> None:
    """As docs/architecture.md draws it."""
    assert set(USERS["door"].writes) == {RAW, ALERTS}
    assert not USERS["door"].reads
    assert RAW in USERS["ingest"].reads
    assert RAW not in USERS["ingest"].writes
    assert set(USERS["worker"].writes) >= {LIVE, ROWS, DEAD}
    assert {FRAMES, RAW}.isdisjoint(USERS["worker"].writes)
    assert set(USERS["sink"].reads) == {ROWS, ALERTS}
    assert ROWS not in USERS["sink"].writes
    assert (USERS["board"].reads, USERS["board"].writes) == ((LIVE,), ())


def test_groups_are_those_that_the_roles_are_in() -> None:
    groups = {name: user.group for name, user in USERS.items() if user.group is not None}
    assert set(groups) == {"ingest", "worker", "sink"}
    assert groups["worker"].names == (GROUP,)
    for group in (sink.GROUP, alerts.GROUP):
        assert any(f"{group}-1".startswith(prefix) for prefix in groups["sink"].names)


def test_the_files_of_the_deployment_are_the_generated_ones() -> None:
    made = runpy.run_path(str(DEPLOY / "kafka" / "generate.py"))["FILES"]
    assert made
    for path, content in made.items():
        assert path.read_text() == content(), "run python deploy/kafka/generate.py"


def test_the_documents_list_every_user() -> None:
    documented = (DEPLOY.parent / "docs" / "deploy.md").read_text()
    for name in USERS:
        assert f"`{principal_of(name)}`" in documented
