"""Every metric callboard exports from a worker, with its help text, its type and its labels.

Names are the product's interface to dashboards and alert rules: they are written out here, never
made up from parts. Units are base units: seconds, and ratios from 0 to 1. Each ratio stands beside
its numerator and denominator, because ratios of queues cannot be averaged, but can be computed from
sums of both. A ratio without data is absent.

`queue_` metrics carry site, queue and channel, `team_` ones site and team, `site_` ones the whole
site. The window is a label, so a query must choose one. No metric carries an agent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["gauge", "counter", "info"]
Labels = tuple[str, ...]
Told = tuple[str, str]
"""Name and help."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. A counter is named without `_total` and an info without `_info`: the exposition
    adds them."""

    name: str
    help: str
    labels: Labels = ()
    kind: Kind = "gauge"


@dataclass(frozen=True, slots=True)
class Quotient:
    """A KPI as three metrics: the quotient, absent without data, and what it is made of."""

    value: Metric
    numerator: Metric
    denominator: Metric


def _gauges(labels: Labels, rows: Mapping[str, Told]) -> dict[str, Metric]:
    return {key: Metric(name, text, labels) for key, (name, text) in rows.items()}


def _quotient(labels: Labels, value: Told, numerator: Told, denominator: Told) -> Quotient:
    return Quotient(
        Metric(*value, labels), Metric(*numerator, labels), Metric(*denominator, labels)
    )


def _counter(name: str, text: str, labels: Labels = ()) -> Metric:
    return Metric(name, text, labels, "counter")


_SITE = ("site",)
_SITE_WINDOW = ("site", "window")
_SITE_FORMULA = ("site", "window", "formula")
_QUEUE = ("site", "queue", "channel")
_QUEUE_WINDOW = (*_QUEUE, "window")
_QUEUE_FORMULA = (*_QUEUE, "window", "formula")
_TEAM = ("site", "team")
_TEAM_WINDOW = ("site", "team", "window")

QUEUE_COUNTERS = _gauges(
    _QUEUE_WINDOW,
    {
        "offered": ("callboard_queue_offered", "Contacts that began to wait."),
        "answered": ("callboard_queue_answered", "Contacts answered."),
        "answered_in": (
            "callboard_queue_answered_in_threshold",
            "Contacts answered within the threshold.",
        ),
        "wait_ms": (
            "callboard_queue_answered_wait_seconds",
            "Sum of the waits of answered contacts.",
        ),
        "abandoned": (
            "callboard_queue_abandoned",
            "Contacts abandoned by the customer, short ones included.",
        ),
        "abandoned_in": (
            "callboard_queue_abandoned_in_threshold",
            "Contacts abandoned within the threshold.",
        ),
        "abandoned_short": (
            "callboard_queue_abandoned_short",
            "Contacts abandoned within the short-abandon limit.",
        ),
        "abandoned_wait_ms": (
            "callboard_queue_abandoned_wait_seconds",
            "Sum of the waits of abandoned contacts.",
        ),
        "left_callback": (
            "callboard_queue_left_callback",
            "Contacts that left the queue for a callback.",
        ),
        "left_overflow": (
            "callboard_queue_left_overflow",
            "Contacts that left by overflow, timeout or transfer.",
        ),
        "left_other": (
            "callboard_queue_left_other",
            "Contacts that left the queue in any other way.",
        ),
        "sl_met": (
            "callboard_queue_service_level_met",
            "Service-level events met: answered within the threshold.",
        ),
        "sl_missed": (
            "callboard_queue_service_level_missed",
            "Service-level events missed: threshold passed in waiting.",
        ),
        "sl_abandoned": (
            "callboard_queue_service_level_abandoned",
            "Service-level events by abandons within the threshold.",
        ),
        "declined": ("callboard_queue_declined", "Rings that ended without an answer."),
        "transferred": ("callboard_queue_transferred", "Legs released by a transfer."),
        "handled": ("callboard_queue_handled", "Legs handled: wrap-up has ended."),
        "talk_ms": ("callboard_queue_talk_seconds", "Talk time of handled legs."),
        "hold_ms": ("callboard_queue_hold_seconds", "Hold time of handled legs."),
        "wrap_ms": ("callboard_queue_wrap_seconds", "Wrap-up time of handled legs."),
    },
)
"""The twenty counters of a queue and channel in a window, by their names in the contract."""

TEAM_TIMES = _gauges(
    _TEAM_WINDOW,
    {
        "talk_ms": ("callboard_team_talk_seconds", "Agent time talking in the window."),
        "hold_ms": (
            "callboard_team_hold_seconds",
            "Agent time with all talks on hold in the window.",
        ),
        "wrap_ms": ("callboard_team_wrap_seconds", "Agent time in wrap-up in the window."),
        "busy_state_ms": (
            "callboard_team_busy_state_seconds",
            "Agent time busy by the platform's word in the window.",
        ),
        "ringing_ms": (
            "callboard_team_ringing_seconds",
            "Agent time while a ring was on in the window.",
        ),
        "available_ms": ("callboard_team_available_seconds", "Agent time available in the window."),
        "not_ready_ms": ("callboard_team_not_ready_seconds", "Agent time not ready in the window."),
    },
)
"""State times of a team's agents in a window, by their names in the contract."""

