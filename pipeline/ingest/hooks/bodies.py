"""A webhook's body, taken apart into payloads as the platform's translator wants them. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import orjson

from pipeline.ingest.body import MAX_PAYLOADS, Taken, TooManyPayloads, payloads_of
from pipeline.ingest.hooks.signatures import FORM
from pipeline.ingest.raw import KEPT_BYTES, MAX_EVENT_BYTES, RawRecord

FIREHOSE = "X-Amz-Firehose-Request-Id"
"""The header by which a delivery of Amazon Data Firehose is known."""


class BadBody(ValueError):
    """A body that is not what its content type or its sender says."""


def take_payloads(
    body: bytes, content_type: str, site: str, source: str, received: int, *, firehose: bool
) -> Taken:
    """The raw records of a body. Raises `BadBody` and `TooManyPayloads`.

    A form is one payload, unchanged; JSON arrays and lines are one payload each; of Firehose's
    envelope each record's data.
    """
    taken = Taken()
    payloads: Iterator[tuple[int, bytes]]
    if content_type == FORM:
        payloads = iter([(1, body)] if body.strip() else [])
    elif firehose:
        payloads = enumerate(_firehose(body), 1)
    else:
        payloads = payloads_of(body)
    for line, payload in payloads:
        if len(taken.records) == MAX_PAYLOADS:
            raise TooManyPayloads
        large = len(payload) > MAX_EVENT_BYTES
        if large:
            limit = f"{len(payload)} bytes, more than the {MAX_EVENT_BYTES} a payload may have"
            taken.refuse(line, "payload", limit)
        else:
            taken.taken += 1
        kept = payload[:KEPT_BYTES] if large else payload
        cut = len(payload) if large else 0
        taken.records.append(RawRecord(site, kept, received, source, source, cut))
    return taken


def _firehose(body: bytes) -> list[bytes]:
    """The data of a delivery: each record may hold several lines or objects."""
    records = _firehose_envelope(body).get("records")
    if not isinstance(records, list):
        raise BadBody("records: should be a list")
    payloads: list[bytes] = []
    for number, record in enumerate(records):
        data = record.get("data") if isinstance(record, dict) else None
        try:
            decoded = base64.b64decode(data, validate=True) if isinstance(data, str) else None
        except binascii.Error:
            decoded = None
        if decoded is None:
            raise BadBody(f"records.{number}.data: is no base64")
        payloads += (payload for _, payload in payloads_of(decoded))
    return payloads


def _firehose_envelope(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadBody(f"not JSON: {error}") from None
    if not isinstance(told, dict):
        raise BadBody("not a JSON object")
    return told
