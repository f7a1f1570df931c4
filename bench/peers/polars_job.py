"""The job by polars, as one batch over the whole file: a bound, for it tells nothing until the end.

Visits and legs are found by the event before in the same contact and queue, or contact and agent;
windows by summing panes of ten seconds and rolling over thirty of them.
"""

# mypy: disable-error-code="import-not-found"
# polars is not in the environment that is checked.
from __future__ import annotations

import polars as pl

from bench.peers.job import (
    FIGURES,
    PANE_MS,
    PANES,
    SHORT_MS,
    SITE_ROW,
    THRESHOLD_MS,
    TIMES,
    WINDOW_MS,
)
from bench.peers.process import main

_SCHEMA = dict.fromkeys(("type", "contact", "queue", "agent", "state"), pl.String)
_VISIT = [f"contact.{kind}" for kind in ("queued", "answered", "abandoned", "left")]
_LEG = ["contact.answered", "contact.wrapped"]


def _edge(column: str = "ts") -> pl.Expr:
    return pl.col(column) - pl.col(column) % PANE_MS + PANE_MS


def _is(kind: str) -> pl.Expr:
    return pl.col("type") == f"contact.{kind}"


def _counts(events: pl.LazyFrame) -> pl.LazyFrame:
    before = pl.col("type", "ts").shift(1).over("contact", "queue").name.prefix("last_")
    visits = events.filter(pl.col("type").is_in(_VISIT)).with_columns(before)
    waited = (pl.col("last_type") == "contact.queued").fill_null(False)
    wait = pl.col("ts") - pl.col("last_ts")
    flags = {
        "offered": _is("queued") & ~waited,
        "answered": _is("answered") & waited,
        "answered_in": _is("answered") & waited & (wait <= THRESHOLD_MS),
        "abandoned": _is("abandoned") & waited,
        "abandoned_short": _is("abandoned") & waited & (wait <= SHORT_MS),
    }
    ends = pl.col("type", "ts", "queue").shift(1).over("contact", "agent").name.prefix("last_")
    legs = events.filter(pl.col("type").is_in(_LEG)).with_columns(ends)
    legs = legs.filter(_is("wrapped") & (pl.col("last_type") == "contact.answered"))
    figures = {name: flag.cast(pl.Int64) for name, flag in flags.items()}
    return pl.concat(
        [
            visits.select("queue", "ts", **figures, handled=pl.lit(0, pl.Int64), handle_ms=0),
            legs.select(
                pl.col("last_queue").alias("queue"),
                "ts",
                *(pl.lit(0, pl.Int64).alias(name) for name in figures),
                handled=pl.lit(1, pl.Int64),
                handle_ms=wait,
            ),
        ],
        how="vertical_relaxed",
    )


def _queues(events: pl.LazyFrame) -> pl.LazyFrame:
    panes = _counts(events).group_by("queue", _edge().alias("edge")).agg(pl.col(FIGURES).sum())
    # A pane is in thirty windows; where all are laid out, queues need no grid of empty panes.
    edges = pl.int_ranges(pl.col("edge"), pl.col("edge") + WINDOW_MS, PANE_MS)
    rows = panes.with_columns(edge=edges).explode("edge").group_by("edge", "queue")
    return rows.agg(pl.col(FIGURES).sum()).select("edge", "queue", *FIGURES)


def _site(events: pl.LazyFrame) -> pl.LazyFrame:
    kinds = [*_LEG, "agent.state"]
    platform = pl.when(pl.col("type") == "agent.state").then(pl.col("state"))
    step = pl.when(_is("answered")).then(1).when(_is("wrapped")).then(-1).otherwise(0)
    of_agents = (
        events.filter(pl.col("type").is_in(kinds))
        .with_columns(step=step, platform=platform)
        .with_columns(
            on_legs=pl.col("step").cum_sum().over("agent"),
            platform=pl.col("platform").forward_fill().over("agent"),
        )
    )
    busy = (pl.col("on_legs") > 0) | pl.col("platform").is_in(["busy", "wrap"]).fill_null(False)
    idle = ~busy & (pl.col("platform") == "available").fill_null(False)
    states = of_agents.select("agent", "ts", busy=busy.cast(pl.Int64), idle=idle.cast(pl.Int64))
    changes = states.with_columns(
        pl.col(name) - pl.col(name).shift(1, fill_value=0).over("agent")
        for name in ("busy", "idle")
    )
    # Up to t the time is the sum of step * (t - moment); a window is the difference of two edges.
    panes = changes.group_by(_edge().alias("edge")).agg(
        *(pl.col(name).sum() for name in ("busy", "idle")),
        *((pl.col(name) * pl.col("ts")).sum().alias(f"{name}_at") for name in ("busy", "idle")),
    )
    edges = events.select(edge=_edge()).unique()
    panes = edges.join(panes, on="edge", how="left").sort("edge").fill_null(0)
    sums = pl.col("busy", "idle", "busy_at", "idle_at").cum_sum()
    upto = panes.with_columns(sums).select(
        "edge",
        busy_ms=pl.col("busy") * pl.col("edge") - pl.col("busy_at"),
        idle_ms=pl.col("idle") * pl.col("edge") - pl.col("idle_at"),
    )
    windows = [pl.col(name) - pl.col(name).shift(PANES, fill_value=0) for name in TIMES]
    return upto.select("edge", pl.lit(SITE_ROW).alias("queue"), *windows)


def run(events: str, results: str) -> int:
    """Read a day, write the results; how many events it had."""
    schema = pl.Schema({**_SCHEMA, "ts": pl.Int64})
    day = pl.scan_ndjson(events, schema=schema).collect()
    with open(results, "wb") as out:
        for rows in pl.collect_all([_queues(day.lazy()), _site(day.lazy())]):
            rows.write_csv(out, include_header=False)
    return int(day.height)


if __name__ == "__main__":
    main(run)
