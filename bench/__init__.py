"""How fast callboard is on this machine, as ratios measured in one run.

`python -m bench` runs all parts: `engine` (the engine alone beside `orjson.loads`), `scaling` (how
its cost grows with the centre), `worker` (Kafka to results beside a plain loop), `translate` (every
platform's payloads on one core) and `latency` (an event handed to the door until the board shows
it, and what a million events cost). Nothing here is a test: figures are printed
and kept, never asserted.
"""
