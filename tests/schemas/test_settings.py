"""Site settings: what a file may say, what it means, and how a wrong one is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import orjson
import pytest

from schemas.kpis import FORMULAS
from schemas.settings import SettingsError, SiteSettings, Targets, load_site_file, parse_site


def write(folder: Path, text: str) -> Path:
    path = folder / "site.yml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(SettingsError) as caught:
        load_site_file(path)
    return str(caught.value).replace(str(path), "FILE")


def test_a_site_alone_has_the_defaults_of_the_contract(tmp_path: Path) -> None:
    site = load_site_file(write(tmp_path, "site: acme\n"))
    assert (site.site, site.name, site.time_zone, site.pane_ms) == ("acme", "", "UTC", 10_000)
    assert (site.anchor, site.stuck_after_ms, site.lateness_ms) == ("outcome", 14_400_000, 900_000)
    assert site.max_ahead_ms == 60_000
    queue = site.queue("any")
    assert (queue.queue, queue.name) == ("any", "any")
    assert (queue.threshold_ms, queue.short_abandon_ms) == (20_000, 5_000)
    assert (queue.formula, queue.exclude_short) == ("abandons_negative", False)
    assert (queue.stuck_after_ms, queue.min_volume) == (14_400_000, 0)
    assert queue.targets == Targets()
    assert site.team("any").occupancy is None


EVERYTHING = """\
site: acme
name: Acme
time_zone: Europe/Madrid
pane_ms: 5000
anchor: arrival
stuck_after_ms: 7200000
lateness_ms: 0
max_ahead_ms: 1000
hours:
  mon: ["08:00-12:00", "13:00-24:00"]
  sun:
holidays: [2026-12-25, "2026-12-26"]
defaults:
  threshold_ms: 30000
  short_abandon_ms: 3000
  formula: sl_event_ignore
  exclude_short: true
  stuck_after_ms: 3600000
  min_volume: 10
  targets: {service_level: 0.8, abandonment: 0.05, asa_ms: 20000}
queues:
  sales: {name: Sales, threshold_ms: 0, formula: answered_only, exclude_short: false, min_volume: 0}
  mail:
    stuck_after_ms: 172800000
    targets: {service_level: 0.9, longest_wait_ms: 60000, aht_ms: 300000}
  plain:
teams:
  blue: {name: Blue team, occupancy: [0.7, 0.85]}
  "": {}