QUEUE_SERVICE_LEVEL = _quotient(
    _QUEUE_FORMULA,
    (
        "callboard_queue_service_level_ratio",
        "Service level by the queue's formula, named by the label.",
    ),
    ("callboard_queue_service_level_numerator", "Numerator of the service level."),
    ("callboard_queue_service_level_denominator", "Denominator of the service level."),
)
QUEUE_ABANDONMENT = _quotient(
    _QUEUE_WINDOW,
    ("callboard_queue_abandonment_ratio", "Abandoned over answered and abandoned."),
    ("callboard_queue_abandonment_numerator", "Contacts abandoned."),
    ("callboard_queue_abandonment_denominator", "Contacts answered and abandoned."),
)
QUEUE_SPEED_OF_ANSWER = _quotient(
    _QUEUE_WINDOW,
    ("callboard_queue_speed_of_answer_seconds", "Average wait of answered contacts."),
    ("callboard_queue_speed_of_answer_numerator_seconds", "Waits of answered contacts."),
    ("callboard_queue_speed_of_answer_denominator", "Contacts answered."),
)
QUEUE_HANDLE_TIME = _quotient(
    _QUEUE_WINDOW,
    ("callboard_queue_handle_time_seconds", "Average talk, hold and wrap-up time of handled legs."),
    (
        "callboard_queue_handle_time_numerator_seconds",
        "Talk, hold and wrap-up time of handled legs.",
    ),
    ("callboard_queue_handle_time_denominator", "Legs handled."),
)
SITE_SERVICE_LEVEL = _quotient(
    _SITE_FORMULA,
    (
        "callboard_site_service_level_ratio",
        "Service level of all queues by the site's default formula.",
    ),
    ("callboard_site_service_level_numerator", "Numerator of the site's service level."),
    ("callboard_site_service_level_denominator", "Denominator of the site's service level."),
)
SITE_ABANDONMENT = _quotient(
    _SITE_WINDOW,
    ("callboard_site_abandonment_ratio", "Abandoned over answered and abandoned, all queues."),
    ("callboard_site_abandonment_numerator", "Contacts abandoned, all queues."),
    ("callboard_site_abandonment_denominator", "Contacts answered and abandoned, all queues."),
)
SITE_SPEED_OF_ANSWER = _quotient(
    _SITE_WINDOW,
    ("callboard_site_speed_of_answer_seconds", "Average wait of answered contacts, all queues."),
    ("callboard_site_speed_of_answer_numerator_seconds", "Waits of answered contacts, all queues."),
    ("callboard_site_speed_of_answer_denominator", "Contacts answered, all queues."),
)
SITE_HANDLE_TIME = _quotient(
    _SITE_WINDOW,
    (
        "callboard_site_handle_time_seconds",
        "Average talk, hold and wrap-up time of handled legs, all queues.",
    ),
    (
        "callboard_site_handle_time_numerator_seconds",
        "Talk, hold and wrap-up time of handled legs, all queues.",
    ),
    ("callboard_site_handle_time_denominator", "Legs handled, all queues."),
)
TEAM_OCCUPANCY = _quotient(
    _TEAM_WINDOW,
    ("callboard_team_occupancy_ratio", "Busy time over busy and available time of a team."),
    ("callboard_team_occupancy_numerator_seconds", "Busy time of a team."),
    ("callboard_team_occupancy_denominator_seconds", "Busy and available time of a team."),
)
SITE_OCCUPANCY = _quotient(
    _SITE_WINDOW,
    ("callboard_site_occupancy_ratio", "Busy time over busy and available time of all agents."),
    ("callboard_site_occupancy_numerator_seconds", "Busy time of all agents."),
    ("callboard_site_occupancy_denominator_seconds", "Busy and available time of all agents."),
)
QUEUE_WAITING = Metric("callboard_queue_waiting", "Contacts that wait now.", _QUEUE)
QUEUE_WAITING_PAST_THRESHOLD = Metric(
    "callboard_queue_waiting_past_threshold",
    "Contacts that wait now and have waited longer than the threshold.",
    _QUEUE,
)
QUEUE_LONGEST_WAIT = Metric(
    "callboard_queue_longest_wait_seconds",
    "How long the contact that waits longest has waited; absent while nobody waits.",
    _QUEUE,
)
QUEUE_IN_SERVICE = Metric("callboard_queue_in_service", "Legs in talk or on hold now.", _QUEUE)
SITE_WAITING = Metric("callboard_site_waiting", "Contacts that wait now, all queues.", _SITE)
SITE_WAITING_PAST_THRESHOLD = Metric(
    "callboard_site_waiting_past_threshold",
    "Contacts that wait now and have waited longer than their queue's threshold.",
    _SITE,
)
SITE_LONGEST_WAIT = Metric(
    "callboard_site_longest_wait_seconds",
    "How long the contact that waits longest has waited; absent while nobody waits.",
    _SITE,
)
SITE_IN_SERVICE = Metric(
    "callboard_site_in_service", "Legs in talk or on hold now, all queues.", _SITE
)
TEAM_AGENTS = Metric(
    "callboard_team_agents", "Agents of a team by what they do now.", (*_TEAM, "state")
)
SITE_AGENTS = Metric("callboard_site_agents", "All agents by what they do now.", (*_SITE, "state"))
QUEUE_INFO = Metric(
    "callboard_queue",
    "Name of a queue for people, and its service-level formula.",
    (*_QUEUE, "name", "formula"),
    "info",
)
QUEUE_THRESHOLD = Metric(
    "callboard_queue_threshold_seconds", "Threshold of the service level.", _QUEUE
)
QUEUE_MIN_VOLUME = Metric(
    "callboard_queue_min_volume",
    "Contacts a window must hold before its ratios alert or are coloured.",
    _QUEUE,
)
QUEUE_TARGETS = _gauges(
    _QUEUE,
    {
        "service_level": (
            "callboard_queue_service_level_target_ratio",
            "Service level the queue aims at; absent without an aim.",
        ),
        "abandonment": (
            "callboard_queue_abandonment_target_ratio",
            "Abandonment the queue wants to stay below; absent without an aim.",
        ),
        "longest_wait_ms": (
            "callboard_queue_longest_wait_target_seconds",
            "Longest wait the queue wants to stay below; absent without an aim.",
        ),
        "asa_ms": (
            "callboard_queue_speed_of_answer_target_seconds",
            "Average speed of answer the queue aims at; absent without an aim.",
        ),
        "aht_ms": (
            "callboard_queue_handle_time_target_seconds",
            "Average handle time the queue aims at; absent without an aim.",
        ),
    },
)
"""Targets of a queue, by their names in the settings."""

