"""Collectors: they fetch payloads where a platform keeps them and hand them to the door."""
