"""Follows the Finesse Notification Service: XMPP over TLS, publish-subscribe, each update as it is.

A client of our own on asyncio's streams. slixmpp (1.17) fits ill: it pushes stanzas into callbacks
and cannot stop reading while the door is away. Of XMPP only what Finesse documents is spoken: a
stream, SASL PLAIN, one resource, presence, subscriptions and pings.
"""

from pipeline.collect.finesse.session import SOURCE, Login, session

__all__ = ["SOURCE", "Login", "session"]
