"""Feedback from anywhere: surveys, evaluations, sentiment, recordings, dialler and chatbot results.

`feedback-csv` is a file, CSV or NDJSON; `feedback` is a webhook that posts the same objects. One
row is one thing said of one contact; its `kind` says what. See docs/sources/feedback.md.
"""

from pipeline.sources.platforms.feedback.options import FeedbackOptions
from pipeline.sources.platforms.feedback.rows import rows_of
from pipeline.sources.platforms.feedback.translator import FeedbackTranslator, kind_of
from pipeline.sources.source import Source, elements_of

SOURCES = (
    Source(
        name="feedback",
        title="Feedback by a signed webhook",
        translator=FeedbackTranslator,
        kind=kind_of,
        options=FeedbackOptions,
        payloads=elements_of,
    ),
    Source(
        name="feedback-csv",
        title="Feedback in CSV or NDJSON files",
        translator=FeedbackTranslator,
        kind=kind_of,
        options=FeedbackOptions,
        payloads=rows_of,
    ),
)
