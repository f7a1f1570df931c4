"""What an analyst may run, judged on the syntax tree that the engine's own parser gives.

The engine's grants (role `analyst`) and `readonly=1` are the first wall. They leave holes that
this module closes: the scalar function `file()` and `INTO OUTFILE` touch files without any grant,
`SET ROLE` and `KILL QUERY` are allowed in readonly mode, `python()` reads the process, and system
tables show its threads. Whatever the tree cannot express is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sinks.clickhouse.local.errors import (
    ACCESS_DENIED,
    READONLY,
    SYNTAX_ERROR,
    StoreError,
)

TABLE_FUNCTIONS = frozenset(
    {"numbers", "numbers_mt", "generate_series", "generateseries", "values", "view", "zeros"}
)
"""Table functions that only compute. Any other that the engine has built in is refused."""

FUNCTIONS_REFUSED = frozenset({"file", "eval", "python", "catboostevaluate", "hascolumnintable"})
"""Names that must not occur as a function, in any guise: a call, `APPLY(f)`, `arrayMap(f, …)`."""

PREFIXES_REFUSED = ("ai", "addressto")
"""Beginnings of functions that call out or look into the process: `aiGenerate`, `addressToLine`."""

SYSTEM_TABLES = frozenset(
    {
        "one",
        "numbers",
        "databases",
        "tables",
        "columns",
        "settings",
        "functions",
        "table_functions",
        "table_engines",
        "data_type_families",
        "formats",
        "aggregate_function_combinators",
        "collations",
        "keywords",
        "time_zones",
        "parts",
        "parts_columns",
        "data_skipping_indices",
        "projections",
        "dictionaries",
        "build_options",
        "contributors",
        "licenses",
    }
)
"""Tables of `system` that describe the schema or the language, not the process."""

# Statements whose tree the engine cannot print. They name a table at most: no call, no string.
_DESCRIBES = re.compile(r"\s*(DESCRIBE|DESC|EXISTS|SHOW)\b[^()'$]*", re.IGNORECASE)
# A view with parameters, each of them a plain literal.
_PARAMETER = r"\s*\w+\s*=\s*(?:NULL|-?\d+|'[^'\\]*')\s*"
_DESCRIBES_VIEW = re.compile(
    rf"\s*(?:DESCRIBE|DESC)\s+(?:TABLE\s+)?(?:\w+\.)?(\w+)\s*\({_PARAMETER}(?:,{_PARAMETER})*\)\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The engine's reading of a text: its class, how many statements, the tree if it has one.

    `whole` says that the tree, printed again, is the text: that it leaves nothing out.
    """

    query_class: str
    statements: int
    tree: Any = None
    whole: bool = False


def check(sql: str, reading: Reading, params: Mapping[str, str], built_in: Collection[str]) -> None:
    """Raise `StoreError` unless an analyst may run `sql`.

    `params` are the query parameters; one may stand for a table's name. `built_in` are the table
    functions of the engine, in lower case; any other name with arguments is a view with parameters,
    which the grants judge.
    """
    if reading.statements > 1:
        raise StoreError(SYNTAX_ERROR, "Multi-statements are not allowed")
    if reading.query_class != "READ_ONLY":
        raise StoreError(READONLY, "analyst: only queries are allowed, in readonly mode")
    if reading.tree is None:
        if not _DESCRIBES.fullmatch(sql) and not _describes_view(sql, built_in):
            raise _refused("this statement")
        return
    if not reading.whole:
        raise _refused("a query whose syntax tree is incomplete")
    for node in _nodes(reading.tree):
        _check_settings(node)
        _check_table_function(node, built_in)
        for name in _names(node, params):
            _check_name(name)


def _describes_view(sql: str, built_in: Collection[str]) -> bool:
    found = _DESCRIBES_VIEW.fullmatch(sql)
    return found is not None and found[1].lower() not in built_in


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        elif isinstance(node, dict) and node.get("type") != "Literal":
            waiting.extend(node.values())
            yield node


def _check_settings(node: Mapping[str, Any]) -> None:
    """No SETTINGS clause, nor in a subquery. What EXPLAIN calls settings are its own options."""
    for key, value in node.items():
        is_clause = isinstance(value, dict) and value.get("type") == "SetQuery"
        if is_clause and (node.get("type"), key) != ("ExplainQuery", "settings"):
            raise StoreError(READONLY, "Cannot modify settings in readonly mode")


def _check_table_function(node: Mapping[str, Any], built_in: Collection[str]) -> None:
    function = node.get("table_function")
    if function is None:
        return
    name = str(function.get("name", "")) if isinstance(function, dict) else ""
    lowered = name.lower()
    if not name or (lowered in built_in and lowered not in TABLE_FUNCTIONS):
        raise _refused(f"the table function {name}()")


def _names(node: Mapping[str, Any], params: Mapping[str, str]) -> Iterator[str]:
    """Every text of a node that can name something; an alias names nothing that exists."""
    for key, value in node.items():
        if isinstance(value, str) and key not in ("type", "alias"):
            yield value
    if isinstance(parts := node.get("name_parts"), list):
        yield ".".join(map(str, parts))
    if node.get("type") == "QueryParameter" and node.get("param_type") == "Identifier":
        yield params.get(str(node.get("name")), "")
    if node.get("type") == "TableIdentifier":
        yield ".".join(_identifier_parts(node, params))


def _identifier_parts(node: Mapping[str, Any], params: Mapping[str, str]) -> Iterator[str]:
    """The parts of a table's name that query parameters make up."""
    for child in node.get("children", []):
        if isinstance(child, dict) and child.get("type") == "QueryParameter":
            yield params.get(str(child.get("name")), "")
        elif isinstance(child, dict):
            yield str(child.get("name", ""))


def _check_name(name: str) -> None:
    lowered = name.lower()
    if lowered in FUNCTIONS_REFUSED:
        raise _refused(f"the function {name}()")
    if lowered.startswith(PREFIXES_REFUSED) and not name[2:3].islower():
        raise _refused(f"the function {name}()")
    database, dot, table = lowered.replace("`", "").partition(".")
    if dot and database == "system" and table.partition(".")[0] not in SYSTEM_TABLES:
        raise _refused(f"the table {name}")


def _refused(what: str) -> StoreError:
    return StoreError(ACCESS_DENIED, f"analyst: Not enough privileges for {what}")
