"""The sites of a simulation as one stream of records, in the order in which they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import dropwhile
from operator import attrgetter
from typing import NamedTuple

from pipeline.simulate.canonical import CanonicalWriter
from pipeline.simulate.centre import Centre
from pipeline.simulate.options import Options, Scenario
from pipeline.simulate.planning import plan_site
from pipeline.simulate.platforms import Writer, platform_writers


class Record(NamedTuple):
    """A payload of a site and the moment (epoch ms) at which its source hands it over."""

    at: int
    site: str
    payload: bytes


class Simulation:
    """All sites of the options. Iterate `records()` once; `totals` grow with what it has given."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.centres = [Centre(plan_site(options, number)) for number in range(options.sites)]

    def records(self, after: int | None = None) -> Iterator[Record]:
        """Every event as a payload of the platform, those handed over before `after` left out.

        Each site's records are in the order of their `ts`. While a source is silent the records
        of its site are held back, and come at once when it speaks again.
        """
        sites = [self._site_records(centre) for centre in self.centres]
        stream = sites[0] if len(sites) == 1 else merge(*sites, key=attrgetter("at"))
        if after is None:
            return stream
        return dropwhile(lambda record: record.at < after, stream)

    @property
    def totals(self) -> dict[str, dict[tuple[str, str], dict[str, int]]]:
        """Truth of each site so far: the twenty counters per (queue, channel)."""
        return {centre.plan.site: centre.totals for centre in self.centres}

    def _site_records(self, centre: Centre) -> Iterator[Record]:
        site = centre.plan.site
        writer = self._writer(site)
        incident = self.options.incident
        silence = incident.scenario is Scenario.OUTAGE
        for happening in centre.happenings():
            at = happening.at
            if silence and incident.start <= at < incident.end:
                at = incident.end
            for payload in writer.payloads(happening):
                yield Record(at, site, payload)

    def _writer(self, site: str) -> Writer:
        if self.options.platform:
            return platform_writers()[self.options.platform](site)
        return CanonicalWriter(site, self.options.source)
