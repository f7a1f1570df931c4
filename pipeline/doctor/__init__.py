"""`callboard doctor`: looks at everything a deployment stands on, and says what to do.

A module for each group of checks, `run` has them in the order in which one would look. Nothing is
changed and no consumer group is joined.
"""