SITE_THRESHOLD = Metric(
    "callboard_site_threshold_seconds", "Default threshold of the service level.", _SITE
)
SITE_MIN_VOLUME = Metric(
    "callboard_site_min_volume",
    "Default of the contacts a window must hold before its ratios alert or are coloured.",
    _SITE,
)
SITE_OPEN = Metric(
    "callboard_site_open",
    "1 in the site's opening hours, 0 outside them and on holidays.",
    _SITE,
)
SITE_TARGETS = _gauges(
    _SITE,
    {
        "service_level": (
            "callboard_site_service_level_target_ratio",
            "Default service level aimed at; absent without an aim.",
        ),
        "abandonment": (
            "callboard_site_abandonment_target_ratio",
            "Default abandonment to stay below; absent without an aim.",
        ),
        "longest_wait_ms": (
            "callboard_site_longest_wait_target_seconds",
            "Default longest wait to stay below; absent without an aim.",
        ),
        "asa_ms": (
            "callboard_site_speed_of_answer_target_seconds",
            "Default average speed of answer aimed at; absent without an aim.",
        ),
        "aht_ms": (
            "callboard_site_handle_time_target_seconds",
            "Default average handle time aimed at; absent without an aim.",
        ),
    },
)
"""Default targets of a site, by their names in the settings."""

