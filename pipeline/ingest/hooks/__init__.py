"""Webhooks of the platforms: who may call, what a body holds, what the platform wants to hear."""
