"""Pieces of SQL that several boards share: selections by the variables of a board.

`:sqlstring` doubles quotes in names; `$__conditionalAll` drops a condition while All is chosen.
"""

from __future__ import annotations

SITE = "site = ${site:sqlstring}"
SITES = "$__conditionalAll(site IN (${site:sqlstring}), $site)"
QUEUE = "$__conditionalAll(queue IN (${queue:sqlstring}), $queue)"
CHANNEL = "$__conditionalAll(channel IN (${channel:sqlstring}), $channel)"
TEAM = "$__conditionalAll(team IN (${team:sqlstring}), $team)"

QUEUES_OF_SITE = f"{SITE} AND {QUEUE} AND {CHANNEL}"
QUEUES_OF_SITES = f"{SITES} AND {QUEUE} AND {CHANNEL}"
TEAMS_OF_SITE = f"{SITE} AND {TEAM}"

PERIOD = "from = $__fromTime_ms, to = $__toTime_ms"
"""The time of the board as parameters of a view."""
