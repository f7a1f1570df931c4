"""The way in: the door that keeps what it is given, and ingest that turns it into frames."""
