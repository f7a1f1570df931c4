"""Access to ClickHouse: the SQL is read and its grants, limits and row filters are acted out."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from sinks.clickhouse.migrate import load, split

ROOT = Path(__file__).resolve().parents[2]
APPLY = ROOT / "deploy" / "clickhouse" / "apply.sh"
NOTHING = "!ACCESS_DENIED"


def printed(secrets: Path, *arguments: str, password: str = "") -> list[str]:
    """The statements that apply.sh runs."""
    done = subprocess.run(
        [str(APPLY), "print", *arguments],
        env={**os.environ, "SECRETS_DIR": str(secrets)},
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    return [re.sub(r"^(--[^\n]*\n|\s)*", "", text) for text in split(done.stdout)]


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("secrets")
    subprocess.run([str(ROOT / "deploy" / "secrets" / "make.sh"), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def sql(secrets: Path) -> list[str]:
    anna = printed(secrets, "analyst", "anna", "a", password="pass word\n")
    return printed(secrets) + anna


@dataclass
class Rights:
    """What the SQL gives a role, with all roles that go with it."""

    sql: list[str]
    roles: tuple[str, ...]
    settings: dict[str, str] = field(default_factory=dict)
    maxima: dict[str, str] = field(default_factory=dict)

    def grants(self) -> list[str]:
        """Grants and revocations without the name of who gets them."""
        found = []
        for statement in self.sql:
            match = re.fullmatch(
                r"((?:GRANT|REVOKE) .+ ON .+?) (?:TO|FROM) (\w+)", statement, re.DOTALL
            )
            if match and match[2] in self.roles:
                found.append(match[1])
        return found

    def filters(self) -> dict[str, str]:
        """The rows of each table that some policy lets through."""
        found: dict[str, list[str]] = {}
        for statement in self.sql:
            match = re.fullmatch(
                r"CREATE ROW POLICY OR REPLACE \S+ ON\s+(.+?)\s+USING (.+) TO (.+)",
                statement,
                re.DOTALL,
            )
            if match is None:
                continue
            if match[3].startswith("ALL EXCEPT "):
                meant = match[3].removeprefix("ALL EXCEPT ") not in self.roles
            else:
                meant = match[3].strip("`") in self.roles
            if meant:
                for table in match[1].split(","):
                    found.setdefault(table.strip().split(".")[1], []).append(match[2])
        return {table: " OR ".join(f"({c})" for c in cs) for table, cs in found.items()}

    def profile(self) -> Rights:
        """Take the limits of the roles' profiles."""
        names = {
            match[1]
            for statement in self.sql
            for role in self.roles
            if (match := re.fullmatch(rf"ALTER ROLE {role} SETTINGS PROFILE '(\w+)'", statement))
        }
        for statement in self.sql:
            match = re.match(r"CREATE SETTINGS PROFILE OR REPLACE (\w+) SETTINGS", statement)
            if match and match[1] in names:
                for name, value, most in re.findall(r"(\w+) = (\d+)(?: MAX (\d+))?", statement):
                    self.settings[name] = value
                    if most:
                        self.maxima[name] = most
        return self

    def ask(self, folder: Path, *queries: str, migrate: bool = False) -> list[str]:
        job: dict[str, Any] = {
            "folder": str(folder),
            "grants": self.grants(),
            "settings": self.settings,
            "maxima": self.maxima,
            "filters": self.filters(),
            "database": "callboard",
            "migrate": migrate,
            "queries": queries,
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.deploy.persona"],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        answers: list[str] = json.loads(done.stdout)
        return answers


VISIT = (
    "INSERT INTO callboard.visits (site, contact, queued_at, queue, outcome, outcome_at, version) "
    "VALUES ('{site}', 'c', '2026-01-05 10:00:00', 'q', 'answered', '2026-01-05 10:00:05', 1)"
)

SETTINGS = (
    "INSERT INTO callboard.pane_settings (site, valid_from, pane_ms, time_zone, anchor, "
    "lateness_ms, settings, version) VALUES ('{site}', '2026-01-01 00:00:00', 10000, 'UTC', "
    "'outcome', 900000, '{{}}', 1)"
)
PROGRESS = (
    "INSERT INTO callboard.sink_progress (site, version, at) "
    "VALUES ('{site}', 1, '2026-01-05 12:00:00')"
)


def filled(sql: list[str], folder: Path) -> Path:
    """A store that the migrator made and the writer filled, with rows of the sites a and b."""
    migrator = Rights(sql, ("callboard_migrate",))
    made = migrator.ask(folder, "SELECT count() FROM callboard.schema_migrations", migrate=True)
    assert made == [str(len(load()))]
    writer = Rights(sql, ("callboard_write",))
    rows = [row.format(site=site) for site in "ab" for row in (VISIT, SETTINGS, PROGRESS)]
    assert writer.ask(folder, *rows) == [""] * len(rows)
    return folder


@pytest.fixture(scope="module")
def folder(sql: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that no test changes."""
    return filled(sql, tmp_path_factory.mktemp("store"))


def test_the_engine_understands_every_statement(sql: list[str], tmp_path: Path) -> None:
    asked = [f"SELECT formatQuerySingleLine($q${statement}$q$) != ''" for statement in sql]
    admin = Rights([], ())
    assert admin.ask(tmp_path, *asked) == ["1"] * len(sql)


def test_every_table_of_a_site_has_both_policies(sql: list[str]) -> None:
    made = {
        match[1]: match[0]
        for migration in load()
        for match in re.finditer(
            r"CREATE TABLE IF NOT EXISTS \$\{database\}\.(\w+)\s*\((.*?)\nENGINE",
            migration.text,
            re.DOTALL,
        )
    }
    with_site = {name for name, text in made.items() if re.search(r"^\s+site ", text, re.MULTILINE)}
    assert set(Rights(sql, ("callboard_read",)).filters()) == with_site
    assert set(Rights(sql, ("callboard_analyse",)).filters()) == with_site


def test_the_writer_makes_and_drops_nothing(sql: list[str], folder: Path) -> None:
    writer = Rights(sql, ("callboard_write",))
    assert writer.ask(
        folder,
        "SELECT count() FROM callboard.contacts",
        "CREATE TABLE callboard.x (y Int8) ENGINE = MergeTree ORDER BY y",
        "DROP TABLE callboard.visits",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    ) == ["2", NOTHING, NOTHING, NOTHING]


def test_grafana_reads_every_site_and_writes_nothing(sql: list[str], folder: Path) -> None:
    reader = Rights(sql, ("callboard_read",)).profile()
    asked = reader.ask(
        folder,
        "SELECT arraySort(groupArray(site)) FROM callboard.contacts",
        "SELECT sum(answered) FROM callboard.kpi_site(from = '2026-01-05', to = '2026-01-06')",
        VISIT.format(site="a"),
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT 1 SETTINGS max_memory_usage = 1",
    )
    assert asked[:2] == ["['a','b']", "2"], asked
    assert all(text.startswith("!") for text in asked[2:]), asked


def test_an_analyst_sees_only_the_own_site(sql: list[str], folder: Path) -> None:
    anna = Rights(sql, ("callboard_analyse", "callboard_site_a")).profile()
    asked = anna.ask(
        folder,
        "SELECT site FROM callboard.contacts",
        "SELECT site FROM callboard.visits",
        "SELECT site, answered FROM callboard.kpi_site(from = '2026-01-05', to = '2026-01-06')",
        "SELECT count() FROM callboard.visits WHERE site = 'b'",
        "SELECT * FROM callboard.schema_migrations",
        VISIT.format(site="a"),
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SET readonly = 0",
    )
    assert asked[:4] == ["a", "a", "a\t1", "0"], asked
    assert all(text.startswith("!") for text in asked[4:]), asked


def test_an_analyst_without_a_site_sees_nothing(sql: list[str], folder: Path) -> None:
    nobody = Rights(sql, ("callboard_analyse",)).profile()
    assert nobody.ask(folder, "SELECT count() FROM callboard.visits") == ["0"]


def test_readers_may_choose_how_long_a_query_may_take(sql: list[str]) -> None:
    """The engine here has no changeable_in_readonly, which a server has; so the text is held to."""
    profiles = [text for text in sql if text.startswith("CREATE SETTINGS PROFILE")]
    assert len(profiles) == 2
    for text in profiles:
        assert "readonly = 1" in text
        assert re.search(r"max_execution_time = \d+ MAX \d+ CHANGEABLE_IN_READONLY", text)
        others = re.findall(r"^\s+(?!readonly|max_execution_time)(\w+ = .*?)[,;]?$", text, re.M)
        assert others
        assert all(limit.endswith("READONLY") for limit in others)
    config = (ROOT / "deploy/clickhouse/config.d/callboard.xml").read_text()
    assert "<settings_constraints_replace_previous>true<" in config


@pytest.mark.parametrize(("name", "site"), [("a b", "s"), ("x", "a'b"), ("x", "")])
def test_names_that_could_leave_their_quotes_are_refused(
    secrets: Path, name: str, site: str
) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        printed(secrets, "analyst", name, site, password="p\n")


def test_a_backup_holds_what_was_there(sql: list[str], tmp_path: Path) -> None:
    folder = filled(sql, tmp_path)
    admin = Rights(["GRANT ALL ON *.* TO admin"], ("admin",))
    asked = admin.ask(
        folder,
        f"BACKUP DATABASE callboard TO File('{folder / 'backups' / 'b'}')",
        "DROP DATABASE callboard SYNC",
        f"RESTORE DATABASE callboard FROM File('{folder / 'backups' / 'b'}')",
        "SELECT arraySort(groupArray(site)) FROM callboard.contacts",
        "SELECT count() FROM callboard.schema_migrations",
    )
    assert asked[0].endswith("BACKUP_CREATED"), asked
    assert asked[2].endswith("RESTORED")
    assert asked[3:] == ["['a','b']", str(len(load()))]
