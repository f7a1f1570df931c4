"""Backfill: raw history told again by the same engine, and the store made to agree with it.

`history` reads raw records or files, `telling` runs them through framing and engine into a `spool`
on disk, `bounds` finds what nobody changes any more, `comparing` makes the store equal to the spool
within it. docs/adr/0004-backfill.md says why.
"""
