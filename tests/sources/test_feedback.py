"""Feedback in rows: a simulated centre's, CSV as people write it, scales, calls of a dialler."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from pipeline.replay import read_history, snapshots
from pipeline.simulate.happenings import Kind
from pipeline.sources import FORMATS, SOURCES, BadLine
from pipeline.sources.platforms.feedback.rows import MAX_RECORD_LINES, rows_of
from pipeline.sources.source import Unread
from schemas.settings import parse_site
from tests.sources.crm_truth import Truth, truth_of
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

TYPES = {
    Kind.SURVEYED: "survey.answered",
    Kind.RESOLVED: "contact.resolved",
    Kind.JUDGED: "contact.sentiment",
    Kind.EVALUATED: "contact.evaluated",
    Kind.RECORDED: "contact.recorded",
}


@cache
def told() -> RoundTrip:
    return round_trip("feedback-csv")


@cache
def truth() -> Truth:
    return truth_of(BUSY)


def one(row: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    common = {"contact": "c-1", "ts": 1_772_442_000_000}
    translator = SOURCES["feedback"].begin("here", options, "Europe/Berlin")
    return translator.translate(orjson.dumps(common | row))


def rows(text: str | bytes) -> list[Any]:
    raw = text.encode() if isinstance(text, str) else text
    items = list(rows_of(raw.splitlines(keepends=True)))
    return [item if isinstance(item, BadLine) else (item[0], orjson.loads(item[1]))
            for item in items]  # fmt: skip


def test_all_feedback_comes_back_to_the_last_value() -> None:
    assert told().told == {}
    for kind, name in TYPES.items():
        want = Counter((one.at, one.contact.id if one.contact else "") for one in truth().of(kind))
        found = [event for event in told().events if event["type"] == name]
        assert Counter((event["ts"], event["contact"]) for event in found) == want
    for score in ("csat", "nps", "ces"):
        answers = sorted(event[score] for event in told().events if score in event)
        assert answers == truth().answers(score)
    judged = [one.facts or {} for one in truth().of(Kind.JUDGED)]
    found = [event for event in told().events if event["type"] == "contact.sentiment"]
    assert sorted(event["score"] for event in found) == sorted(f["score"] for f in judged)
    flags = sorted(flag for _, flag in truth().resolutions().elements())
    resolved = [event for event in told().events if event["type"] == "contact.resolved"]
    assert sorted(event["resolved"] for event in resolved) == flags


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    text = delimiter.join(("kind", "contact", "ts")) + "\r\n" + delimiter.join("abc") + "\r\n"
    assert rows(text) == [(2, {"kind": "a", "contact": "b", "ts": "c"})]


def test_csv_as_people_write_it() -> None:
    text = '\ufeffkind;Call;"a;b";\n1;2;"x ""y"" z";\n\n3;4;"two\nlines";\nkind;Call;a;b\n5;;;\n'
    assert rows(text)[:2] == [
        (2, {"kind": "1", "Call": "2", "a;b": 'x "y" z'}),
        (4, {"kind": "3", "Call": "4", "a;b": "two\nlines"}),
    ]
    assert rows(text)[3:] == [(7, {"kind": "5"})]


def test_a_header_that_comes_again_is_no_row() -> None:
    assert rows("kind,ts\n1,2\nkind,ts\n3,4\n") == [
        (2, {"kind": "1", "ts": "2"}),
        (4, {"kind": "3", "ts": "4"}),
    ]


def test_a_quote_that_is_never_closed_costs_its_own_row() -> None:
    lines = ["kind,ts", '1,"2', *(f"{n},{n}" for n in range(3, 3 + 2 * MAX_RECORD_LINES))]
    found = rows("\n".join(lines) + "\n")
    assert [item.line for item in found if isinstance(item, BadLine)] == [2]
    assert len(found) == len(lines) - 1
    assert found[1] == (3, {"kind": "3", "ts": "3"})


def test_lines_that_are_no_rows_are_named() -> None:
    text = b"kind,ts\n1,2,3\n\xff,2\n4,5,\n"
    bad, not_text, row = rows(text)
    assert (bad.line, not_text.line, row) == (2, 3, (4, {"kind": "4", "ts": "5"}))


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"\xff\xfek\x00i\x00\n\x00", 1),
        (b"k\x00i\x00\n\x00a\x00", 1),
        (b"k\xe4se;x\n1;2\n", 1),
        (b"\n\nkind,kind\n1,2\n", 3),
        (b"\xff,x\n1,2\n", 1),
    ],
)
def test_a_header_that_cannot_be_used_is_told_once(raw: bytes, line: int) -> None:
    (bad,) = rows(raw)
    assert (type(bad), bad.line) == (BadLine, line)


def test_the_separator_that_excel_writes_first_is_no_header() -> None:
    for first in ("sep=;", '"sep=;"', "\ufeffsep=;"):
        found = rows(f"{first}\r\nkind;a,b,c,d\r\n1;2\r\n")
        assert found == [(3, {"kind": "1", "a,b,c,d": "2"})]
    assert [item.line for item in rows("sep=;\n") if isinstance(item, BadLine)] == [1]


def test_names_of_columns_may_have_line_breaks() -> None:
    text = 'kind;"How was it,\nall in all?";ts\n1;2;3\n"4\n5";;\n'
    assert rows(text) == [
        (3, {"kind": "1", "How was it,\nall in all?": "2", "ts": "3"}),
        (4, {"kind": "4\n5"}),
    ]
    assert [type(item) for item in rows('"kind,open\n1,2\n')] == [BadLine]


def test_lines_of_old_macs_are_named_as_such() -> None:
    (bad,) = rows_of([b"kind,ts\r1,2\r3,4\r"])
    assert isinstance(bad, BadLine)
    assert "carriage return" in bad.reason


def test_columns_in_brackets_are_no_objects() -> None:
    assert rows("[kind],[ts]\n1,2\n") == [(2, {"[kind]": "1", "[ts]": "2"})]


def test_one_column_needs_no_delimiter() -> None:
    assert rows("contact\nc-1\n\n2\n") == [(2, {"contact": "c-1"}), (4, {"contact": "2"})]


def test_rows_in_latin_1_are_told_by_their_lines_behind_quotes_with_line_breaks() -> None:
    text = b'kind,issue\r\n1,"two\r\nlines"\r\n2,k\xe4se\r\n3,x\r\n'
    first, bad, last = rows(text)
    assert (first[0], bad.line, last[0]) == (2, 4, 5)
    assert "UTF-8" in bad.reason


def test_a_file_of_arrays_is_taken_apart() -> None:
    assert rows('[{"kind":"a"},{"kind":"b"}]\n') == [(1, {"kind": "a"}), (1, {"kind": "b"})]


def test_ids_are_found_without_their_blanks_and_never_shortened() -> None:
    (event,) = one({"kind": "survey", "nps": 3, "contact": " c-1 ", "queue": "  "})
    assert (event["contact"], "queue" in event) == ("c-1", False)
    for shortened in ("1.77244E+12", "1,8E+09", "2E+15"):
        with pytest.raises(Unread, match="spreadsheet"):
            one({"kind": "survey", "nps": 3, "contact": shortened})


@pytest.mark.parametrize("customer", [["+4930123456"], {"tel": "+4930123456"}, 4930123456.0])
def test_a_customer_that_cannot_be_read_is_not_told(customer: object) -> None:
    with pytest.raises(Unread) as refused:
        one({"kind": "resolution", "resolved": True, "customer": customer})
    assert refused.value.field == "customer"
    assert "4930123456" not in str(refused.value)


def test_a_file_of_objects_is_read_as_such() -> None:
    text = '\n{"kind":"survey"}\n\n{"kind":"x"}\n'
    assert rows(text) == [(2, {"kind": "survey"}), (4, {"kind": "x"})]
    assert rows("") == rows("\n \n") == []


def test_a_sites_own_headers_words_and_constants() -> None:
    options = {
        "columns": {"Call ID": "contact", "Zeit": "ts", "Wie war es?": "csat"},
        "fixed": {"kind": "survey", "queue": "support"},
        "csat_words": {"Sehr gut": 5},
        "time_format": "%d.%m.%Y %H:%M",
    }
    translator = SOURCES["feedback-csv"].begin("here", options, "Europe/Berlin")
    row = {"call id ": "c-9", "Zeit": "02.03.2026 10:00", "Wie war es?": "Sehr gut"}
    (event,) = translator.translate(orjson.dumps(row))
    assert event == {
        "type": "survey.answered",
        "site": "here",
        "source": "feedback-csv",
        "ts": 1_772_442_000_000,
        "contact": "c-9",
        "queue": "support",
        "csat": 5,
    }


@pytest.mark.parametrize(
    ("scale", "said", "rating"),
    [
        ("1-5", "4", 4), ("1-5", 4.0, 4), ("1-5", "4,0", 4), ("1-5", "4.5", None), ("1-5", 0, None),
        ("1-10", "8", 4), ("1-10", 10, 5), ("1-10", "7", None), ("1-10", "12", None),
        ("percent", "80", 4), ("percent", 100, 5), ("percent", "85", None), ("percent", 0, None),
        ("stars", "★★★☆☆", 3), ("stars", "5 stars", 5), ("stars", "4/5", 4), ("stars", 2, 2),
        ("stars", "3.5", None), ("stars", "★★★★★★", None), ("stars", True, None),
        ("1-5", "1,000", None), ("1-5", "good", None), ("1-5", True, None), ("1-5", "nan", None),
    ],
)  # fmt: skip
def test_satisfaction_is_told_exactly_or_not_at_all(
    scale: str, said: object, rating: int | None
) -> None:
    row = {"kind": "survey", "csat": said}
    if rating is None:
        with pytest.raises(Unread) as refused:
            one(row, csat_scale=scale)
        assert refused.value.field == "csat"
    else:
        assert one(row, csat_scale=scale)[0]["csat"] == rating


def test_scores_are_scaled_where_the_site_says() -> None:
    assert one({"kind": "sentiment", "score": -4}, sentiment_scale=5.0)[0]["score"] == -0.8
    evaluation = {"kind": "evaluation", "agent": "a", "score": "17"}
    assert one(evaluation, evaluation_scale=20.0)[0]["score"] == 85.0
    assert one(evaluation | {"score": 84.1})[0]["score"] == 84.1
    with pytest.raises(Unread):
        one({"kind": "sentiment", "score": 1.5})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("columns", {"Call": "call_id"}),
        ("fixed", {"kindness": "survey"}),
        ("csat_words", {"great": 6}),
        ("csat_scale", "1-7"),
        ("sentiment_scale", 0.0),
    ],
)
def test_options_that_mean_nothing_are_refused(option: str, value: object) -> None:
    with pytest.raises(ValidationError):
        SOURCES["feedback"].begin("here", {option: value})


@pytest.mark.parametrize("text", ["yes", "TRUE", "1", 1, True, "Resolved"])
def test_yes_is_yes_in_all_its_words(text: object) -> None:
    assert one({"kind": "resolution", "resolved": text})[0]["resolved"] is True


def test_times_of_a_row() -> None:
    for ts in ("1772442000000", 1_772_442_000_000, "2026-03-02T10:00:00", "2026-03-02T09:00:00Z"):
        assert one({"kind": "survey", "nps": 3, "ts": ts})[0]["ts"] == 1_772_442_000_000
    wrong: tuple[Any, ...] = (
        True,
        "yesterday",
        [],
        "9" * 30,
        1e300,
        "1772442000",
        1_772_442_000,
        202603021000,
        "2026-13-01T00:00:00Z",
    )
    for said in wrong:
        with pytest.raises(Unread) as refused:
            one({"kind": "survey", "nps": 3, "ts": said})
        assert refused.value.field == "ts"


def test_calls_of_a_dialler_are_counted_by_the_engine() -> None:
    text = (
        "kind,contact,ts,queue,agent,outcome,answered_at,ended_at,wrapped_at\n"
        "dialler,d-1,1772442000000,campaign,a,answered,1772442001000,1772442061000,1772442066000\n"
        "dialler,d-2,1772442000000,campaign,,abandoned,,1772442003000,\n"
        "dialler,d-3,1772442000000,campaign,,busy,,1772442002000,\n"
    )
    lines = text.encode().splitlines(keepends=True)
    settings = parse_site({"site": "here"}, "test")
    history = read_history(
        lines, FORMATS["feedback-csv"], "here", None, lambda bad: pytest.fail(str(bad)), settings
    )
    (view,) = snapshots(history, settings, [history.last or 0])
    total = view["queues"]["campaign"]["voice"]["windows"]["total"]
    assert (total["offered"], total["answered"], total["wait_ms"]) == (3, 1, 1_000)
    assert (total["handled"], total["talk_ms"], total["wrap_ms"]) == (1, 60_000, 5_000)
    assert (total["abandoned"], total["left_other"]) == (1, 1)
