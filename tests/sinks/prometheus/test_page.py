"""The page of metrics is, byte for byte, what the client library writes of the same samples."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from sinks.prometheus.names import Metric
from sinks.prometheus.page import Page

# The names of labels stand in another order than the alphabet's.
GAUGE = Metric("some", "Helpful.\nBack\\slash.", ("zone", "about"))
COUNTER = Metric("often", "Counts.", ("zone",), "counter")
BARE = Metric("bare", "No labels.")
INFO = Metric("an", "Says.", ("about", "zone"), "info")

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.one_of(
    st.floats(),
    st.integers(-(2**53), 2**53),
    st.sampled_from([0, 1, 999_999, 1_000_000, 1_234_567.25, 1e21, -1e7]),
).map(lambda number: number + 0.0)  # without minus zero, which no figure is
Sample = tuple[str, str, float]


class Given(Collector):
    """The samples as families of the library."""

    def __init__(self, samples: list[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[Family]:
        gauge = GaugeMetricFamily(GAUGE.name, GAUGE.help, labels=GAUGE.labels)
        counter = CounterMetricFamily(COUNTER.name, COUNTER.help, labels=COUNTER.labels)
        bare = GaugeMetricFamily(BARE.name, BARE.help)
        info = InfoMetricFamily(INFO.name, INFO.help)
        for zone, about, value in self._samples:
            gauge.add_metric([zone, about], value)
            counter.add_metric([zone], value)
            bare.add_metric([], value)
            info.add_metric([], {"zone": zone, "about": about})
        return [gauge, counter, bare, info]


def by_the_library(samples: list[Sample]) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Given(samples))
    return generate_latest(registry).decode()


@given(st.lists(st.tuples(TEXT, TEXT, NUMBERS), min_size=1, max_size=12))
def test_a_page_is_what_the_library_writes(samples: list[Sample]) -> None:
    page = Page()
    for zone, about, value in samples:
        page.add(GAUGE, value, (zone, about))
        page.add(COUNTER, value, (zone,))
        page.add(BARE, value)
        page.add_info(INFO, {"zone": zone, "about": about})
    assert page.text() == by_the_library(samples)
