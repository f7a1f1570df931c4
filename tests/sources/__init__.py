"""Readers of platforms, and the traps in what platforms write."""
