"""The engine: stories of contacts and agents become panes, windows and KPIs (pure, no clock)."""

from pipeline.engine.site import Changes, Site

__all__ = ["Changes", "Site"]
