"""Alerts as the provisioning API takes them, made of the files Grafana would read.

The API knows other names than the files, takes policies as one tree and expands nothing, so
`$NAME` is filled in here, from the configuration: secrets leave this process only in the request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import quote

from dashboards.alerts import ALERTS
from dashboards.alerts import grafana as files
from dashboards.push.api import Grafana, PushError
from dashboards.push.change import Action, Change, has_secrets, same, without
from dashboards.uids import FOLDER_TITLE, FOLDER_UID, PROMETHEUS_UID
from schemas.config import PREFIX, Config
from schemas.settings import SiteSettings

Json = dict[str, Any]

OURS = [["grafana_folder", "=", FOLDER_TITLE]]
"""Alerts of our folder: the route with these matchers is ours, the rest of the tree is not."""

_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def alert_objects(sites: tuple[SiteSettings, ...], config: Config) -> dict[str, Json]:
    """The content of the provisioning files by name, with what Grafana would expand in them."""
    found = files.files(ALERTS, sites, config)
    for name in ("contact-points.yaml", "mute-timings.yaml", "policies.yaml"):
        found[name] = _expanded(found[name], config)
    for rule in found["rules.yaml"]["groups"][0]["rules"]:
        rule["labels"] = _expanded(rule["labels"], config)
    return found


def push_alerts(
    grafana: Grafana, objects: dict[str, Json], org: int, *, dry_run: bool, secrets: bool
) -> Iterator[Change]:
    """Contact points first and rules last: no rule may fire into somebody else's route."""
    _need_source(grafana)
    yield from _contact_points(grafana, objects["contact-points.yaml"], dry_run, secrets)
    yield from _mute_timings(grafana, objects["mute-timings.yaml"], dry_run)
    yield from _templates(grafana, objects["templates.yaml"], dry_run)
    yield _policies(grafana, objects["policies.yaml"], dry_run)
    for group in objects["rules.yaml"]["groups"]:
        yield _rules(grafana, group, org, dry_run)


def _need_source(grafana: Grafana) -> None:
    path = f"/datasources/uid/{PROMETHEUS_UID}"
    if grafana.find("looking for the data source", lambda: grafana.client.GET(path)) is None:
        raise PushError(
            f"alert rules ask the Prometheus data source with uid {PROMETHEUS_UID}, "
            f"which {grafana.url} does not have"
        )


def _contact_points(
    grafana: Grafana, content: Json, dry_run: bool, secrets: bool
) -> Iterator[Change]:
    listed = grafana.ask("reading contact points", grafana.alerting.get_contactpoints)
    there = {point["uid"]: point for point in listed}
    for point in content["contactPoints"]:
        for receiver in point["receivers"]:
            wanted = {"name": point["name"], **receiver}
            found = there.get(wanted["uid"])
            hidden = found is not None and has_secrets(found)
            action = _action(wanted, found, again=hidden and secrets)
            note = "its secrets cannot be compared" if hidden and not secrets else ""
            change = Change(action, "contact point", f"{point['name']} ({receiver['type']})", note)
            put = partial(_put_point, grafana, wanted, found)
            yield _done(grafana, change, dry_run, put)


def _put_point(grafana: Grafana, wanted: Json, found: Json | None) -> None:
    if found is None:
        grafana.alerting.create_contactpoint(wanted)
    else:
        grafana.alerting.update_contactpoint(wanted["uid"], wanted)


def _mute_timings(grafana: Grafana, content: Json, dry_run: bool) -> Iterator[Change]:
    listed = grafana.ask("reading mute timings", grafana.alerting.get_mute_timings)
    there = {timing["name"]: timing for timing in listed}
    for entry in content["muteTimes"]:
        wanted = without(entry, ["orgId"])
        found = there.get(wanted["name"])
        change = Change(_action(wanted, found), "mute timing", wanted["name"])
        yield _done(grafana, change, dry_run, partial(_put_timing, grafana, wanted, found))


def _put_timing(grafana: Grafana, wanted: Json, found: Json | None) -> None:
    if found is None:
        grafana.alerting.create_mute_timing(wanted)
    else:
        grafana.alerting.update_mute_timing(quote(wanted["name"], safe=""), wanted)


