"""YAML read for people: keys are always text, a key twice is an error, every value has a line."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class YamlProblem(ValueError):
    """A file that is no YAML, or has a key twice: where (file and line), which key, what."""

    def __init__(self, where: str, key: str, what: str) -> None:
        super().__init__(f"{where}: {key}: {what}" if key else f"{where}: {what}")
        self.where = where
        self.key = key
        self.what = what


class _Loader(yaml.SafeLoader):
    """Keeps keys as they are written: a queue named 100, 0800 or NO is not a number or a bool.

    Dates stay text as well, so that a wrong one is reported like any other value.
    """

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        _refuse_repeated_keys(node)
        self.flatten_mapping(node)
        # What is merged with `<<` now stands first, so that the mapping's own keys override it.
        return {
            _key_text(key): self.construct_object(value, deep=True) for key, value in node.value
        }


def _refuse_repeated_keys(node: yaml.MappingNode) -> None:
    seen: set[str] = set()
    for key_node, _ in node.value:
        key = _key_text(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        seen.add(key)


def _key_text(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    raise yaml.constructor.ConstructorError(
        None, None, "a key must be a single word", node.start_mark
    )


@dataclass(frozen=True, slots=True)
class YamlSource:
    """A decoded YAML document that remembers where things stand in its text."""

    value: Any
    _root: yaml.Node | None

    def line_of(self, path: Sequence[int | str]) -> int | None:
        """The line, from 1, of the deepest part of `path` that stands in the text."""
        node, line = self._root, None
        for part in path:
            found = _step(node, part)
            if found is None:
                break
            node, line = found
        return line


def read_yaml(path: Path) -> YamlSource:
    """Read a file; raise `YamlProblem` if it cannot be read or is no YAML."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise YamlProblem(str(path), "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise YamlProblem(str(path), "", f"is not UTF-8 text (byte {error.start})") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        return YamlSource(yaml.load(text, Loader=_Loader), root)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = str(path) if mark is None else f"{path}:{mark.line + 1}"
        raise YamlProblem(where, "", f"{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlProblem(str(path), "", f"is no YAML: {error}") from None


def _step(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == part:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item, item.start_mark.line + 1
    return None
