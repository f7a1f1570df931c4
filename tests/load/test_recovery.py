"""The measurement of recovery works: a small centre, one kill -9, the right board after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.workload import Size
from tests.load.recovery import Centre, judged, measure


@pytest.mark.timeout(480)
async def test_a_small_centre_is_right_after_a_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.load.recovery.LIVE_S", 3.0)
    found = await measure(Centre("60 agents", Size(60, 6, 1_800, 4)), tmp_path)
    assert [what for what, holds in judged(found) if not holds] == []
    assert found["first"]["events"] > 100
    assert found["state"]["records"] > 3
    assert 0 < found["back"]["recovered_s"] <= found["back"]["caught_up_s"]
