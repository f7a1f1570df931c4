"""From telephony to KPIs: sources, ingest, engine, and the tools that run or replay them."""
