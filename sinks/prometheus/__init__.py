"""Metrics: names, and the collector that renders what a worker published last."""
