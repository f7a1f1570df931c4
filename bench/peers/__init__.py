"""`make peers`: one wallboard job on the same events, for callboard and what else may do it."""
