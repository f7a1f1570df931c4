"""Secrets of collectors: from a variable, or from the file that a variable names; never logged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from service.logs import hide


class SecretError(ValueError):
    """A secret is missing or cannot be read; the message says which variable to set."""


def secret_of(variable: str, environ: Mapping[str, str]) -> str:
    """The value of `variable`, or the text of the file that `<variable>_FILE` names."""
    if value := environ.get(variable):
        return value
    path = environ.get(f"{variable}_FILE")
    if not path:
        raise SecretError(f"set {variable}, or {variable}_FILE to a file that holds it")
    try:
        value = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{variable}_FILE={path}: {error}") from None
    if not value:
        raise SecretError(f"{variable}_FILE={path}: the file is empty")
    hide(value)
    return value
