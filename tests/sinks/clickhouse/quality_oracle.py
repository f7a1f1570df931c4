"""Quality KPIs once more, from docs/quality.md and plain lists; shares nothing with the views."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

Row = dict[str, Any]
Place = tuple[str, ...]
Cells = dict[Place, dict[str, float]]

QUESTIONS = ("csat", "nps", "ces")


def answers(tables: dict[str, list[Row]], start: int, end: int, until: int) -> list[Row]:
    """The answers that count in [start, end) as known at `until`."""
    last: dict[tuple[str, ...], Row] = {}
    for fact in tables.get("feedback", []):
        if fact["at"] > until:
            continue
        for question, value, about in said(fact):
            who = (fact["contact"], question, *about)
            rank = (question == "resolved" and fact["type"] == "survey.answered",)
            row: Row = {"rank": (*rank, fact["at"], fact["key"]), "question": question}
            row |= {"value": float(value), "fact": fact}
            if who not in last or row["rank"] > last[who]["rank"]:
                last[who] = row
    found = [row for row in last.values() if start <= row["fact"]["at"] < end]
    for row in found:
        row |= whereabouts(tables, row["fact"], until)
    return found


def said(fact: Row) -> list[tuple[str, Any, tuple[str, ...]]]:
    """What a fact answers: question, value, and what besides the contact it is about."""
    found: list[tuple[str, Any, tuple[str, ...]]] = []
    for question in QUESTIONS:
        if fact[question] is not None:
            found.append((question, fact[question], (fact["queue"] or "",)))
    if fact["resolved"] is not None:
        found.append(("resolved", fact["resolved"], ()))
    if fact["type"] == "contact.sentiment":
        if fact["score"] is not None:
            found.append(("sentiment", fact["score"], ()))
        if fact["escalation_risk"] is not None:
            found.append(("escalation_risk", fact["escalation_risk"], ()))
    if fact["type"] == "contact.evaluated":
        found.append(("evaluation", fact["score"], (fact["agent"] or "", fact["form"] or "")))
    return found


def whereabouts(tables: dict[str, list[Row]], fact: Row, until: int) -> Row:
    """Queue, channel, team and agent of the contact of a fact."""
    legs = [x for x in tables["legs"] if x["contact"] == fact["contact"]]
    legs = sorted((x for x in legs if x["answered_at"] <= until), key=order)
    visits = [x for x in tables["visits"] if x["contact"] == fact["contact"]]
    visits = sorted((x for x in visits if x["queued_at"] <= until), key=lambda v: v["queued_at"])
    judged = fact["agent"] if fact["type"] == "contact.evaluated" else None
    queue = fact["queue"]
    named = [x for x in legs if x["queue"] == queue] if queue else []
    leg = None
    if judged:
        own = [x for x in legs if x["agent"] == judged]
        leg = own[-1] if own else None
    elif named:
        leg = named[-1]
    elif legs:
        leg = legs[-1]
    with_queue = [x for x in legs if x["queue"]]
    if named:
        place: Row | None = named[-1]
    elif queue and any(v["queue"] == queue for v in visits):
        place = [v for v in visits if v["queue"] == queue][-1]
    elif leg and leg["queue"]:
        place = leg
    elif with_queue:
        place = with_queue[-1]
    else:
        place = visits[-1] if visits else None
    return {
        "queue": place["queue"] if place else "",
        "channel": place["channel"] if place else "",
        "team": leg["team"] if leg else "",
        "agent": judged or (leg["agent"] if leg else ""),
        "matched": bool(legs or visits),
    }


def order(leg: Row) -> tuple[Any, ...]:
    return leg["answered_at"], leg["queue"], leg["channel"], leg["agent"], leg["team"]


def repeats(
    tables: dict[str, list[Row]], start: int, end: int, until: int, window_ms: int
) -> list[Row]:
    """Handled contacts of known customers that ended in [start, end), each with its outcome."""
    contacts = [story for story in stories(tables, until).values() if story["inbound"]]
    contacts = [story for story in contacts if story["customer"]]
    found = []
    for one in contacts:
        if not one["handled"] or not one["over"] or not start <= one["ended"] < end:
            continue
        limit = one["ended"] + window_ms
        back = any(
            other is not one
            and other["customer"] == one["customer"]
            and one["ended"] < other["began"] <= limit
            for other in contacts
        )
        outcome = "repeated" if back else "resolved" if until > limit else "provisional"
        found.append(one | {"outcome": outcome, "final": until > limit})
    return found


def stories(tables: dict[str, list[Row]], until: int) -> dict[str, Row]:
    """What is known of each contact at `until`."""
    visits: dict[str, list[Row]] = defaultdict(list)
    legs: dict[str, list[Row]] = defaultdict(list)
    for visit in tables["visits"]:
        if visit["queued_at"] <= until:
            visits[visit["contact"]].append(visit)
    for leg in tables["legs"]:
        if leg["answered_at"] <= until:
            legs[leg["contact"]].append(leg)
    return {c: story(visits[c], sorted(legs[c], key=order), until) for c in {*visits, *legs}}


def story(visits: list[Row], legs: list[Row], until: int) -> Row:
    visits = sorted(visits, key=lambda v: v["queued_at"])
    ends = [x["outcome_at"] for x in visits] + [x["wrapped_at"] for x in legs]
    over = all(end is not None and end <= until for end in ends)
    done = [x for x in legs if x["handled"] and x["wrapped_at"] <= until]
    with_queue = [x for x in legs if x["queue"]]
    return {
        "customer": next((v["customer"] for v in visits if v["customer"]), ""),
        "inbound": any(v["direction"] == "inbound" for v in visits),
        "began": visits[0]["queued_at"] if visits else None,
        "over": over,
        "ended": max(ends) if over else None,
        "handled": bool(done),
        "queue": with_queue[-1]["queue"] if with_queue else "",
        "channel": with_queue[-1]["channel"] if with_queue else "",
        "team": legs[-1]["team"] if legs else "",
        "agent": legs[-1]["agent"] if legs else "",
    }


def cells(tables: dict[str, list[Row]], start: int, end: int, until: int, window_ms: int) -> Cells:
    """The counts by place: (scope, names…)."""
    found: Cells = defaultdict(lambda: defaultdict(float))
    for row in answers(tables, start, end, until):
        for place in places(row):
            count(found[place], row["question"], row["value"])
            found[place]["unmatched"] += not row["matched"]
    for row in repeats(tables, start, end, until, window_ms):
        for place in places(row):
            cell = found[place]
            cell["repeat_n"] += 1
            cell[f"repeat_{row['outcome']}"] += 1
            cell["repeat_repeated_final"] += row["outcome"] == "repeated" and row["final"]
    return {place: {k: v for k, v in cell.items() if v} for place, cell in found.items()}


def places(row: Row) -> list[Place]:
    return [
        ("all",),
        ("queue", row["queue"], row["channel"]),
        ("channel", row["channel"]),
        ("team", row["team"]),
        ("agent", row["agent"]),
    ]


def count(cell: dict[str, float], question: str, value: float) -> None:
    prefix = {"resolved": "declared", "escalation_risk": "risk", "evaluation": "qa"}
    cell[f"{prefix.get(question, question)}_n"] += 1
    if question in ("csat", "ces", "sentiment", "evaluation"):
        cell[f"{prefix.get(question, question)}_sum"] += value
    cell["csat_top"] += question == "csat" and value in (4, 5)
    cell["ces_easy"] += question == "ces" and value in (5, 6, 7)
    cell["nps_promoters"] += question == "nps" and value in (9, 10)
    cell["nps_detractors"] += question == "nps" and value in range(7)
    cell["declared_resolved"] += question == "resolved" and value == 1
    cell["escalations"] += question == "escalation_risk" and value >= 0.5