TEAM_OCCUPANCY_LOW = Metric(
    "callboard_team_occupancy_target_low_ratio",
    "Low end of the occupancy a team aims at; absent without an aim.",
    _TEAM,
)
TEAM_OCCUPANCY_HIGH = Metric(
    "callboard_team_occupancy_target_high_ratio",
    "High end of the occupancy a team aims at; absent without an aim.",
    _TEAM,
)
SITE_TIME = Metric(
    "callboard_site_time_timestamp_seconds",
    "The site's time that all its figures stand for.",
    _SITE,
)
SITE_DAY_START = Metric(
    "callboard_site_day_start_timestamp_seconds", "First moment of the site's today.", _SITE
)
SOURCE_LAST_EVENT = Metric(
    "callboard_source_last_event_timestamp_seconds",
    "Time of the newest event of a platform.",
    (*_SITE, "source"),
)
LATE = _counter(
    "callboard_site_late_events", "Events of a site that came too late and were not applied.", _SITE
)
DEAD_LETTERED = _counter(
    "callboard_site_dead_lettered_records",
    "Raw records of a site that were dead-lettered, late ones included.",
    _SITE,
)
INCONSISTENT = Metric(
    "callboard_site_inconsistent_events",
    "Distinct events of a site that change nothing in their story; a late event may lower it.",
    _SITE,
)
CLOCK = Metric(
    "callboard_clock_timestamp_seconds",
    "What the clock of this installation shows; the wall clock, or that of a replayed day.",
)
READY = Metric(
    "callboard_worker_ready",
    "1 while the worker has recovered its state and frames flow, otherwise 0.",
)
PARTITIONS = Metric(
    "callboard_worker_partitions", "Partitions of the frames topic this worker owns."
)
LAG = Metric(
    "callboard_worker_lag_frames", "Frames of a partition that wait to be read.", ("partition",)
)
FRAMES = _counter("callboard_worker_frames", "Frames applied.")
FRAMES_AGAIN = _counter(
    "callboard_worker_frames_again", "Frames delivered a second time, which change nothing."
)
FRAMES_REFUSED = _counter(
    "callboard_worker_frames_refused", "Frames that could not be applied and were dead-lettered."
)
FRAMES_MISSING = _counter(
    "callboard_worker_frames_missing",
    "Frames that were deleted from the topic before they were read.",
)
EVENTS = _counter("callboard_worker_events", "Events in the frames applied.")
LAST_FRAME = Metric(
    "callboard_worker_last_frame_timestamp_seconds", "When the last frame was taken."
)
RECORDS = _counter("callboard_worker_published_records", "Records sent, by topic.", ("topic",))
RECORD_BYTES = _counter("callboard_worker_published_bytes", "Bytes of records sent.", ("topic",))
DEAD_LETTERS = _counter(
    "callboard_worker_dead_letters", "Dead letters written by the worker, by reason.", ("reason",)
)
CHECKPOINTS = _counter("callboard_worker_checkpoints", "Checkpoints made.")
CHECKPOINT_BYTES = _counter("callboard_worker_checkpoint_bytes", "Bytes written by checkpoints.")
CHECKPOINT_SECONDS = _counter("callboard_worker_checkpoint_seconds", "Time spent in checkpoints.")
LAST_CHECKPOINT_BYTES = Metric(
    "callboard_worker_last_checkpoint_size_bytes", "Bytes the last checkpoint wrote."
)
LAST_CHECKPOINT_PARTS = Metric(
    "callboard_worker_last_checkpoint_parts", "State parts the last checkpoint wrote."
)
LAST_CHECKPOINT_SECONDS = Metric(
    "callboard_worker_last_checkpoint_duration_seconds", "How long the last checkpoint took."
)
LAST_CHECKPOINT = Metric(
    "callboard_worker_last_checkpoint_timestamp_seconds", "When the last checkpoint ended."
)
STATES_LOST = _counter(
    "callboard_worker_states_lost",
    "Checkpoints that could not be used although they should; frames are read again.",
)
SNAPSHOTS = _counter("callboard_worker_snapshots", "Snapshots written.")
SNAPSHOT_FAILURES = _counter(
    "callboard_worker_snapshot_failures", "Snapshots that could not be written."
)
LAST_SNAPSHOT_BYTES = Metric(
    "callboard_worker_last_snapshot_size_bytes", "Size of the last snapshot."
)
LAST_SNAPSHOT_SECONDS = Metric(
    "callboard_worker_last_snapshot_duration_seconds", "How long the last snapshot took."
)
RECOVERIES = _counter("callboard_worker_recoveries", "Partitions taken over and read up to date.")
LAST_RECOVERY = Metric(
    "callboard_worker_last_recovery_duration_seconds",
    "From the recovered state of a partition to all frames present at its assignment read.",
)


def all_metrics() -> list[Metric]:
    """Every metric of this module, for documentation and for the check of dashboards."""
    found: list[Metric] = []
    for value in globals().values():
        if isinstance(value, Metric):
            found.append(value)
        elif isinstance(value, Quotient):
            found += [value.value, value.numerator, value.denominator]
        elif isinstance(value, dict):
            found += [entry for entry in value.values() if isinstance(entry, Metric)]
    return found
