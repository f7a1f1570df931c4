"""Zendesk's words: how tickets come, statuses of agents, events that say nothing of contacts."""

from __future__ import annotations

from schemas.events import Channel, PlatformState

_EMAIL = ("mail", "email", "web_form", "web", "web_widget", "helpcenter", "mobile", "mobile_sdk")
_CHAT = ("chat", "chat_transcript", "chat_offline_message")
_VOICE = (
    "phone_call_inbound",
    "phone_call_outbound",
    "voicemail",
    "api_phone_call_inbound",
    "api_phone_call_outbound",
    "api_voicemail",
)
_SOCIAL = ("twitter", "twitter_favorite", "facebook_post", "topic", "any_channel")
_MESSAGE = (
    "native_messaging",
    "apple_business_chat",
    "business_messaging_slack_connect",
    "facebook_message",
    "google_business_messages",
    "google_rcs",
    "instagram_dm",
    "kakaotalk",
    "line",
    "messagebird_sms",
    "sms",
    "sunshine_conversations_api",
    "sunshine_conversations_facebook_messenger",
    "sunshine_conversations_twitter_dm",
    "telegram",
    "text_message",
    "twilio_sms",
    "twitter_dm",
    "viber",
    "wechat",
    "whatsapp",
)
CHANNELS: dict[str, Channel] = {
    **dict.fromkeys(_EMAIL, "email"),
    **dict.fromkeys(_CHAT, "chat"),
    **dict.fromkeys(_VOICE, "voice"),
    **dict.fromkeys(_SOCIAL, "social"),
    **dict.fromkeys(_MESSAGE, "message"),
}
OUTBOUND = frozenset({"phone_call_outbound", "api_phone_call_outbound"})

STATES: dict[str, PlatformState] = {
    "online": "available",
    "away": "not_ready",
    # Takes what colleagues pass on and nothing new.
    "transfers_only": "not_ready",
    "transfers only": "not_ready",
    "invisible": "not_ready",
    "offline": "offline",
}
SILENT_TICKET = frozenset(
    {
        "attachment_linked_to_comment",
        "attachment_redacted_from_comment",
        "brand_changed",
        "comment_made_private",
        "comment_redacted",
        "csat_requested",
        "custom_field_changed",
        "custom_status_changed",
        "description_changed",
        "email_ccs_changed",
        "external_id_changed",
        "followers_changed",
        "form_changed",
        "next_sla_breach_changed",
        "ola_policy_changed",
        "organization_changed",
        "permanently_deleted",
        "priority_changed",
        "problem_link_changed",
        "requester_changed",
        "schedule_changed",
        "sla_policy_changed",
        "subject_changed",
        "submitter_changed",
        "tags_changed",
        "task_due_at_changed",
        "type_changed",
        "undeleted",
    }
)
SILENT_AGENT = frozenset(
    {"channel_created", "channel_deleted", "groups_updated", "max_capacity_changed"}
)
SILENT_DOMAINS = frozenset(
    {
        "article",
        "community_post",
        "messaging_live_metrics",
        "messaging_ticket",
        "omnichannel_config",
        "organization",
        "user",
    }
)
TICKET_WORK = frozenset({"support", "messaging"})
"""Work items of these channels are tickets; those of `talk` are calls under ids of their own."""
