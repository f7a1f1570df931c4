"""Brings boards, playlist and alerts into a Grafana that already runs, through its API.

What is there already and equal is left alone, so a second push changes nothing. Nothing is ever
deleted, and what is not callboard's is not touched: the policy tree keeps its other routes.
"""

from __future__ import annotations

from dashboards.push.api import Grafana, PushError
from dashboards.push.change import Action, Change
from dashboards.push.push import Content, content, push

__all__ = ["Action", "Change", "Content", "Grafana", "PushError", "content", "push"]
