"""Genesys Cloud: detail events of conversations and the activity of users.

A payload is an EventBridge event or a message of the notification service; both carry the same
`eventBody` for a topic. Field names are those of the topics' schemas, times are epoch ms in detail
events and ISO 8601 elsewhere.
"""

from __future__ import annotations

from pipeline.sources.platforms.genesys_cloud.options import GenesysOptions
from pipeline.sources.platforms.genesys_cloud.topics import kind
from pipeline.sources.platforms.genesys_cloud.translator import GenesysTranslator
from pipeline.sources.source import Source

SOURCE = Source(
    name="genesys-cloud",
    title="Genesys Cloud (EventBridge, notifications)",
    translator=GenesysTranslator,
    kind=kind,
    options=GenesysOptions,
    stateful=True,
)
