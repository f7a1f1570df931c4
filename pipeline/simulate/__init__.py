"""The simulator: a seeded contact centre whose events, truth and settings can be had at will.

`planning` makes the plan of a site from the options, `centre` lets it happen, `canonical` writes
what happened as events, `stream` puts the sites together in the order their events arrive, and
`feed` posts such a stream to the door. What happens (`happenings`) knows nothing of how it is
written, so further writers can speak other formats.
"""
