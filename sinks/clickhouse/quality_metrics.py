"""Metrics of the quality KPIs, of whole sites: names written out, a ratio absent without data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge

_LABELS = ("site", "window")

COUNTS = {
    "csat_top": ("callboard_quality_csat_top_answers", "Satisfaction: answers of 4 or 5."),
    "csat_n": ("callboard_quality_csat_answers", "Satisfaction: answers."),
    "nps_promoters": ("callboard_quality_nps_promoters", "Recommendation: answers of 9 or 10."),
    "nps_detractors": ("callboard_quality_nps_detractors", "Recommendation: answers of 0 to 6."),
    "nps_n": ("callboard_quality_nps_answers", "Recommendation: answers."),
    "ces_sum": ("callboard_quality_ces_answers_sum", "Effort: sum of the answers, 1 to 7 each."),
    "ces_n": ("callboard_quality_ces_answers", "Effort: answers."),
    "declared_resolved": (
        "callboard_quality_declared_resolved",
        "Contacts said to be resolved by survey or help desk.",
    ),
    "declared_n": (
        "callboard_quality_declared",
        "Contacts of which survey or help desk said whether they are resolved.",
    ),
    "repeat_repeated": (
        "callboard_quality_repeat_repeated",
        "Handled contacts whose customer came back within the repeat window.",
    ),
    "repeat_provisional": (
        "callboard_quality_repeat_provisional",
        "Handled contacts whose customer has not come back while the repeat window lasts.",
    ),
    "repeat_n": (
        "callboard_quality_repeat_contacts",
        "Handled contacts of known customers.",
    ),
    "unmatched": (
        "callboard_quality_unmatched_answers",
        "Answers about contacts the store does not know.",
    ),
}
VALUES = {
    "csat": ("callboard_quality_csat_ratio", "Satisfaction: answers of 4 or 5 / answers."),
    "nps": (
        "callboard_quality_nps_points",
        "100 * (promoters - detractors) / answers, from -100 to 100.",
    ),
    "ces": ("callboard_quality_ces_mean", "Effort: mean answer from 1 to 7."),
    "fcr_declared": (
        "callboard_quality_fcr_declared_ratio",
        "First contact resolution as declared: resolved / declared.",
    ),
    "fcr_repeat": (
        "callboard_quality_fcr_repeat_ratio",
        "First contact resolution by repeat contact so far: not repeated / contacts.",
    ),
}


class QualityMetrics:
    """What the sink shows of the quality KPIs it published last."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, labelnames=_LABELS, registry=registry)
        self._counts = {key: gauge(*told) for key, told in COUNTS.items()}
        self._values = {key: gauge(*told) for key, told in VALUES.items()}
        self._at = gauge(
            "callboard_quality_site_time_seconds",
            "The site's time of which the quality figures are.",
        )
        self.failures = Counter(
            "callboard_quality_failures",
            "Windows of quality figures that the store could not answer or the broker not take.",
            registry=registry,
        )

    def show(self, site: str, window: str, at: int, figures: Mapping[str, Any]) -> None:
        """The figures of a site in a window, at its time in epoch ms."""
        self._at.labels(site, window).set(at / 1000)
        for key, gauge in self._counts.items():
            gauge.labels(site, window).set(figures[key])
        for key, gauge in self._values.items():
            if figures[key] is not None:
                gauge.labels(site, window).set(figures[key])
            elif (site, window) in self._labels(gauge):
                gauge.remove(site, window)

    @staticmethod
    def _labels(gauge: Gauge) -> set[tuple[str, str]]:
        (family,) = gauge.collect()
        return {(sample.labels["site"], sample.labels["window"]) for sample in family.samples}
