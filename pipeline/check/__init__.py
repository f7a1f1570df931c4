"""What a capture of a platform says: what was understood of it, what was not, what is odd in it."""

from pipeline.check.findings import Findings, check_capture

__all__ = ["Findings", "check_capture"]
