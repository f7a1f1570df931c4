"""Settings of a site: what the words of the contract mean here, read from one YAML file a site.

Every key is optional except `site`. A wrong file is refused with `SettingsError`, whose message
names the file and line, the path of the key, what is wrong and, where one is near, the right word.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from schemas.events import Id
from schemas.kpis import FORMULAS
from schemas.yaml_source import YamlProblem, YamlSource, read_yaml

MAX_MS = 2**53

Ms = Annotated[int, Field(ge=0, le=MAX_MS)]
PositiveMs = Annotated[int, Field(ge=1, le=MAX_MS)]
Fraction = Annotated[float, Field(ge=0, le=1)]
TargetMs = Annotated[float, Field(ge=0, le=MAX_MS)]
Formula = Literal[
    "answered_only",
    "ignore_abandons",
    "abandons_negative",
    "abandons_positive",
    "sl_event_negative",
    "sl_event_ignore",
    "sl_event_positive",
]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")


class SettingsError(ValueError):
    """Site settings that cannot be used; `source` is the file, `key` the path of the wrong key."""

    def __init__(self, source: str, key: str, problem: str) -> None:
        super().__init__(f"{source}: {key}: {problem}" if key else f"{source}: {problem}")
        self.source = source
        self.key = key
        self.problem = problem


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # OSError: the name of a folder of zones
        hint = _did_you_mean(name, sorted(available_timezones()))
        raise PydanticCustomError(
            "time_zone", "{name} is no time zone{hint}", {"name": repr(name), "hint": hint}
        ) from None
    return name


def _pane(length: int) -> int:
    if 60_000 % length:
        near = min((n for n in range(1, 60_001) if 60_000 % n == 0), key=lambda n: abs(n - length))
        raise PydanticCustomError(
            "pane_ms",
            "a pane must divide a minute (60000 ms), {length} does not; did you mean {near}?",
            {"length": length, "near": near},
        )
    return length


def _opening(text: str) -> str:
    match = _HOURS.fullmatch(text)
    if match is None:
        raise PydanticCustomError(
            "hours", "opening hours are written HH:MM-HH:MM, not {text}", {"text": repr(text)}
        )
    start_h, start_m, end_h, end_m = (int(group) for group in match.groups())
    start, end = start_h * 60 + start_m, end_h * 60 + end_m
    if not start < end <= 24 * 60:
        raise PydanticCustomError(
            "hours",
            "{text} does not end after it starts, within the day; write hours past midnight as "
            "HH:MM-24:00 and 00:00-HH:MM of the next day",
            {"text": repr(text)},
        )
    return text


def _day(text: object) -> object:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else text
    except ValueError:
        raise PydanticCustomError(
            "holiday", "{text} is no date YYYY-MM-DD", {"text": repr(text)}
        ) from None


def _pair(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _ascending(band: tuple[float, float]) -> tuple[float, float]:
    if band[0] > band[1]:
        raise PydanticCustomError("band", "the low end comes first, as in [0.75, 0.85]")
    return band


def _nothing_is_empty(value: object) -> object:
    """`queues:` with nothing after it, or `PS:` inside it, means no settings there."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return {key: {} if entry is None else entry for key, entry in value.items()}
    return value


def _closed(value: object) -> object:
    """A weekday with nothing after it is closed."""
    if isinstance(value, dict):
        return {day: [] if spans is None else spans for day, spans in value.items()}
    return value


TimeZone = Annotated[str, AfterValidator(_known_zone)]
PaneMs = Annotated[int, Field(ge=1, le=60_000), AfterValidator(_pane)]
Opening = Annotated[str, AfterValidator(_opening)]
Hours = Annotated[dict[Weekday, list[Opening]], BeforeValidator(_closed)]
Holiday = Annotated[date, BeforeValidator(_day)]
Band = Annotated[tuple[Fraction, Fraction], BeforeValidator(_pair), AfterValidator(_ascending)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: object) -> object:
        if data is None:
            return {}
        if isinstance(data, dict):
            return {k: v for k, v in data.items() if v is not None or k not in cls.model_fields}
        return data


class Targets(_Settings):
    """What a queue aims at: ratios between 0 and 1, times in milliseconds; absent means no aim."""

    service_level: Fraction | None = None
    abandonment: Fraction | None = None
    longest_wait_ms: TargetMs | None = None
    asa_ms: TargetMs | None = None
    aht_ms: TargetMs | None = None

    def given(self) -> dict[str, float]:
        """The targets that are set, by name."""
        return self.model_dump(exclude_none=True)


