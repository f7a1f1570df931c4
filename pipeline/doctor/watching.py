"""Who watches and who tells: Prometheus, Alertmanager or Grafana."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import orjson

from pipeline.doctor.around import Around
from pipeline.doctor.finding import CannotTell, Finding, failed, ok, skipped, warning
from schemas.config import CONTACT_SECRETS, Config

OURS = "callboard"


async def check(around: Around) -> list[Finding]:
    """Look at Prometheus, and at whoever delivers alerts."""
    findings = [finding async for finding in _prometheus(around)]
    findings += [finding async for finding in _deliverer(around)]
    return findings


async def _prometheus(around: Around) -> AsyncIterator[Finding]:
    name = "prometheus"
    try:
        targets = await _json(around, around.pages[name], "/api/v1/targets?state=active")
        rules = await _json(around, around.pages[name], "/api/v1/rules?type=alert")
    except CannotTell as error:
        yield _absent(around, name, error)
        return
    for finding in _scrapes(targets["data"]["activeTargets"]):
        yield finding
    if around.config.alerts_by == name:
        for finding in _rules(rules["data"]["groups"]):
            yield finding


def _scrapes(targets: list[Mapping[str, Any]]) -> Iterator[Finding]:
    ours = [t for t in targets if str(t["labels"].get("job", "")).startswith(OURS)]
    down = [t for t in ours if t["health"] == "down"]
    for target in down:
        told = f"{target['labels']['job']} at {target['scrapeUrl']}: {target['lastError']}"
        yield failed("scrapes", told, "is the role running, and its page within reach?")
    if not ours:
        yield failed("scrapes", "none of callboard", "deploy/prometheus/prometheus.yml has them")
    elif not down:
        yield ok("scrapes", f"Prometheus scrapes {len(ours)} roles")


def _rules(groups: list[Mapping[str, Any]]) -> Iterator[Finding]:
    rules = [rule for group in groups for rule in group["rules"]]
    ours = [rule for rule in rules if str(rule["name"]).lower().startswith(OURS)]
    bad = [rule for rule in ours if rule["health"] == "err"]
    for rule in bad:
        told = f"{rule['name']}: {rule.get('lastError', '')}"
        yield failed("rules", told, "callboard alerts check")
    if not ours:
        yield failed("rules", "Prometheus has none of callboard", "callboard alerts write --out …")
    elif not bad:
        firing = sum(rule["state"] == "firing" for rule in ours)
        yield ok("rules", f"{len(ours)} alerts, {firing} firing")


async def _deliverer(around: Around) -> AsyncIterator[Finding]:
    config = around.config
    name = "alertmanager" if config.alerts_by == "prometheus" else "grafana"
    address = around.pages["alertmanager"] if name == "alertmanager" else config.grafana_url
    path = "/-/ready" if name == "alertmanager" else "/api/health"
    try:
        page = await around.get(address.rstrip("/") + path)
    except CannotTell as error:
        yield _absent(around, name, error, wanted=_has_contacts(config))
        return
    if page.status != 200:
        yield failed(name, f"answers {page.status}: {page.text[:100]}", "see its log")
        return
    told = "with contact points" if _has_contacts(config) else "no contact point is set"
    yield ok(name, f"delivers alerts; {told}")


def _absent(around: Around, name: str, error: CannotTell, *, wanted: bool = False) -> Finding:
    told = f"{error}"
    if name in around.named:
        return failed(name, f"{around.pages[name]}: {told}", "start it")
    if wanted:
        todo = "start it, or name it with --page; until then nobody is told of alerts"
        return warning(name, f"contact points are set, but {told}", todo)
    return skipped(name, "not on this machine")


async def _json(around: Around, address: str, path: str) -> dict[str, Any]:
    page = await around.get(address + path)
    try:
        found = orjson.loads(page.text)
    except orjson.JSONDecodeError:
        found = None
    if page.status != 200 or not isinstance(found, dict) or "data" not in found:
        raise CannotTell("what answers is no Prometheus")
    return found


def _has_contacts(config: Config) -> bool:
    return any(getattr(config, name) for name in (*CONTACT_SECRETS, "alert_email_to"))
