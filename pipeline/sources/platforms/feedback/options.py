"""What a site says of its feedback: how its columns are called, which scales it asks in."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from pipeline.sources.source import NoOptions

COLUMNS = frozenset(
    {
        "kind", "contact", "ts", "queue", "agent", "customer", "issue", "channel",
        "csat", "nps", "ces", "resolved", "score", "escalation_risk", "form", "url",
        "outcome", "answered_at", "ended_at", "wrapped_at",
    }
)  # fmt: skip
"""The columns that are read; all others are ignored."""


class FeedbackOptions(NoOptions):
    """`columns` maps a site's own headers to ours, whatever their case.

    `fixed` gives columns that the rows lack, such as `kind: survey`. `csat_scale` is what
    satisfaction is asked in; a rating that has no exact place on 1 to 5 is refused. `csat_words`
    maps answers in words to 1..5. `sentiment_scale` and `evaluation_scale` are the greatest score
    there is. `time_format` is a pattern of strptime for times that are neither ISO nor epoch ms.
    """

    columns: dict[str, str] = {}
    fixed: dict[str, str] = {}
    csat_scale: Literal["1-5", "1-10", "percent", "stars"] = "1-5"
    csat_words: dict[str, int] = {}
    sentiment_scale: float = 1.0
    evaluation_scale: float = 100.0
    time_format: str | None = None

    @field_validator("columns")
    @classmethod
    def _map_to_ours(cls, columns: dict[str, str]) -> dict[str, str]:
        for name in columns.values():
            _known(name)
        return columns

    @field_validator("fixed")
    @classmethod
    def _fix_ours(cls, fixed: dict[str, str]) -> dict[str, str]:
        for name in fixed:
            _known(name)
        return fixed

    @field_validator("csat_words")
    @classmethod
    def _be_ratings(cls, words: dict[str, int]) -> dict[str, int]:
        for word, rating in words.items():
            if not 1 <= rating <= 5:
                raise ValueError(f"{word!r} should be a rating from 1 to 5, not {rating}")
        return words

    @field_validator("sentiment_scale", "evaluation_scale")
    @classmethod
    def _be_positive(cls, scale: float) -> float:
        if not 0 < scale <= 1e6:
            raise ValueError(f"should be greater than 0 and at most 1,000,000, not {scale}")
        return scale


def _known(name: str) -> None:
    if name not in COLUMNS:
        raise ValueError(f"{name!r} is no column of ours; those are {', '.join(sorted(COLUMNS))}")