class DefaultSettings(_Settings):
    """What holds for a queue that does not say otherwise; times in milliseconds."""

    threshold_ms: Ms = 20_000
    short_abandon_ms: Ms = 5_000
    formula: Formula = "abandons_negative"
    exclude_short: bool = False
    stuck_after_ms: PositiveMs | None = None
    min_volume: Annotated[int, Field(ge=0)] | None = None
    targets: Targets = Targets()


class QueueSettings(_Settings):
    """What one queue says; None is taken from the defaults."""

    name: str | None = None
    threshold_ms: Ms | None = None
    short_abandon_ms: Ms | None = None
    formula: Formula | None = None
    exclude_short: bool | None = None
    stuck_after_ms: PositiveMs | None = None
    min_volume: Annotated[int, Field(ge=0)] | None = None
    targets: Targets = Targets()


class TeamSettings(_Settings):
    """What one team says; `occupancy` is the band aimed at, as ratios."""

    name: str | None = None
    occupancy: Band | None = None


@dataclass(frozen=True, slots=True)
class ResolvedQueue:
    """Everything that holds for one queue, times in milliseconds."""

    queue: str
    name: str
    threshold_ms: int
    short_abandon_ms: int
    formula: str
    exclude_short: bool
    stuck_after_ms: int
    min_volume: int
    targets: Targets


class SiteSettings(_Settings):
    """Settings of one site; times in milliseconds.

    `hours` lists the opening hours of each weekday (`mon: ["08:00-20:00"]`) in the site's zone;
    without it the site is always open, and with it a weekday that is not named is closed.
    `repeat_window_ms` is how long after a contact another one of the same customer says that the
    first was not resolved. `sources` says by platform how its payloads are to be read; what may
    stand there is the platform's own and is checked with it.
    """

    site: Id
    name: str = ""
    time_zone: TimeZone = "UTC"
    pane_ms: PaneMs = 10_000
    anchor: Literal["outcome", "arrival"] = "outcome"
    stuck_after_ms: PositiveMs = 14_400_000
    lateness_ms: Ms = 900_000
    max_ahead_ms: Ms = 60_000
    hours: Hours | None = None
    holidays: list[Holiday] = []
    repeat_window_ms: PositiveMs = 604_800_000
    sources: Annotated[dict[str, dict[str, Any]], BeforeValidator(_nothing_is_empty)] = {}
    defaults: DefaultSettings = DefaultSettings()
    queues: Annotated[dict[Id, QueueSettings], BeforeValidator(_nothing_is_empty)] = {}
    teams: Annotated[dict[str, TeamSettings], BeforeValidator(_nothing_is_empty)] = {}

    _resolved: dict[str, ResolvedQueue] = PrivateAttr(default_factory=dict)

    def queue(self, queue: str) -> ResolvedQueue:
        """What holds for a queue, named in the settings or not. The answer is kept."""
        found = self._resolved.get(queue)
        if found is None:
            found = self._resolved[queue] = self._resolve(queue)
        return found

    def team(self, team: str) -> TeamSettings:
        """What the settings say of a team, named there or not."""
        return self.teams.get(team) or _NO_TEAM

    def dump(self) -> dict[str, Any]:
        """The settings as JSON values, which `parse_site` reads back to equal settings."""
        return self.model_dump(mode="json", exclude_none=True)

    def _resolve(self, queue: str) -> ResolvedQueue:
        base, own = self.defaults, self.queues.get(queue) or _NO_QUEUE
        return ResolvedQueue(
            queue=queue,
            name=queue if own.name is None else own.name,
            threshold_ms=_first(own.threshold_ms, base.threshold_ms),
            short_abandon_ms=_first(own.short_abandon_ms, base.short_abandon_ms),
            formula=own.formula or base.formula,
            exclude_short=base.exclude_short if own.exclude_short is None else own.exclude_short,
            stuck_after_ms=own.stuck_after_ms or base.stuck_after_ms or self.stuck_after_ms,
            min_volume=_first(own.min_volume, _first(base.min_volume, 0)),
            targets=Targets(**{**base.targets.given(), **own.targets.given()}),
        )


_NO_QUEUE = QueueSettings()
_NO_TEAM = TeamSettings()


