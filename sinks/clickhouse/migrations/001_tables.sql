-- Rows as the engine emits them. Every moment is UTC with milliseconds. A later version of a row
-- replaces an earlier one; a withdrawn row arrives with is_deleted = 1. The sorting key is the
-- identity of the row and holds its start moment, which never changes, so all versions of a row
-- lie in one partition and FINAL sees them together. After the site comes the moment, because
-- reports ask for a time range; a contact is found by its index.
-- The deduplication windows make a repeated batch (same token) a no-op; both are set, since
-- each kind of server reads only its own.

CREATE TABLE IF NOT EXISTS ${database}.visits
(
    site LowCardinality(String) COMMENT 'Site (contact centre, tenant)',
    contact String COMMENT 'Contact that waited',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait' CODEC(Delta, ZSTD(1)),
    queue LowCardinality(String) COMMENT 'Queue it waited in',
    channel Enum8('voice' = 1, 'chat' = 2, 'email' = 3, 'message' = 4, 'social' = 5, 'callback' = 6, 'task' = 7) COMMENT 'Channel of the visit',
    direction Enum8('inbound' = 1, 'outbound' = 2) COMMENT 'Direction; changes no counter',
    customer String COMMENT 'Customer; empty where unknown',
    priority Nullable(Int64) COMMENT 'Priority the source gave; null where none',
    outcome Enum8('waiting' = 1, 'answered' = 2, 'abandoned' = 3, 'left' = 4) COMMENT 'How the wait ended; waiting while it lasts',
    reason Enum8('' = 0, 'callback' = 1, 'overflow' = 2, 'timeout' = 3, 'transfer' = 4, 'voicemail' = 5, 'answered_elsewhere' = 6, 'lost' = 7, 'other' = 8) COMMENT 'Why it left; empty unless outcome is left',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the wait ended; null while it lasts',
    agent LowCardinality(String) COMMENT 'Agent who answered; empty unless outcome is answered',
    threshold_ms Int64 COMMENT 'Service-level threshold in force when queued, milliseconds',
    short_abandon_ms Int64 COMMENT 'Short-abandon limit in force when queued, milliseconds',
    stuck_after_ms Int64 COMMENT 'Longest believable wait in force when queued, milliseconds',
    formula Enum8('answered_only' = 1, 'ignore_abandons' = 2, 'abandons_negative' = 3, 'abandons_positive' = 4, 'sl_event_negative' = 5, 'sl_event_ignore' = 6, 'sl_event_positive' = 7) COMMENT 'Service-level formula of the queue when queued',
    exclude_short UInt8 COMMENT '1 where short abandons stay out of the service level',
    anchor Enum8('outcome' = 1, 'arrival' = 2) COMMENT 'Moment that stamps answered, abandoned and left',
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row',
    INDEX contact_index contact TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(queued_at)
ORDER BY (site, queued_at, contact, queue)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'One row a wait of a contact in a queue';

CREATE TABLE IF NOT EXISTS ${database}.legs
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact',
    answered_at DateTime64(3, 'UTC') COMMENT 'Moment the agent answered' CODEC(Delta, ZSTD(1)),
    agent LowCardinality(String) COMMENT 'Agent',
    queue LowCardinality(String) COMMENT 'Queue the leg counts in; empty = none (agent time only)',
    channel Enum8('voice' = 1, 'chat' = 2, 'email' = 3, 'message' = 4, 'social' = 5, 'callback' = 6, 'task' = 7) COMMENT 'Channel of the leg',
    visit_queued_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the visit the answer closed; null for a leg without a visit',
    released_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment talk ended; null while talking',
    wrapped_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment wrap-up ended; null while open',
    release_reason Enum8('' = 0, 'completed' = 1, 'transferred' = 2) COMMENT 'How talk ended; empty while talking',
    code LowCardinality(String) COMMENT 'Wrap-up code; empty where none',
    hold_ms Int64 COMMENT 'Closed holds so far, milliseconds',
    talk_ms Int64 COMMENT 'Talk without hold, milliseconds; 0 until released',
    wrap_ms Int64 COMMENT 'Wrap-up, milliseconds; 0 until wrapped',
    handled UInt8 COMMENT '1 once wrapped and counted as handled',
    stuck UInt8 COMMENT '1 where the leg never ended and was closed as stuck: not handled',
    team LowCardinality(String) COMMENT 'Team of the agent when answering; empty where unknown',
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row',
    INDEX contact_index contact TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(answered_at)
ORDER BY (site, answered_at, contact, agent)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'One row a conversation of an agent in a contact, wrap-up included';

CREATE TABLE IF NOT EXISTS ${database}.declines
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact that rang',
    declined_at DateTime64(3, 'UTC') COMMENT 'Moment the ring ended without an answer' CODEC(Delta, ZSTD(1)),
    agent LowCardinality(String) COMMENT 'Agent at whom it rang',
    ordinal Int32 COMMENT 'Tells declines of one agent in one contact at one moment apart',
    queue LowCardinality(String) COMMENT 'Queue of the visit it counts for',
    channel Enum8('voice' = 1, 'chat' = 2, 'email' = 3, 'message' = 4, 'social' = 5, 'callback' = 6, 'task' = 7) COMMENT 'Channel of that visit',
    reason Enum8('no_answer' = 1, 'rejected' = 2) COMMENT 'Why the ring ended',
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row',
    INDEX contact_index contact TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(declined_at)
ORDER BY (site, declined_at, contact, agent, ordinal)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'One row a ring that ended without an answer and counts for a visit';

CREATE TABLE IF NOT EXISTS ${database}.agent_intervals
(
    site LowCardinality(String) COMMENT 'Site',
    agent LowCardinality(String) COMMENT 'Agent',
    started_at DateTime64(3, 'UTC') COMMENT 'First moment of the interval' CODEC(Delta, ZSTD(1)),
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First moment after it; null while it lasts',
    state Enum8('talk' = 1, 'hold' = 2, 'wrap' = 3, 'busy' = 4, 'ringing' = 5, 'available' = 6, 'not_ready' = 7, 'offline' = 8) COMMENT 'The one state of the agent during the interval',
    team LowCardinality(String) COMMENT 'Team of the agent during the interval; empty where unknown',
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(started_at)
ORDER BY (site, started_at, agent)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'One row an interval in which an agent keeps one state and one team; open ones included';

CREATE TABLE IF NOT EXISTS ${database}.queue_panes
(
    site LowCardinality(String) COMMENT 'Site',
    pane_start DateTime64(3, 'UTC') COMMENT 'First moment of the pane' CODEC(Delta, ZSTD(1)),
    queue LowCardinality(String) COMMENT 'Queue',
    channel Enum8('voice' = 1, 'chat' = 2, 'email' = 3, 'message' = 4, 'social' = 5, 'callback' = 6, 'task' = 7) COMMENT 'Channel',
    offered Int64 COMMENT 'Visits that began to wait' CODEC(T64, ZSTD(1)),
    answered Int64 COMMENT 'Visits answered' CODEC(T64, ZSTD(1)),
    answered_in Int64 COMMENT 'Answered within the threshold' CODEC(T64, ZSTD(1)),
    wait_ms Int64 COMMENT 'Sum of the waits of answered visits, milliseconds' CODEC(T64, ZSTD(1)),
    abandoned Int64 COMMENT 'Visits abandoned' CODEC(T64, ZSTD(1)),
    abandoned_in Int64 COMMENT 'Abandoned within the threshold' CODEC(T64, ZSTD(1)),
    abandoned_short Int64 COMMENT 'Abandoned within the short limit' CODEC(T64, ZSTD(1)),
    abandoned_wait_ms Int64 COMMENT 'Sum of the waits of abandoned visits, milliseconds' CODEC(T64, ZSTD(1)),
    left_callback Int64 COMMENT 'Left for a callback' CODEC(T64, ZSTD(1)),
    left_overflow Int64 COMMENT 'Left by overflow, timeout or transfer' CODEC(T64, ZSTD(1)),
    left_other Int64 COMMENT 'Left in any other way' CODEC(T64, ZSTD(1)),
    sl_met Int64 COMMENT 'Service-level event: answered within the threshold' CODEC(T64, ZSTD(1)),
    sl_missed Int64 COMMENT 'Service-level event: the threshold passed while waiting' CODEC(T64, ZSTD(1)),
    sl_abandoned Int64 COMMENT 'Service-level event: abandoned within the threshold' CODEC(T64, ZSTD(1)),
    declined Int64 COMMENT 'Rings that ended without an answer' CODEC(T64, ZSTD(1)),
    transferred Int64 COMMENT 'Legs released as transferred' CODEC(T64, ZSTD(1)),
    handled Int64 COMMENT 'Legs wrapped' CODEC(T64, ZSTD(1)),
    talk_ms Int64 COMMENT 'Talk of handled legs without hold, milliseconds' CODEC(T64, ZSTD(1)),
    hold_ms Int64 COMMENT 'Hold of handled legs, milliseconds' CODEC(T64, ZSTD(1)),
    wrap_ms Int64 COMMENT 'Wrap-up of handled legs, milliseconds' CODEC(T64, ZSTD(1)),
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(pane_start)
ORDER BY (site, pane_start, queue, channel)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'The twenty counters of a queue and channel in one closed pane; panes of zeros may be absent';

CREATE TABLE IF NOT EXISTS ${database}.team_panes
(
    site LowCardinality(String) COMMENT 'Site',
    pane_start DateTime64(3, 'UTC') COMMENT 'First moment of the pane' CODEC(Delta, ZSTD(1)),
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    talk_ms Int64 COMMENT 'Time in talk, milliseconds' CODEC(T64, ZSTD(1)),
    hold_ms Int64 COMMENT 'Time with every talking leg held, milliseconds' CODEC(T64, ZSTD(1)),
    wrap_ms Int64 COMMENT 'Time in wrap-up, by a leg or by the word of the platform, milliseconds' CODEC(T64, ZSTD(1)),
    busy_state_ms Int64 COMMENT 'Time the platform calls busy, milliseconds' CODEC(T64, ZSTD(1)),
    ringing_ms Int64 COMMENT 'Time a contact rang at an available agent, milliseconds' CODEC(T64, ZSTD(1)),
    available_ms Int64 COMMENT 'Time available, milliseconds' CODEC(T64, ZSTD(1)),
    not_ready_ms Int64 COMMENT 'Time not ready, milliseconds' CODEC(T64, ZSTD(1)),
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(pane_start)
ORDER BY (site, pane_start, team)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'State time of a team in one closed pane; panes of zeros may be absent';

CREATE TABLE IF NOT EXISTS ${database}.feedback
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact the fact is about',
    at DateTime64(3, 'UTC') COMMENT 'Moment of the fact' CODEC(Delta, ZSTD(1)),
    type Enum8('survey.answered' = 1, 'contact.resolved' = 2, 'contact.sentiment' = 3, 'contact.evaluated' = 4, 'contact.recorded' = 5) COMMENT 'Type of the event',
    key String COMMENT 'Digest of the event: equal facts are one',
    queue LowCardinality(Nullable(String)) COMMENT 'Queue a survey names',
    agent LowCardinality(Nullable(String)) COMMENT 'Agent who was evaluated',
    customer Nullable(String) COMMENT 'Customer the CRM names',
    csat Nullable(Int64) COMMENT 'Customer satisfaction, 1..5',
    nps Nullable(Int64) COMMENT 'Likelihood to recommend, 0..10',
    ces Nullable(Int64) COMMENT 'Customer effort score, 1..7',
    resolved Nullable(Bool) COMMENT 'Whether the issue was resolved',
    score Nullable(Float64) COMMENT 'Sentiment -1..1, or evaluation 0..100',
    escalation_risk Nullable(Float64) COMMENT 'Risk of escalation, 0..1',
    issue Nullable(String) COMMENT 'Issue in the CRM or help desk',
    form Nullable(String) COMMENT 'Evaluation form',
    url Nullable(String) COMMENT 'Where the recording is',
    source LowCardinality(Nullable(String)) COMMENT 'Platform that said so',
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row',
    INDEX contact_index contact TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(at)
ORDER BY (site, at, contact, key)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'Facts about contacts from surveys, CRM, AI and QA; no part of the story of a contact';

CREATE TABLE IF NOT EXISTS ${database}.pane_settings
(
    site LowCardinality(String) COMMENT 'Site',
    valid_from DateTime64(3, 'UTC') COMMENT 'Moment the settings took effect; the first ones hold from the beginning',
    pane_ms Int64 COMMENT 'Length of a pane, milliseconds',
    time_zone LowCardinality(String) COMMENT 'IANA time zone whose midnight starts the day',
    anchor Enum8('outcome' = 1, 'arrival' = 2) COMMENT 'Moment that stamps answered, abandoned and left',
    lateness_ms Int64 COMMENT 'How late an event may be, milliseconds',
    settings String COMMENT 'All settings of the site as JSON' CODEC(ZSTD(3)),
    version UInt64 COMMENT 'epoch << 40 | offset of the frame that produced the row' CODEC(Delta, ZSTD(1)),
    is_deleted UInt8 DEFAULT 0 COMMENT '1 where the engine has withdrawn the row'
)
ENGINE = ReplacingMergeTree(version, is_deleted)
PARTITION BY toYYYYMM(valid_from)
ORDER BY (site, valid_from)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'History of the settings of a site';

CREATE TABLE IF NOT EXISTS ${database}.sink_progress
(
    site LowCardinality(String) COMMENT 'Site',
    version UInt64 COMMENT 'All rows of the site up to this version are in the tables',
    at DateTime64(3, 'UTC') COMMENT 'Time of the site up to which they are known',
    epoch UInt32 MATERIALIZED toUInt32(bitShiftRight(version, 40)) COMMENT 'Incarnation of the frames topic',
    frame_offset UInt64 MATERIALIZED bitAnd(version, 1099511627775) COMMENT 'Offset of the last frame',
    topic LowCardinality(String) COMMENT 'Topic of the rows',
    partition Int32 COMMENT 'Partition of that topic',
    rows_offset Int64 COMMENT 'Offset of the last record written',
    written_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'Server time of the write'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY site
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'How far the tables are complete, one row a site';
