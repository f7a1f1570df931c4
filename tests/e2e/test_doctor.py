"""The doctor and the levels of logs, on a whole stack as a user runs it."""

from __future__ import annotations

import signal

import orjson
import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.figures import Json
from tests.e2e.running import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def stack(stacks: Stacks) -> RunningStack:
    return stacks.running("--empty")


def until_logged(stack: RunningStack, role: str, words: str) -> None:
    """Wait until a role has said something."""
    log = stack.folder / "logs" / f"{role}.log"
    stack.until(lambda: words in log.read_text(), 30, f"{role} says {words}")


def doctor(stack: RunningStack, *words: str) -> tuple[int, Json]:
    """The exit status of `callboard doctor --json` in the folder of the stack, and what it says."""
    done = stack.run("doctor", "--json", *words, timeout_s=240)
    return done.returncode, orjson.loads(done.stdout)


def test_all_is_well_with_a_stack_that_runs_until_a_role_hangs(stack: RunningStack) -> None:
    stack.until(lambda: doctor(stack)[0] == 0, 120, "the doctor finds nothing amiss")
    _, said = doctor(stack)
    assert said["well"] is True
    found = {(one["group"], one["name"]): one for one in said["checks"]}
    for role in ("door", "ingest", "worker", "sink", "board"):
        assert found["roles", role]["state"] == "ok", found
    for name in ("schema", "writer", "analyst"):
        assert found["store", name]["state"] == "ok"
    for group in ("broker", "topics", "epoch", "progress", "clocks"):
        assert {one["state"] for (g, _), one in found.items() if g == group} == {"ok"}, group

    stack.signal("sink", signal.SIGSTOP)
    try:
        status, said = doctor(stack, "--only", "roles")
    finally:
        stack.signal("sink", signal.SIGCONT)
    assert (status, said["well"]) == (1, False)
    [sink] = [one for one in said["checks"] if one["name"] == "sink"]
    assert sink["state"] == "failed"
    assert "no answer within" in sink["told"]


def test_levels_of_every_role_change_while_it_runs_and_go_back(stack: RunningStack) -> None:
    for role in ("door", "ingest", "agents", "sink", "board", "store"):
        said = stack.command("log-level", role, "aiokafka", "INFO", "--for", "2s")
        assert said.startswith("aiokafka: INFO, back in ")
        until_logged(stack, role, "logger aiokafka: level WARNING again")


def test_a_signal_turns_debugging_on_and_off(stack: RunningStack) -> None:
    stack.signal("board", signal.SIGUSR1)
    until_logged(stack, "board", "logger root: level DEBUG for 600 s")
    stack.signal("board", signal.SIGUSR1)
    until_logged(stack, "board", "logger root: level INFO again")
