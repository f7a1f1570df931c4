"""What a backfill reads of a door's journal."""

from __future__ import annotations

from pathlib import Path

from pipeline.backfill.history import journal_records
from pipeline.ingest.journal import Journal
from pipeline.ingest.raw import ALERT_FORMAT, RawRecord


def test_alerts_in_the_journal_are_no_history_of_contacts(tmp_path: Path) -> None:
    event = RawRecord("north", b'{"type":"clock"}', 5)
    alert = RawRecord("north", b'{"alerts":[]}', 6, format=ALERT_FORMAT)
    journal = Journal(tmp_path)
    journal.append([event, alert, event])
    journal.close()
    found = list(journal_records(tmp_path))
    assert [(one.offset, one.value) for one in found] == [(1, event.payload), (3, event.payload)]
