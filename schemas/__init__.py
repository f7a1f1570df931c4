"""What crosses a boundary: canonical events, frames, results, site settings, names of topics.

Imports only the standard library, pydantic, orjson and yaml, so that every stage can depend on it.
"""
