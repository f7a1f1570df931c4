"""The page of metrics is, byte for byte, what the client library writes of the same samples."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from sinks.prometheus.names import Kind, Metric
from sinks.prometheus.page import Page

KINDS: tuple[Kind, ...] = ("gauge", "counter")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8)
NUMBERS = st.one_of(
    st.floats(allow_nan=False),
    st.integers(-(2**53), 2**53),
    st.sampled_from([0, 1, 999_999, 1_000_000, 1_234_567.25, 1e21, -1e7, float("inf")]),
)


class Parsed(Collector):
    """What the library's parser finds on a page."""

    def __init__(self, text: str) -> None:
        self._text = text

    def collect(self) -> Iterable[Family]:
        return text_string_to_metric_families(self._text)


def by_the_library(text: str) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Parsed(text))
    return generate_latest(registry).decode()


@given(st.lists(st.tuples(st.sampled_from(KINDS), TEXT, TEXT, NUMBERS), max_size=12))
def test_a_page_is_what_the_library_writes(samples: list[tuple[Kind, str, str, float]]) -> None:
    page = Page()
    for kind, zone, about, value in samples:
        # The names stand in another order than the alphabet's.
        page.add(Metric(f"a_{kind}", "Helpful.\nBack\\slash.", ("zone", "about"), kind), value,
                 (zone, about))  # fmt: skip
        page.add_info(Metric("an", "Says.", ("name",), "info"), {"name": about, "at": zone})
        page.add(Metric(f"bare_{kind}", "No labels.", (), kind), value)
    assert by_the_library(page.text()) == page.text()
