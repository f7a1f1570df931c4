"""Who does the job, how it is started, on which size of day, and which part of the job it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.peers.environments import FLINK, flink_command, python_of

SIZES = {"quarter": 15, "hour": 60, "shift": 480, "day": 1440}
"""Minutes of the simulated centre's day by the name of a size."""
STREAMING, BATCH = "streaming", "batch"


@dataclass(frozen=True, slots=True)
class Contender:
    """One program that does the job.

    `command` gives its words but for the files of the day and of the results; it may set up an
    environment, and raises `Unavailable`. With `site` False only the queues' figures are made. A
    `wide` one has all cores, the others one. With `kafka` it reads the day from a broker, whose
    address is the third word.
    """

    name: str
    mode: str
    sizes: tuple[str, ...]
    command: Callable[[], list[str]]
    options: tuple[str, ...] = ()
    site: bool = True
    wide: bool = False
    kafka: bool = False
    environ: tuple[tuple[str, str], ...] = ()


def _module(name: str, environment: str = "callboard") -> Callable[[], list[str]]:
    return lambda: [python_of(environment), "-m", f"bench.peers.{name}"]


def _flink(*parts: str) -> Callable[[], list[str]]:
    return lambda: [*flink_command(), ",".join(str(FLINK / f"{part}.sql") for part in parts)]


_ALL = tuple(SIZES)
_LONG = ("shift", "day")
_PLAIN = (("CALLBOARD_ENGINE", "python"),)
CALLBOARD = "callboard"
REFERENCE = "loop by hand"
CONTENDERS = (
    Contender(REFERENCE, STREAMING, _ALL, _module("reference")),
    Contender(CALLBOARD, STREAMING, _ALL, _module("callboard")),
    Contender("callboard, with rows", STREAMING, _LONG, _module("callboard"), ("--rows",)),
    Contender(
        "callboard, plain Python", STREAMING, ("shift",), _module("callboard"), environ=_PLAIN
    ),
    Contender("Bytewax, panes by hand", STREAMING, _LONG, _module("bytewax_job", "bytewax")),
    Contender(
        "Bytewax, sliding", STREAMING, ("shift",), _module("bytewax_job", "bytewax"), ("--sliding",)
    ),
    Contender("Flink SQL", STREAMING, ("day",), _flink("queues", "site"), wide=True),
    Contender(
        "Pathway, panes", STREAMING, ("shift",), _module("pathway_job", "pathway"), site=False,
        wide=True,
    ),
    Contender(
        "Pathway, sliding", STREAMING, ("hour",), _module("pathway_job", "pathway"), ("--sliding",),
        site=False, wide=True,
    ),
    Contender(
        "Quix Streams, tumbling", STREAMING, ("shift",), _module("quix_job", "quix"), site=False,
        kafka=True,
    ),
    Contender(
        "Quix Streams, hopping", STREAMING, ("hour",), _module("quix_job", "quix"), ("--hopping",),
        site=False, kafka=True,
    ),
    Contender(
        "Faust, tumbling", STREAMING, ("hour",), _module("faust_job"), site=False, kafka=True
    ),
    Contender(
        "Faust, hopping", STREAMING, ("quarter",), _module("faust_job"), ("--hopping",), site=False,
        kafka=True,
    ),
    Contender("polars", BATCH, ("day",), _module("polars_job", "polars"), wide=True),
    Contender("ClickHouse (chDB)", BATCH, ("day",), _module("clickhouse_job"), wide=True),
)  # fmt: skip


def contenders_of(size: str, names: str = "") -> list[Contender]:
    """Those that are measured on a size of day; `names` is a part of their names, in any case."""
    wanted = [c for c in CONTENDERS if size in c.sizes]
    always = (REFERENCE, CALLBOARD)
    return [c for c in wanted if names.lower() in c.name.lower() or c.name in always]


def words_of(contender: Contender, day: Path, results: Path, *more: str) -> list[str]:
    """The whole command. Raises `Unavailable`."""
    return [*contender.command(), str(day), str(results), *more, *contender.options]
