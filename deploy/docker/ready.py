"""Health of a role as its own page tells it: exit status 0 if $READY_URL answers 200.

The image has no curl, and needs none.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

PATIENCE_S = 4


def main() -> int:
    """0 when ready; otherwise 1, and why on standard error, which `docker inspect` shows."""
    url = os.environ.get("READY_URL", "")
    if not url.startswith("http://"):
        print("READY_URL names no page", file=sys.stderr)
        return 1
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_S):
            return 0
    except urllib.error.HTTPError as error:
        print(f"{error.code}: {error.read(500).decode(errors='replace')}", file=sys.stderr)
    except OSError as error:
        print(f"{url}: {error}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