def load_site_file(path: Path) -> SiteSettings:
    """Read a site's YAML file; raise `SettingsError` if it cannot be used."""
    try:
        source = read_yaml(path)
    except YamlProblem as problem:
        raise SettingsError(problem.where, problem.key, problem.what) from None
    if source.value is None:
        raise SettingsError(str(path), "", "is empty; it needs at least `site: <id>`")
    try:
        return SiteSettings.model_validate(source.value)
    except ValidationError as error:
        raise _settings_error(error, str(path), source) from None


def parse_site(obj: dict[str, Any], source: str) -> SiteSettings:
    """Check settings that are already decoded; `source` is what an error names as their place."""
    try:
        return SiteSettings.model_validate(obj)
    except ValidationError as error:
        raise _settings_error(error, source, None) from None


def _first(own: int | None, other: int) -> int:
    return other if own is None else own


def _settings_error(error: ValidationError, file: str, source: YamlSource | None) -> SettingsError:
    first = error.errors(include_url=False)[0]
    path = tuple(part for part in first["loc"] if part != "[key]")
    line = None if source is None else source.line_of(path)
    where = file if line is None else f"{file}:{line}"
    return SettingsError(where, ".".join(_plain(part) for part in path), _problem(first, path))


def _plain(part: int | str) -> str:
    """A step of a key path, in quotes if it could be misread: a team may be called ``""``."""
    return str(part) if re.fullmatch(r"[\w -]+", str(part)) else f'"{part}"'


def _problem(error: ErrorDetails, path: tuple[int | str, ...]) -> str:
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"unknown key{_unknown_key(str(path[-1]), _keys_beside(path))}"
    if kind == "missing":
        return "is required"
    if kind == "literal_error":
        word = str(path[-1]) if "[key]" in error["loc"] else given
        return _not_one_of(word, path)
    if kind in _EXPECTED:
        return f"should be {_EXPECTED[kind]}, not {given!r}{_remedy(kind, given)}"
    message = error["msg"].replace("Input should", "should")
    if kind in ("less_than_equal", "greater_than_equal"):
        return f"{message}, not {given!r}{_percent(error, given)}"
    return message


_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a set of keys",
    "model_type": "a set of keys",
    "model_attributes_type": "a set of keys",
    "list_type": "a list",
    "tuple_type": "a list",
    "date_type": "a date YYYY-MM-DD",
    "string_too_short": "not empty",
}


def _remedy(kind: str, given: object) -> str:
    if kind == "string_type" and isinstance(given, int | float | date):
        return "; put it in quotes"
    if kind in ("int_type", "float_type") and isinstance(given, str):
        try:
            float(given)
        except ValueError:
            return ""
        return "; write it without quotes"
    return ""


def _percent(error: ErrorDetails, given: object) -> str:
    share = error.get("ctx", {}).get("le") == 1
    if share and isinstance(given, int | float) and 1 < given <= 100:
        return f"; for {given:g} % write {given / 100:g}"
    return ""


def _not_one_of(word: object, path: tuple[int | str, ...]) -> str:
    words = _words_at(path)
    return f"{word!r} is not one of {', '.join(words)}{_did_you_mean(str(word), words)}"


def _words_at(path: tuple[int | str, ...]) -> list[str]:
    if path[-1] == "formula":
        return list(FORMULAS)
    if path[-1] == "anchor":
        return ["outcome", "arrival"]
    return list(get_args(Weekday))


def _keys_beside(path: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where the unknown one stands."""
    model: type[BaseModel] = SiteSettings
    for part in path[:-1]:
        field = model.model_fields.get(str(part))
        if field is not None:
            model = next(_models_in(field.annotation), model)
    return list(model.model_fields)


def _places() -> dict[str, list[str]]:
    return {
        "at the top": list(SiteSettings.model_fields),
        "under defaults or a queue": list(QueueSettings.model_fields),
        "under targets": list(Targets.model_fields),
        "under a team": list(TeamSettings.model_fields),
    }


def _unknown_key(word: str, beside: list[str]) -> str:
    """The key that was meant, which may have its place elsewhere."""
    for place, keys in _places().items():
        if word in keys:
            return f"; {word} belongs {place}"
    elsewhere = {key: place for place, keys in _places().items() for key in keys}
    near = difflib.get_close_matches(word, [*beside, *elsewhere], n=1, cutoff=0.5)
    if not near:
        return ""
    where = "" if near[0] in beside else f", {elsewhere[near[0]]}"
    return f"; did you mean {near[0]}{where}?"


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    if get_origin(annotation) in (dict, Union, UnionType, Annotated):
        for inner in get_args(annotation):
            yield from _models_in(inner)


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
