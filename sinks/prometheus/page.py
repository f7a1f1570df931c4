"""Prometheus' text format, a line for each figure as it comes.

The client library makes an object of every sample and checks each of its names. That takes it a
second for 200 queues, and a worker is asked every few seconds. The tests hold these bytes against
the library's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from prometheus_client.utils import floatToGoString

from schemas.kpis import Parts, ratio
from sinks.prometheus.names import Labels, Metric, Quotient

Values = tuple[str, ...]
"""The values of a metric's labels, in the order of their names."""

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_SUFFIX = {"counter": "_total", "gauge": "", "info": "_info"}
_number: Final[Callable[[float], str]] = floatToGoString


class Page:
    """Metrics in the order in which they are first met, each with all its samples."""

    def __init__(self) -> None:
        self._families: dict[str, tuple[str, list[str]]] = {}
        self._told: dict[tuple[Labels, Values], str] = {}
        self._numbers: dict[float, str] = {}

    def add(self, metric: Metric, value: float, values: Values = ()) -> None:
        """One sample of a metric."""
        name, lines = self._family(metric)
        key = (metric.labels, values)
        told = self._told.get(key)
        if told is None:
            told = self._told[key] = _labels(dict(zip(metric.labels, values, strict=True)))
        number = self._numbers.get(value)
        if number is None:
            number = self._numbers[value] = _number(value)
        lines.append(f"{name}{told} {number}\n")

    def add_info(self, metric: Metric, labels: Mapping[str, str]) -> None:
        """What is told in labels alone."""
        name, lines = self._family(metric)
        lines.append(f"{name}{_labels(labels)} 1.0\n")

    def add_ratio(self, quotient: Quotient, parts: Parts, values: Values) -> None:
        """Contacts over contacts."""
        self._add_quotient(quotient, parts, ratio(*parts), values)

    def add_time(self, quotient: Quotient, parts: Parts, values: Values) -> None:
        """Milliseconds over contacts, as seconds."""
        total, count = parts
        value = ratio(total, count)
        seconds = None if value is None else value / 1000
        self._add_quotient(quotient, (total / 1000, count), seconds, values)

    def add_share(self, quotient: Quotient, parts: Parts, values: Values) -> None:
        """Milliseconds over milliseconds, both as seconds."""
        total, whole = parts
        self._add_quotient(quotient, (total / 1000, whole / 1000), ratio(total, whole), values)

    def text(self) -> str:
        """The page."""
        return "".join(line for _, lines in self._families.values() for line in lines)

    def _family(self, metric: Metric) -> tuple[str, list[str]]:
        """The name on the page and the lines so far."""
        family = self._families.get(metric.name)
        if family is None:
            name = metric.name + _SUFFIX[metric.kind]
            kind = "gauge" if metric.kind == "info" else metric.kind
            told = metric.help.replace("\\", r"\\").replace("\n", r"\n")
            head = f"# HELP {name} {told}\n# TYPE {name} {kind}\n"
            family = self._families[metric.name] = (name, [head])
        return family

    def _add_quotient(
        self,
        quotient: Quotient,
        parts: tuple[float, float],
        value: float | None,
        values: Values,
    ) -> None:
        self.add(quotient.numerator, parts[0], values)
        self.add(quotient.denominator, parts[1], values)
        if value is not None:
            self.add(quotient.value, value, values)


def _labels(labels: Mapping[str, str]) -> str:
    told = [f'{name}="{labels[name].translate(_ESCAPES)}"' for name in sorted(labels)]
    return f"{{{','.join(told)}}}" if told else ""
