"""The topic of the day, for peers that read nothing but Kafka. Standard library only."""

TOPIC = "peers.events"
END_TYPE = "end"
"""Type of the last two messages, far ahead in time: they close the windows of the day."""
AFTER_MS = (3_600_000, 7_200_000)
"""How far after the day's last edge they are."""
