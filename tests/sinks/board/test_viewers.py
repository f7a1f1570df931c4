"""The file of viewers, the command that writes it, and the cookies that depend on it."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pipeline.cli.board_token import board_token
from sinks.board.sessions import PERSON_MS, Sessions
from sinks.board.viewers import (
    Entry,
    Viewers,
    ViewersError,
    digest_of,
    id_of,
    new_token,
    read_viewers,
    write_viewers,
)

NOW = 1_800_000_000_000


def entry_of(token: str, name: str = "Anna", **more: object) -> Entry:
    return Entry.model_validate(
        {"name": name, "sites": ["bank"], "sha256": digest_of(token), **more}
    )


def looking(path: Path) -> Viewers:
    ticks = itertools.count()
    return Viewers(path, lambda: float(next(ticks)))


def test_a_token_is_random_and_is_nowhere_in_the_file(tmp_path: Path) -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 40
    token = tokens.pop()
    write_viewers(tmp_path / "v.yml", [entry_of(token, expires=NOW)])
    text = (tmp_path / "v.yml").read_text()
    assert token not in text
    assert "2027-01-15T08:00:00Z" in text or "2027-01-15T08:00:00.000Z" in text
    assert read_viewers(tmp_path / "v.yml") == [entry_of(token, expires=NOW)]
    assert [path.name for path in tmp_path.iterdir()] == ["v.yml"], "nothing is left behind"


def test_a_change_of_the_file_is_seen_and_a_broken_one_locks_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, token, other = tmp_path / "v.yml", new_token(), new_token()
    viewers = looking(path)
    assert viewers.of_token(token) is None, "without a file nobody"
    write_viewers(path, [entry_of(token)])
    assert viewers.of_token(token) == entry_of(token)
    path.write_text("viewers: [{name: x}]\n")
    assert viewers.of_token(token) == entry_of(token)
    assert "who could log in before still can" in caplog.text
    write_viewers(path, [entry_of(other)])
    assert (viewers.of_token(token), viewers.of_token(other)) == (None, entry_of(other))
    path.unlink()
    assert viewers.of_token(other) is None


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "a list `viewers`"),
        ("viewers: {}", "a list `viewers`"),
        ("viewers: [{name: a, sites: bank, sha256: '%s'}]" % ("0" * 64), "sites"),
        ("viewers: [{name: a, sites: [bank], sha256: abc}]", "sha256"),
        ("viewers: [{name: a, sites: [bank], token: abc}]", "sha256"),
        ("viewers: [{name: a, sites: ['*'], sha256: '%s', days: 3}]" % ("0" * 64), "days"),
        ("viewers: [{name: a, sites: '*', sha256: '%s', expires: soon}]" % ("0" * 64), "expires"),
        ("viewers:\n- {name: a, sites: '*', sha256: '%s'}\n" % ("0" * 64) * 2, "stands twice"),
        ("viewers: [", "v.yml:1"),
    ],
)
def test_a_file_of_no_use_says_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "v.yml"
    path.write_text(text)
    with pytest.raises(ViewersError, match="v.yml") as refused:
        read_viewers(path)
    assert what in str(refused.value)


def only(entry: Entry) -> Callable[[str], Entry | None]:
    return lambda id_: entry if id_ == id_of(entry) else None


def test_a_cookie_is_good_until_its_end_and_no_longer_than_its_token() -> None:
    sessions = Sessions("k" * 32)
    for expires, end in ((None, NOW + PERSON_MS), (NOW + 5000, NOW + 5000)):
        entry = entry_of("t", expires=expires)
        cookie, said = sessions.issue(entry, NOW)
        assert said == end
        assert sessions.read(cookie, only(entry), end - 1) == (entry, end)
        assert sessions.read(cookie, only(entry), end) is None
        assert sessions.read(cookie, only(entry_of("u")), NOW) is None
        assert Sessions("K" * 32).read(cookie, only(entry), NOW) is None
        sooner = entry.model_copy(update={"expires": NOW + 1000})
        assert sessions.read(cookie, only(sooner), NOW + 1000) is None, (
            "the end was brought forward"
        )


@given(st.data())
def test_no_other_cookie_is_good(data: st.DataObject) -> None:
    """One character changed, left out or put in, anything at all, or a later end."""
    sessions, entry = Sessions("k" * 32), entry_of("t")
    cookie, end = sessions.issue(entry, NOW)
    place = data.draw(st.integers(0, len(cookie) - 1))
    letter = data.draw(st.characters())
    forged = data.draw(
        st.sampled_from(
            [
                cookie[:place] + letter + cookie[place + 1 :],
                cookie[:place] + cookie[place + 1 :],
                cookie[:place] + letter + cookie[place:],
                cookie.replace(str(end), str(end + 1 + place)),
                data.draw(st.text(max_size=200)),
            ]
        )
    )
    if forged != cookie:
        assert sessions.read(forged, only(entry), NOW) is None


# --- the command --------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CALLBOARD_BOARD_URL", "https://board.example.org/")
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(board_token, list(words))


def test_a_token_is_made_listed_and_taken_away(run: Callable[..., Result], tmp_path: Path) -> None:
    made = run(
        "add", "Berlin [wall]", "--site", "berlin", "--site", "köln", "--wall", "--days", "9"
    )
    assert made.exit_code == 0, made.output
    token = made.stdout.splitlines()[0]
    path = tmp_path / "viewers.yml"
    [entry] = read_viewers(path)
    assert (entry.name, entry.sites, entry.wall) == ("Berlin [wall]", ["berlin", "köln"], True)
    assert entry.sha256 == digest_of(token)
    # A container that reads it is another user; there is nothing in it to hide.
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644
    assert run("add", "Boss", "--all-sites").exit_code == 0
    listed = run("list").stdout
    assert "Berlin [wall]" in listed
    assert "berlin, köln" in listed
    assert token not in listed
    assert run("remove", "Berlin [wall]").exit_code == 0
    assert [one.name for one in read_viewers(path)] == ["Boss"]


def test_the_link_of_a_wall_says_its_token_to_no_server(run: Callable[..., Result]) -> None:
    made = run("add", "wall", "--site", "a&b", "--wall")
    link = urlsplit(made.output.split()[-1])
    assert link.geturl().startswith("https://board.example.org/login#")
    assert link.query == ""
    said = parse_qs(link.fragment)
    assert said["token"] == [made.stdout.splitlines()[0]]
    assert said["to"] == ["?site=a%26b&kiosk#wall"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["add", "Anna"], "--site"),
        (["add", "Anna", "--site", "bank", "--all-sites"], "--site"),
        (["add", "Boss", "--all-sites"], "has a token already"),
        (["remove", "Nobody"], "there is Boss"),
        (["add", "Anna", "--site", "bank", "--days", "0"], "--days"),
    ],
)
def test_what_cannot_be_is_said(
    run: Callable[..., Result], tmp_path: Path, words: list[str], why: str
) -> None:
    run("add", "Boss", "--all-sites")
    before = (tmp_path / "viewers.yml").read_text()
    done = run(*words)
    assert done.exit_code == 2
    assert why in done.output
    assert (tmp_path / "viewers.yml").read_text() == before


def test_a_file_that_is_broken_is_not_written_over(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "viewers.yml").write_text("viewers: [")
    for words in (("list",), ("add", "Anna", "--all-sites"), ("remove", "Anna")):
        done = run(*words)
        assert done.exit_code == 1
        assert "viewers.yml:1" in done.output
    assert (tmp_path / "viewers.yml").read_text() == "viewers: ["
