"""The engine: stories of contacts and agents become panes, windows and KPIs (pure, no clock).

The modules here are the engine. Where `pipeline.native` has compiled this very source, the compiled
modules are used in their place; CALLBOARD_ENGINE=python asks for the plain ones.
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

NATIVE_DIR = Path(__file__).resolve().parents[2] / "build" / "native"


def source_digest() -> str:
    """Identifies the source of the engine and of what it is compiled against, and the Python."""
    digest = sha256(sys.version.encode())
    here = Path(__file__).resolve().parent
    for path in sorted([*here.glob("*.py"), *(here.parents[1] / "schemas").glob("*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _use_native() -> bool:
    if os.environ.get("CALLBOARD_ENGINE") == "python":
        return False
    try:
        built = (NATIVE_DIR / ".built").read_text()
    except OSError:
        return False
    return built == source_digest()


COMPILED = _use_native()
if COMPILED:
    sys.path.append(str(NATIVE_DIR))
    __path__.insert(0, str(NATIVE_DIR / "engine"))

from pipeline.engine.site import Changes, Site  # noqa: E402  (the path above decides which)

__all__ = ["COMPILED", "NATIVE_DIR", "Changes", "Site", "source_digest"]
