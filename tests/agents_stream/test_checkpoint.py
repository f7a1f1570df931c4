"""The cut: what recovery takes from records, markers and generations."""

from __future__ import annotations

import pytest

from agents_stream.checkpoint import (
    MARKER_PART,
    CheckpointError,
    Generation,
    Ledger,
    Marker,
    Recovered,
    StateKey,
    StateRecord,
    TornCut,
    recover,
    version_of,
)

State = dict[StateKey, bytes]


def _checkpoint(
    ledger: Ledger, state: State, offset: int, parts: dict[str, bytes | None]
) -> list[StateKey]:
    for part, value in parts.items():
        record = ledger.write("s", part, value, version_of(1, offset))
        if record is not None:
            state[record[0]] = record[1]
    key, marker = ledger.marker(1, offset)
    state[key] = marker
    return ledger.settled()


def _recovered(state: State, member: int = 9) -> Recovered:
    return recover(state.items(), member)


def test_an_empty_log_has_no_state_and_begins_the_first_generation() -> None:
    found = recover([], 3)
    assert (found.marker, found.sites, found.next) == (None, {}, Generation(1, 3))


def test_a_record_of_a_checkpoint_that_did_not_finish_counts_as_it_was_before() -> None:
    ledger, state = Ledger(0, recover([], 1)), State()
    _checkpoint(ledger, state, 10, {"a": b"a10", "b": b"b10"})
    record = ledger.write("s", "a", b"a20", version_of(1, 20))
    assert record is not None
    state[record[0]] = record[1]

    found = _recovered(state)

    assert found.sites == {"s": {"a": b"a10", "b": b"b10"}}
    assert found.marker is not None
    assert found.marker.offset == 10


def test_a_part_that_goes_away_stays_until_the_marker_and_its_key_until_the_next_one() -> None:
    ledger, state = Ledger(0, recover([], 1)), State()
    _checkpoint(ledger, state, 10, {"a": b"a", "b": b"b"})
    record = ledger.write("s", "a", None, version_of(1, 20))
    assert record is not None
    state[record[0]] = record[1]
    assert _recovered(state).sites == {"s": {"a": b"a", "b": b"b"}}

    assert _checkpoint(ledger, state, 20, {}) == []
    assert _recovered(state).sites == {"s": {"b": b"b"}}
    assert _checkpoint(ledger, state, 30, {}) == [record[0]]


def test_a_part_that_comes_back_is_not_deleted() -> None:
    ledger, state = Ledger(0, recover([], 1)), State()
    _checkpoint(ledger, state, 10, {"a": b"a10"})
    _checkpoint(ledger, state, 20, {"a": None})
    assert _checkpoint(ledger, state, 30, {"a": b"a30"}) == []
    assert _recovered(state).sites == {"s": {"a": b"a30"}}


def test_a_part_that_never_was_needs_no_record() -> None:
    ledger = Ledger(0, recover([], 1))
    assert ledger.write("s", "a", None, version_of(1, 5)) is None


def test_the_next_owner_writes_under_a_higher_generation_and_deletes_the_old_keys_later() -> None:
    state = State()
    _checkpoint(Ledger(0, recover([], 1)), state, 10, {"a": b"a", "b": b"b"})
    old = set(state)
    second = Ledger(0, _recovered(state, member=2))

    assert _checkpoint(second, state, 20, {"a": b"A", "b": b"B"}) == []
    assert set(_checkpoint(second, state, 30, {"a": b"AA"})) == old

    for key in old:
        del state[key]
    assert _recovered(state).sites == {"s": {"a": b"AA", "b": b"B"}}


def test_deleting_keys_of_an_older_generation_leaves_the_account_of_this_one_alone() -> None:
    state = State()
    _checkpoint(Ledger(0, recover([], 1)), state, 10, {"a": b"a"})
    second = Ledger(0, _recovered(state, member=2))
    _checkpoint(second, state, 20, {"a": b"A", "b": b"B"})
    for key in _checkpoint(second, state, 30, {"a": b"A3"}):
        del state[key]
    _checkpoint(second, state, 40, {"a": b"A4", "b": b"B4"})
    assert _recovered(state).torn == []


