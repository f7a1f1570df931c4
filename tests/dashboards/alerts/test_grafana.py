"""Grafana's files against the schema of its file provisioning, which refuses what it is not."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from dashboards.alerts import ALERTS
from dashboards.alerts.files import grafana_files
from schemas.config import Config
from tests.dashboards.alerts.sites import SITES, STRANGE

FULL = Config(
    door_token="door-secret",
    alert_slack_url="https://slack/secret",
    alert_teams_url="https://teams/secret",
    alert_email_to="a@example.org",
    alert_pagerduty_key="pager-secret",
    alert_webhook_url="https://hook/secret",
    alert_webhook_token="hook-secret",
    alert_watchdog_url="https://dog/secret",
)
Duration = Annotated[str, Field(pattern=r"^\d+(s|m|h)$")]
Uid = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Evaluator(Strict):
    type: Literal["gt", "lt"]
    params: list[float]


class Condition(Strict):
    type: Literal["query"]
    evaluator: Evaluator
    unloadEvaluator: Evaluator


class PromModel(Strict):
    refId: str
    expr: str
    instant: Literal[True]
    range: Literal[False]


class ThresholdModel(Strict):
    refId: str
    type: Literal["threshold"]
    expression: str
    conditions: list[Condition]


class Range(Strict):
    from_: int = Field(alias="from")
    to: int


class Query(Strict):
    refId: str
    relativeTimeRange: Range
    datasourceUid: Literal["callboard-prometheus", "__expr__"]
    model: PromModel | ThresholdModel


class Rule(Strict):
    uid: Uid
    title: Annotated[str, Field(max_length=190)]
    condition: str
    data: list[Query]
    noDataState: Literal["NoData", "Alerting", "OK", "KeepLast"]
    execErrState: Literal["Alerting", "Error", "OK", "KeepLast"]
    for_: Duration = Field(alias="for")
    keepFiringFor: Duration | None = None
    annotations: dict[str, str]
    labels: dict[str, str]
    isPaused: bool


class Group(Strict):
    orgId: int
    name: str
    folder: str
    interval: Duration
    rules: list[Rule]


class ContactReceiver(Strict):
    uid: Uid
    type: Literal["slack", "teams", "email", "pagerduty", "webhook"]
    settings: dict[str, Any]
    disableResolveMessage: bool


class ContactPoint(Strict):
    orgId: int
    name: str
    receivers: Annotated[list[ContactReceiver], Field(min_length=1)]


class Times(Strict):
    start_time: Annotated[str, Field(pattern=r"^\d\d:\d\d$")]
    end_time: Annotated[str, Field(pattern=r"^\d\d:\d\d$")]


class Interval(Strict):
    times: list[Times] = []
    weekdays: list[str] = []
    days_of_month: list[str] = []
    months: list[str] = []
    years: list[str] = []
    location: str | None = None


class MuteTiming(Strict):
    orgId: int
    name: str
    time_intervals: list[Interval]


class Template(Strict):
    orgId: int
    name: str
    template: str


class Route(Strict):
    receiver: str
    object_matchers: list[tuple[str, Literal["=", "!=", "=~", "!~"], str]]
    mute_time_intervals: list[str] = []
    continue_: bool = Field(default=False, alias="continue")
    repeat_interval: Duration | None = None
    routes: list[Route] = []


class Policy(Strict):
    orgId: int
    receiver: str
    group_by: list[str]
    group_wait: Duration
    group_interval: Duration
    repeat_interval: Duration
    routes: list[Route]


class File(Strict):
    apiVersion: Literal[1]
    groups: list[Group] = []
    contactPoints: list[ContactPoint] = []
    muteTimes: list[MuteTiming] = []
    templates: list[Template] = []
    policies: list[Policy] = []


def read(config: Config = FULL) -> File:
    """All files as one, read strictly."""
    found: dict[str, Any] = {"apiVersion": 1}
    for text in grafana_files(SITES, config).values():
        found |= tupled(yaml.safe_load(text))
    return File.model_validate(found)


def tupled(value: Any) -> Any:
    """Matchers as tuples, which strict reading asks for."""
    if isinstance(value, dict):
        return {
            key: [tuple(entry) for entry in inner] if key == "object_matchers" else tupled(inner)
            for key, inner in value.items()
        }
    return [tupled(entry) for entry in value] if isinstance(value, list) else value


def test_files_hold_what_the_schema_knows_and_uids_are_unique() -> None:
    file = read()
    rules = file.groups[0].rules
    assert len(rules) == len(ALERTS)
    for names in (
        [rule.uid for rule in rules],
        [rule.title for rule in rules],
        [receiver.uid for point in file.contactPoints for receiver in point.receivers],
        [timing.name for timing in file.muteTimes],
    ):
        assert len(names) == len(set(names))


def test_a_threshold_loads_above_the_trigger_and_unloads_below_the_clear_level() -> None:
    for rule in read().groups[0].rules:
        by_ref = {query.refId: query.model for query in rule.data}
        assert len(by_ref) == len(rule.data)
        threshold = by_ref[rule.condition]
        assert isinstance(threshold, ThresholdModel)
        assert threshold.expression == "A"
        (condition,) = threshold.conditions
        assert (condition.evaluator.type, condition.unloadEvaluator.type) == ("gt", "lt")
        assert condition.unloadEvaluator.params < condition.evaluator.params


def test_numbers_of_a_message_are_asked_for() -> None:
    for rule in read().groups[0].rules:
        refs = {query.refId for query in rule.data}
        used = set(re.findall(r"\$values\.(\w+)\.", str(rule.annotations)))
        assert {"at", "value"} <= used <= refs
        assert "${" not in str(rule.annotations)


def test_only_secrets_of_the_environment_are_expanded() -> None:
    files = grafana_files(SITES, FULL)
    for secret in ("secret", "a@example.org"):
        assert not any(secret in text for text in files.values())
    file = read()
    texts = [
        *(str(rule.labels) + rule.title for rule in file.groups[0].rules),
        file.model_dump_json(include={"contactPoints"}),
        *(timing.name for timing in file.muteTimes),
        file.model_dump_json(include={"policies"}),
    ]
    for text in texts:
        rest = re.sub(r"\$CALLBOARD_[A-Z_]+", "", text).replace("$$", "")
        assert "$" not in rest
    assert any("$$b" in timing.name for timing in file.muteTimes)
    assert STRANGE.site.replace("$", "$$") in [
        value for route in file.policies[0].routes for _, _, value in route.object_matchers
    ]


def walk(routes: list[Route]) -> list[Route]:
    return [found for route in routes for found in (route, *walk(route.routes))]


def test_policies_name_what_exists_and_mute_what_is_closed() -> None:
    for config in (FULL, Config()):
        file = read(config)
        (policy,) = file.policies
        points = {point.name for point in file.contactPoints}
        timings = {timing.name for timing in file.muteTimes}
        assert policy.receiver in points
        assert {"grafana_folder", "alertname"} <= set(policy.group_by)
        routes = walk(policy.routes)
        assert {route.receiver for route in routes} <= points
        assert {name for route in routes for name in route.mute_time_intervals} <= timings
        closed = [r for r in routes if r.mute_time_intervals == ["closed: closed"]]
        assert len(closed) == 2  # people, and people with the pager: muting is not inherited


def test_every_kpi_alert_is_muted_outside_hours_and_none_of_the_pipeline() -> None:
    file = read()
    (site,) = [
        route
        for route in file.policies[0].routes
        if ("site", "=", "closed") in route.object_matchers
    ]
    pattern = next(value for label, _, value in site.object_matchers if label == "alertname")
    for rule in file.groups[0].rules:
        assert bool(re.fullmatch(pattern, rule.title)) == ("kpi" in rule.labels)