def _templates(grafana: Grafana, content: Json, dry_run: bool) -> Iterator[Change]:
    for entry in content["templates"]:
        name, wanted = entry["name"], {"template": entry["template"]}
        found = grafana.find("reading templates", partial(grafana.alerting.get_template, name))
        change = Change(_action(_trimmed(wanted), _trimmed(found)), "template", name)
        put = partial(grafana.alerting.create_or_update_template, name, wanted)
        yield _done(grafana, change, dry_run, put)


def _trimmed(value: Json | None) -> Json | None:
    # Grafana trims a template when it stores it.
    return None if value is None else {**value, "template": value["template"].strip()}


def _policies(grafana: Grafana, content: Json, dry_run: bool) -> Change:
    (root,) = content["policies"]
    wanted = {**without(root, ["orgId"]), "object_matchers": OURS}
    tree = grafana.ask("reading policies", grafana.alerting.get_notification_policy_tree)
    routes = tree.get("routes") or []
    found = next((route for route in routes if route.get("object_matchers") == OURS), None)
    change = Change(_action(wanted, found), "notification policy", f"alerts of {FOLDER_TITLE}")
    others = [route for route in routes if route is not found]
    fresh = {**without(tree, ["provenance"]), "routes": [wanted, *others]}
    return _done(
        grafana,
        change,
        dry_run,
        lambda: grafana.alerting.set_notification_policy_tree(fresh),
    )


def _rules(grafana: Grafana, group: Json, org: int, dry_run: bool) -> Change:
    name = group["name"]
    rules = [_rule(rule, name, org) for rule in group["rules"]]
    wanted = {
        "title": name,
        "folderUid": FOLDER_UID,
        "interval": _seconds(group["interval"]),
        "rules": rules,
    }
    found = grafana.find(
        "reading alert rules", lambda: grafana.alerting.get_rule_group(FOLDER_UID, quote(name))
    )
    change = Change(
        _action(_comparable(wanted), _comparable(found)), "alert rules", f"{name} ({len(rules)})"
    )
    return _done(
        grafana,
        change,
        dry_run,
        lambda: grafana.alerting.update_rule_group(FOLDER_UID, quote(name), wanted),
    )


def _rule(rule: Json, group: str, org: int) -> Json:
    """A rule of a file as the API takes it."""
    found = without(rule, ["keepFiringFor", "dashboardUid", "panelId"])
    found |= {"orgID": org, "folderUID": FOLDER_UID, "ruleGroup": group, "for": rule["for"]}
    if "keepFiringFor" in rule:
        found["keep_firing_for"] = rule["keepFiringFor"]
    linked = {"__dashboardUid__": rule.get("dashboardUid"), "__panelId__": rule.get("panelId")}
    told = {name: str(value) for name, value in linked.items() if value is not None}
    return found | {"annotations": rule["annotations"] | told}


def _comparable(group: Json | None) -> Json | None:
    """A group with durations as seconds: `90s` and `1m30s` are one, and rules in no order."""
    if group is None:
        return None
    rules = [
        rule | {key: _seconds(rule[key]) for key in ("for", "keep_firing_for") if rule.get(key)}
        for rule in group.get("rules") or []
    ]
    return {**group, "rules": sorted(rules, key=lambda rule: str(rule["uid"]))}


def _seconds(text: str) -> int:
    return sum(int(count) * _UNITS[unit] for count, unit in re.findall(r"(\d+)([wdhms])", text))


def _action(wanted: Json | None, found: Json | None, *, again: bool = False) -> Action:
    if found is None:
        return Action.created
    return Action.unchanged if same(wanted, found) and not again else Action.updated


def _done(grafana: Grafana, change: Change, dry_run: bool, put: Callable[[], Any]) -> Change:
    if change.action is not Action.unchanged and not dry_run:
        grafana.ask(f"writing {change.kind} {change.name}", put)
    return change


def _expanded(value: Any, config: Config) -> Any:
    """What Grafana makes of `$NAME` and `$$` when it reads a file."""
    if isinstance(value, dict):
        return {key: _expanded(entry, config) for key, entry in value.items()}
    if isinstance(value, list):
        return [_expanded(entry, config) for entry in value]
    if isinstance(value, str):
        return re.sub(rf"\$\$|\${PREFIX}(\w+)", lambda match: _filled(match, config), value)
    return value


def _filled(match: re.Match[str], config: Config) -> str:
    return "$" if match[1] is None else str(getattr(config, match[1].lower()))
