-- What analysts read instead of the tables: the last version of each record, withdrawn ones gone.
-- Views name their database, because a view that calls a view with parameters is resolved in the
-- database of whoever asks.

CREATE OR REPLACE VIEW ${database}.progress
(
    site LowCardinality(String) COMMENT 'Site',
    at DateTime64(3, 'UTC') COMMENT 'Time of the site: what happened up to it is in the tables',
    version UInt64 COMMENT 'Version up to which rows are complete',
    epoch UInt32 COMMENT 'Incarnation of the frames topic',
    frame_offset UInt64 COMMENT 'Offset of the last frame whose rows are complete',
    topic LowCardinality(String) COMMENT 'Topic of the rows',
    partition Int32 COMMENT 'Partition of that topic',
    rows_offset Int64 COMMENT 'Offset of the last record written',
    written_at DateTime64(3, 'UTC') COMMENT 'Time of the server when it was written'
)
AS SELECT site, at, version, epoch, frame_offset, topic, partition, rows_offset, written_at
FROM ${database}.sink_progress FINAL
COMMENT 'How far each site is known: its time, which every report uses in place of the clock';

CREATE OR REPLACE VIEW ${database}.settings_history
(
    site LowCardinality(String) COMMENT 'Site',
    valid_from DateTime64(3, 'UTC') COMMENT 'Moment the settings took effect; the first ones hold from the beginning',
    pane_ms Int64 COMMENT 'Length of a pane, milliseconds',
    time_zone LowCardinality(String) COMMENT 'IANA time zone of the day',
    anchor LowCardinality(String) COMMENT 'outcome or arrival',
    lateness_ms Int64 COMMENT 'How late an event may be, milliseconds',
    settings String COMMENT 'All settings as JSON'
)
AS SELECT site, valid_from, pane_ms, time_zone, toString(anchor) AS anchor, lateness_ms, settings
FROM ${database}.pane_settings FINAL
COMMENT 'Every settings a site has had';

CREATE OR REPLACE VIEW ${database}.contact_legs
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact',
    answered_at DateTime64(3, 'UTC') COMMENT 'Moment the agent answered',
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Team of the agent when answering',
    queue LowCardinality(String) COMMENT 'Queue the leg counts in; empty = none',
    channel LowCardinality(String) COMMENT 'Channel',
    visit_queued_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the visit the answer closed; null for a leg without a visit',
    released_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment talk ended; null while talking',
    wrapped_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment wrap-up ended; null while open',
    release_reason LowCardinality(String) COMMENT 'completed or transferred; empty while talking',
    code LowCardinality(String) COMMENT 'Wrap-up code',
    talk_ms Int64 COMMENT 'Talk without hold, milliseconds; 0 until released',
    hold_ms Int64 COMMENT 'Closed holds so far, milliseconds',
    wrap_ms Int64 COMMENT 'Wrap-up, milliseconds; 0 until wrapped',
    handled UInt8 COMMENT '1 once wrapped and counted as handled',
    stuck UInt8 COMMENT '1 where the leg never ended and was closed as stuck: not handled'
)
AS SELECT
    site, contact, answered_at, agent, team, queue, toString(channel) AS channel, visit_queued_at, released_at,
    wrapped_at, toString(release_reason) AS release_reason, code, talk_ms, hold_ms, wrap_ms, handled, stuck
FROM ${database}.legs FINAL
COMMENT 'One row a conversation of an agent in a contact';

CREATE OR REPLACE VIEW ${database}.contact_declines
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact that rang',
    declined_at DateTime64(3, 'UTC') COMMENT 'Moment the ring ended without an answer',
    agent LowCardinality(String) COMMENT 'Agent at whom it rang',
    queue LowCardinality(String) COMMENT 'Queue of the visit it counts for',
    channel LowCardinality(String) COMMENT 'Channel of that visit',
    reason LowCardinality(String) COMMENT 'no_answer or rejected'
)
AS SELECT
    site, contact, declined_at, agent, queue, toString(channel) AS channel, toString(reason) AS reason
FROM ${database}.declines FINAL
COMMENT 'One row a ring that ended without an answer (RONA)';

CREATE OR REPLACE VIEW ${database}.agent_states
(
    site LowCardinality(String) COMMENT 'Site',
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Team during the interval',
    state LowCardinality(String) COMMENT 'talk, hold, wrap, busy, ringing, available, not_ready or offline',
    started_at DateTime64(3, 'UTC') COMMENT 'First moment of the interval',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'First moment after it; null while it lasts'
)
AS SELECT site, agent, team, toString(state) AS state, started_at, ended_at
FROM ${database}.agent_intervals FINAL
COMMENT 'One row an interval of an agent in one state';

CREATE OR REPLACE VIEW ${database}.contact_feedback
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact the fact is about',
    at DateTime64(3, 'UTC') COMMENT 'Moment of the fact',
    type LowCardinality(String) COMMENT 'survey.answered, contact.resolved, contact.sentiment, contact.evaluated or contact.recorded',
    queue Nullable(String) COMMENT 'Queue a survey names',
    agent Nullable(String) COMMENT 'Agent who was evaluated',
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
    source Nullable(String) COMMENT 'Platform that said so'
)
AS SELECT
    site, contact, at, toString(type) AS type, queue, agent, customer, csat, nps, ces, resolved, score,
    escalation_risk, issue, form, url, source
FROM ${database}.feedback FINAL
COMMENT 'Facts about contacts from surveys, CRM, AI and QA';