"""


def test_a_queue_takes_what_it_lacks_from_the_defaults(tmp_path: Path) -> None:
    site = load_site_file(write(tmp_path, EVERYTHING))
    sales, mail, plain = (site.queue(name) for name in ("sales", "mail", "plain"))
    assert (sales.name, sales.threshold_ms, sales.short_abandon_ms) == ("Sales", 0, 3_000)
    assert (sales.formula, sales.exclude_short, sales.min_volume) == ("answered_only", False, 0)
    assert sales.stuck_after_ms == 3_600_000
    assert mail.stuck_after_ms == 172_800_000
    assert mail.targets.given() == {
        "service_level": 0.9,
        "abandonment": 0.05,
        "longest_wait_ms": 60_000,
        "asa_ms": 20_000,
        "aht_ms": 300_000,
    }
    assert (plain.threshold_ms, plain.formula, plain.exclude_short) == (
        30_000,
        "sl_event_ignore",
        True,
    )
    assert site.queue("sales") is sales


def test_hours_holidays_and_bands_are_read(tmp_path: Path) -> None:
    site = load_site_file(write(tmp_path, EVERYTHING))
    assert site.hours == {"mon": ["08:00-12:00", "13:00-24:00"], "sun": []}
    assert site.holidays == [date(2026, 12, 25), date(2026, 12, 26)]
    assert site.team("blue").occupancy == (0.7, 0.85)
    assert site.team("").name is None


@pytest.mark.parametrize("text", ["site: acme", EVERYTHING])
def test_a_dump_is_json_that_reads_back_to_equal_settings(tmp_path: Path, text: str) -> None:
    site = load_site_file(write(tmp_path, text))
    assert parse_site(orjson.loads(orjson.dumps(site.dump())), "a frame") == site


def test_a_queue_without_its_own_limit_takes_that_of_the_site() -> None:
    site = parse_site({"site": "s", "stuck_after_ms": 5, "queues": {"a": {}}}, "here")
    assert site.queue("a").stuck_after_ms == 5


def test_keys_are_text_as_written(tmp_path: Path) -> None:
    text = "site: s\nqueues:\n  100: {name: x}\n  0800:\n  no:\n  1999-01-01:\n  1.50:\n  on: {}\n"
    site = load_site_file(write(tmp_path, text))
    assert list(site.queues) == ["100", "0800", "no", "1999-01-01", "1.50", "on"]


def test_merged_keys_may_be_overridden(tmp_path: Path) -> None:
    text = (
        "site: s\ndefaults: &d {threshold_ms: 1, exclude_short: yes}\n"
        "queues:\n  a: {<<: *d, threshold_ms: 2}\n"
    )
    queue = load_site_file(write(tmp_path, text)).queue("a")
    assert (queue.threshold_ms, queue.exclude_short) == (2, True)


def test_the_formulas_of_the_settings_are_those_of_the_kpis() -> None:
    for formula in FORMULAS:
        site = parse_site({"site": "s", "defaults": {"formula": formula}}, "here")
        assert site.defaults.formula == formula


def test_settings_cannot_be_changed_in_place() -> None:
    site = SiteSettings(site="s")
    with pytest.raises(ValueError, match="frozen"):
        site.pane_ms = 1000  # type: ignore[misc]  # mypy knows as well


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "FILE: is empty; it needs at least `site: <id>`"),
        ("site:", "FILE:1: site: is required"),
        ("name: x", "FILE: site: is required"),
        ("site: ''", "FILE:1: site: should be not empty, not ''"),
        ("site: 100", "FILE:1: site: should be text, not 100; put it in quotes"),
        ("- acme", "FILE: should be a set of keys, not ['acme']"),
        ("site: a\nname: b\nsite: c", "FILE:3: the key 'site' stands twice"),
        ("site: a\nqueues:\n  q: {}\n  q: {}", "FILE:4: the key 'q' stands twice"),
        (
            "site: a\nformula: answered_only",
            "FILE:2: formula: unknown key; formula belongs under defaults or a queue",
        ),
        (
            "site: a\ntreshold_ms: 5",
            "FILE:2: treshold_ms: unknown key; "
            "did you mean threshold_ms, under defaults or a queue?",
        ),
        (
            "site: a\nthreshold: 5",
            "FILE:2: threshold: unknown key; did you mean threshold_ms, under defaults or a queue?",
        ),
        (
            "site: a\ndefaults: {service_level: 0.8}",
            "FILE:2: defaults.service_level: unknown key; service_level belongs under targets",
        ),
        (
            "site: a\nqueues:\n  PS: {time_zone: UTC}",
            "FILE:3: queues.PS.time_zone: unknown key; time_zone belongs at the top",
        ),
        ("site: a\nqeues: {}", "FILE:2: qeues: unknown key; did you mean queues?"),
        ("site: a\nxyzzy: {}", "FILE:2: xyzzy: unknown key"),
        (
            "site: a\nqueues:\n  PS:\n    treshold_ms: 3",
            "FILE:4: queues.PS.treshold_ms: unknown key; did you mean threshold_ms?",
        ),
        (
            "site: a\ndefaults: {targets: {servicelevel: 1}}",
            "FILE:2: defaults.targets.servicelevel: unknown key; did you mean service_level?",
        ),
        (
            "site: a\nteams:\n  '': {ocupancy: 1}",
            'FILE:3: teams."".ocupancy: unknown key; did you mean occupancy?',
        ),
        ("site: a\ndefaults: {name: x}", "FILE:2: defaults.name: unknown key"),
        (
            "site: a\nqueues:\n  PS:\n    formula: abandon_negative",
            "FILE:4: queues.PS.formula: 'abandon_negative' is not one of "
            + ", ".join(FORMULAS)
            + "; did you mean abandons_negative?",
        ),
        (
            "site: a\nanchor: arival",
            "FILE:2: anchor: 'arival' is not one of outcome, arrival; did you mean arrival?",
        ),
        (
            "site: a\ntime_zone: Asia/Jeruslem",
            "FILE:2: time_zone: 'Asia/Jeruslem' is no time zone; did you mean Asia/Jerusalem?",
        ),
        (
            "site: a\npane_ms: 7000",
            "FILE:2: pane_ms: a pane must divide a minute (60000 ms), 7000 does not; "
            "did you mean 7500?",
        ),
        ("site: a\npane_ms: 0", "FILE:2: pane_ms: should be greater than or equal to 1, not 0"),
        ("site: a\npane_ms: 10000.0", "FILE:2: pane_ms: should be a whole number, not 10000.0"),
        ("site: a\npane_ms: true", "FILE:2: pane_ms: should be a whole number, not True"),
        (
            "site: a\npane_ms: '10000'",
            "FILE:2: pane_ms: should be a whole number, not '10000'; write it without quotes",
        ),
        (
            "site: a\ndefaults: {threshold_ms: -1}",
            "FILE:2: defaults.threshold_ms: should be greater than or equal to 0, not -1",
        ),
        (
            "site: a\ndefaults: {exclude_short: 1}",
            "FILE:2: defaults.exclude_short: should be true or false, not 1",
        ),
        (
            "site: a\ndefaults:\n  targets: {service_level: 80}",
            "FILE:3: defaults.targets.service_level: should be less than or equal to 1, not 80; "
            "for 80 % write 0.8",
        ),
        ("site: a\nqueues: [PS]", "FILE:2: queues: should be a set of keys, not ['PS']"),
        ("site: a\nqueues: {PS: 3}", "FILE:2: queues.PS: should be a set of keys, not 3"),
        (
            "site: a\nhours: {monday: ['08:00-20:00']}",
            "FILE:2: hours.monday: 'monday' is not one of mon, tue, wed, thu, fri, sat, sun; "
            "did you mean mon?",
        ),
        (
            "site: a\nhours:\n  mon:\n  - 08:00-20:00\n  - 8-20",
            "FILE:5: hours.mon.1: opening hours are written HH:MM-HH:MM, not '8-20'",
        ),
        ("site: a\nholidays: [2026-13-25]", "FILE:2: holidays.0: '2026-13-25' is no date"),
        (
            "site: a\nteams: {x: {occupancy: [0.9, 0.8]}}",
            "FILE:2: teams.x.occupancy: the low end comes first",
        ),
        ("site: a\nteams: {x: {occupancy: 0.8}}", "FILE:2: teams.x.occupancy: should be a list"),
        ("site: a\n  name: b", "FILE:2: mapping values are not allowed here"),
        ("site: !!python/name:os.system", "FILE:1: could not determine a constructor"),
        ("site: a\nqueues: &q\n  a: *q", "FILE:2: found unconstructable recursive node"),
        ("site: a\n? [x, y]\n: 1", "FILE:2: a key must be a single word"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_the_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refusal(tmp_path, text).startswith(message)


@pytest.mark.parametrize("span", ["20:00-08:00", "08:00-08:00", "08:00-24:01", "25:00-26:00"])
def test_opening_hours_end_after_they_start_on_the_same_day(tmp_path: Path, span: str) -> None:
    assert "hours.mon.0: " in refusal(tmp_path, f"site: a\nhours: {{mon: ['{span}']}}")


@pytest.mark.parametrize("zone", ["America", "../etc/passwd", "Mars/Olympus", "/etc/passwd"])
def test_what_is_no_time_zone_is_refused(tmp_path: Path, zone: str) -> None:
    assert "is no time zone" in refusal(tmp_path, f"site: a\ntime_zone: {zone}")


def test_a_file_that_is_missing_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load_site_file(tmp_path / "none.yml")
    path = tmp_path / "site.yml"
    path.write_bytes(b"site: \xff")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load_site_file(path)
    path.write_bytes(b"site: a\x00")
    with pytest.raises(SettingsError, match="is no YAML"):
        load_site_file(path)


def test_settings_that_did_not_come_from_a_file_name_their_source() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_site({"site": "s", "queue": {}}, "events.frames 0:17")
    error = caught.value
    assert str(error) == "events.frames 0:17: queue: unknown key; did you mean queues?"
    assert (error.source, error.key) == ("events.frames 0:17", "queue")
