"""What crosses a boundary: events, settings, formulas and the records of topics."""
