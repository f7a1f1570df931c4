"""A log file followed while it is written, through every way in which it is rotated.

`follower` reads lines, `siblings` knows the files a log was rotated into, `position` is the place
up to which lines are safe.
"""
