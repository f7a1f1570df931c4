"""Tests of the door and of ingest, with a real broker, real HTTP and real processes."""
