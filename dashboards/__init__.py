"""Dashboards and alerts, built from code; what is generated from them is committed."""