def test_a_paused_owner_that_goes_on_cannot_damage_its_successor() -> None:
    state = State()
    paused = Ledger(0, recover([], 1))
    _checkpoint(paused, state, 10, {"a": b"a"})
    successor = Ledger(0, _recovered(state, member=2))
    _checkpoint(successor, state, 30, {"a": b"new"})
    for key in _checkpoint(successor, state, 40, {"a": b"newer"}):
        del state[key]

    _checkpoint(paused, state, 50, {"b": b"stale"})

    found = _recovered(state)
    assert found.sites == {"s": {"a": b"newer"}}
    assert found.next == Generation(3, 9)


def test_two_owners_that_recovered_the_same_log_do_not_share_a_generation() -> None:
    state = State()
    _checkpoint(Ledger(0, recover([], 1)), state, 10, {"a": b"a"})
    paused = Ledger(0, _recovered(state, member=2))
    successor = Ledger(0, _recovered(state, member=3))

    _checkpoint(successor, state, 30, {"a": b"new"})
    _checkpoint(paused, state, 20, {"a": b"stale"})

    assert _recovered(state).sites == {"s": {"a": b"new"}}


def test_a_generation_without_marker_is_ignored_but_never_used_again() -> None:
    state = State()
    _checkpoint(Ledger(0, recover([], 1)), state, 10, {"a": b"a"})
    half = Ledger(0, _recovered(state, member=2))
    record = half.write("s", "a", b"half", version_of(1, 20))
    assert record is not None
    state[record[0]] = record[1]

    found = _recovered(state, member=3)

    assert found.sites == {"s": {"a": b"a"}}
    assert found.next == Generation(3, 3)
    assert record[0] in found.keys


@pytest.mark.parametrize("damage", ["lost", "changed", "newer"])
def test_a_state_that_is_not_what_the_marker_vouches_for_is_not_taken(damage: str) -> None:
    ledger, state = Ledger(0, recover([], 1)), State()
    _checkpoint(ledger, state, 10, {"a": b"a", "b": b"b"})
    key = StateKey(0, ledger.generation, "s", "a")
    if damage == "lost":
        del state[key]
    elif damage == "changed":
        state[key] = StateRecord(version_of(1, 10), b"x").encode()
    else:
        late = StateRecord(version_of(1, 30), b"c", version_of(1, 20), b"b")
        state[key] = late.encode()

    found = _recovered(state)

    assert found.marker is None
    assert found.sites == {}
    assert len(found.torn) == 1


def test_an_older_generation_serves_where_the_newest_is_torn() -> None:
    state = State()
    _checkpoint(Ledger(0, recover([], 1)), state, 10, {"a": b"a"})
    second = Ledger(0, _recovered(state, member=2))
    _checkpoint(second, state, 20, {"a": b"A"})
    del state[StateKey(0, second.generation, "s", "a")]

    found = _recovered(state)

    assert found.sites == {"s": {"a": b"a"}}
    assert found.torn == ["2.2: 0 parts of 1, digest 00000000"]


@pytest.mark.parametrize("before", [None, b"", b"before"])
@pytest.mark.parametrize("after", [None, b"", b"after"])
def test_a_record_is_read_as_it_was_written(before: bytes | None, after: bytes | None) -> None:
    record = StateRecord(version_of(7, 2**39), after, version_of(6, 5), before)
    assert StateRecord.decode(record.encode()) == record


@pytest.mark.parametrize("value", [b"", b"\x02" * 40, StateRecord(1, b"abc").encode()[:-1]])
def test_bytes_that_are_no_record_are_refused(value: bytes) -> None:
    with pytest.raises(CheckpointError):
        StateRecord.decode(value)


@pytest.mark.parametrize("value", [b"", b"[]", b'{"v":2}', b'{"v":1,"epoch":1}'])
def test_bytes_that_are_no_marker_are_refused(value: bytes) -> None:
    with pytest.raises(CheckpointError):
        Marker.decode(value)


def test_generations_are_ordered_as_numbers_not_as_text() -> None:
    assert Generation.parse("10.2") > Generation.parse("9.30")
    with pytest.raises(CheckpointError):
        Generation.parse("ten")


def test_a_version_of_a_later_epoch_is_greater_than_any_of_an_earlier_one() -> None:
    assert version_of(2, 0) > version_of(1, 2**40 - 1)


def test_neither_value_as_old_as_the_cut_is_torn() -> None:
    with pytest.raises(TornCut):
        StateRecord(30, b"c", 20, b"b").at(10)


def test_the_marker_stands_beside_no_site() -> None:
    key, _ = Ledger(4, recover([], 1)).marker(1, 0)
    assert (key.partition, key.site, key.part) == (4, "", MARKER_PART)
