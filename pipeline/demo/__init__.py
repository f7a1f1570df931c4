"""The demo: a day of a real bank's call centre (1999), happening as if it were today.

`day` chooses zone and date and shifts the bank's days, `settings` describes the site, `feeder` is
the process that posts the events when they come due.
"""
