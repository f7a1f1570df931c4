"""Figures published or counted elsewhere, which the engine must reproduce to the call."""
