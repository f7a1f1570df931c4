"""What a site knows of its Salesforce org."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from pipeline.sources.source import NoOptions

Channel = Literal["voice", "chat", "email", "message", "social", "callback", "task"]
State = Literal["available", "busy", "wrap", "not_ready", "offline"]

_ANSWERS = ("contact", "csat", "nps", "ces", "resolved")


class SalesforceOptions(NoOptions):
    """`channels` maps ids of service channels; without an entry the kind of record decides.

    `presence` maps presence statuses, by id or developer name, to states; without an entry a status
    is available, or not_ready where it is one of being away. `acw` says whether CloseDateTime
    comes at the end of the after-conversation work (`inside`) or before it (`after`). `abandons`
    says what tells that a customer gave up: the end of the `routing`, or of the `work_item`.
    `skills_queue` is the queue of work that skills and no queue routed. Of cases,
    `case_contact_field` has the contact's id in the telephony platform, `closed_statuses` count
    where IsClosed is not given. `survey_fields` are the places of answers in a SurveyResponse.
    """

    channels: dict[str, Channel] = {}
    presence: dict[str, State] = {}
    acw: Literal["inside", "after"] = "inside"
    abandons: Literal["routing", "work_item"] = "routing"
    skills_queue: str | None = None
    case_contact_field: str = "Id"
    case_customer_field: str = "ContactId"
    case_issue_field: str = "Reason"
    closed_statuses: list[str] = ["Closed"]
    survey_fields: dict[str, str] = {}

    @field_validator("survey_fields")
    @classmethod
    def _be_answers(cls, fields: dict[str, str]) -> dict[str, str]:
        for name in fields:
            if name not in _ANSWERS:
                raise ValueError(f"{name!r} is none of {', '.join(_ANSWERS)}")
        return fields
