-- A contact may have several stories: what comes after it was forgotten begins a new one. An event of
-- the old story that is delivered once more may become part of the new one, and then two records
-- have the same contact, queue and moment. The story tells them apart; 0 in rows of the first release.

ALTER TABLE ${database}.visits
    ADD COLUMN IF NOT EXISTS story Int64
    COMMENT 'Tells the stories of a contact apart: moment of the event that began it, epoch milliseconds'
    AFTER contact,
    MODIFY ORDER BY (site, queued_at, contact, queue, story);

ALTER TABLE ${database}.legs
    ADD COLUMN IF NOT EXISTS story Int64
    COMMENT 'Tells the stories of a contact apart: moment of the event that began it, epoch milliseconds'
    AFTER contact,
    MODIFY ORDER BY (site, answered_at, contact, agent, story);

ALTER TABLE ${database}.declines
    ADD COLUMN IF NOT EXISTS story Int64
    COMMENT 'Tells the stories of a contact apart: moment of the event that began it, epoch milliseconds'
    AFTER contact,
    MODIFY ORDER BY (site, declined_at, contact, agent, ordinal, story);

CREATE OR REPLACE VIEW ${database}.contacts_between
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    direction LowCardinality(String) COMMENT 'inbound or outbound',
    customer String COMMENT 'Customer; empty where unknown',
    priority Nullable(Int64) COMMENT 'Priority the source gave',
    outcome LowCardinality(String) COMMENT 'waiting, answered, abandoned or left',
    reason LowCardinality(String) COMMENT 'Why it left; empty unless outcome is left',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the wait ended; null while it lasts',
    wait_ms Nullable(Int64) COMMENT 'Wait, milliseconds; null while it lasts',
    agent LowCardinality(String) COMMENT 'Agent who answered; empty unless answered',
    threshold_ms Int64 COMMENT 'Service-level threshold in force, milliseconds',
    short_abandon_ms Int64 COMMENT 'Short-abandon limit in force, milliseconds',
    formula LowCardinality(String) COMMENT 'Service-level formula of the queue when queued',
    exclude_short UInt8 COMMENT '1 where short abandons stay out of the service level',
    is_within_threshold Nullable(UInt8) COMMENT '1 where the wait ended within the threshold; null while it lasts',
    leg_agents Array(String) COMMENT 'Agents of the legs of this visit, in order',
    talk_ms Int64 COMMENT 'Talk of those legs without hold so far, milliseconds',
    hold_ms Int64 COMMENT 'Closed holds of those legs so far, milliseconds',
    wrap_ms Int64 COMMENT 'Wrap-up of those legs so far, milliseconds',
    handled Int64 COMMENT 'Those legs that are handled',
    transferred Int64 COMMENT 'Those legs that were released as transferred',
    declined Int64 COMMENT 'Rings at agents during the wait that ended without an answer'
)
AS SELECT
    v.site AS site, v.contact AS contact, v.queued_at AS queued_at, v.queue AS queue, toString(v.channel) AS channel,
    toString(v.direction) AS direction, v.customer AS customer, v.priority AS priority, toString(v.outcome) AS outcome,
    toString(v.reason) AS reason, v.outcome_at AS outcome_at,
    toUnixTimestamp64Milli(v.outcome_at) - toUnixTimestamp64Milli(v.queued_at) AS wait_ms,
    v.agent AS agent, v.threshold_ms AS threshold_ms, v.short_abandon_ms AS short_abandon_ms,
    toString(v.formula) AS formula, v.exclude_short AS exclude_short,
    wait_ms <= v.threshold_ms AS is_within_threshold,
    l.agents AS leg_agents, l.talk AS talk_ms, l.hold AS hold_ms, l.wrap AS wrap_ms, l.handled_legs AS handled, l.transferred_legs AS transferred,
    toInt64(d.rings) AS declined
FROM ${database}.visits AS v FINAL
LEFT JOIN
(
    SELECT
        site, contact, story, queue, assumeNotNull(visit_queued_at) AS queued_at,
        arrayMap(leg -> tupleElement(leg, 2), arraySort(groupArray((answered_at, toString(agent))))) AS agents,
        sum(talk_ms) AS talk, sum(hold_ms) AS hold, sum(wrap_ms) AS wrap,
        toInt64(countIf(handled)) AS handled_legs, toInt64(countIf(release_reason = 'transferred')) AS transferred_legs
    FROM ${database}.legs FINAL
    -- No answer comes before the wait, and the table is sorted by answers: this bounds what is read.
    WHERE answered_at >= {from:DateTime64(3, 'UTC')} AND visit_queued_at >= {from:DateTime64(3, 'UTC')} AND visit_queued_at < {to:DateTime64(3, 'UTC')}
    GROUP BY site, contact, story, queue, queued_at
) AS l ON l.site = v.site AND l.queued_at = v.queued_at AND l.contact = v.contact AND l.story = v.story AND l.queue = v.queue
LEFT JOIN
(
    SELECT dv.site AS site, dv.contact AS contact, dv.story AS story, dv.queue AS queue, dv.queued_at AS queued_at, count() AS rings
    FROM ${database}.visits AS dv FINAL
    INNER JOIN ${database}.declines AS r FINAL ON r.site = dv.site AND r.contact = dv.contact AND r.story = dv.story AND r.queue = dv.queue
    WHERE dv.queued_at >= {from:DateTime64(3, 'UTC')} AND dv.queued_at < {to:DateTime64(3, 'UTC')} AND r.declined_at >= {from:DateTime64(3, 'UTC')}
        AND r.declined_at >= dv.queued_at AND (dv.outcome_at IS NULL OR r.declined_at <= dv.outcome_at)
    GROUP BY site, contact, story, queue, queued_at
) AS d ON d.site = v.site AND d.queued_at = v.queued_at AND d.contact = v.contact AND d.story = v.story AND d.queue = v.queue
WHERE v.queued_at >= {from:DateTime64(3, 'UTC')} AND v.queued_at < {to:DateTime64(3, 'UTC')}
COMMENT 'contacts_between(from, to): one row a visit (a wait of a contact in a queue) queued in [from, to), with its legs summarised';

CREATE OR REPLACE VIEW ${database}.contacts
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    direction LowCardinality(String) COMMENT 'inbound or outbound',
    customer String COMMENT 'Customer; empty where unknown',
    priority Nullable(Int64) COMMENT 'Priority the source gave',
    outcome LowCardinality(String) COMMENT 'waiting, answered, abandoned or left',
    reason LowCardinality(String) COMMENT 'Why it left; empty unless outcome is left',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the wait ended; null while it lasts',
    wait_ms Nullable(Int64) COMMENT 'Wait, milliseconds; null while it lasts',
    agent LowCardinality(String) COMMENT 'Agent who answered; empty unless answered',
    threshold_ms Int64 COMMENT 'Service-level threshold in force, milliseconds',
    short_abandon_ms Int64 COMMENT 'Short-abandon limit in force, milliseconds',
    formula LowCardinality(String) COMMENT 'Service-level formula of the queue when queued',
    exclude_short UInt8 COMMENT '1 where short abandons stay out of the service level',
    is_within_threshold Nullable(UInt8) COMMENT '1 where the wait ended within the threshold; null while it lasts',
    leg_agents Array(String) COMMENT 'Agents of the legs of this visit, in order',
    talk_ms Int64 COMMENT 'Talk of those legs without hold so far, milliseconds',
    hold_ms Int64 COMMENT 'Closed holds of those legs so far, milliseconds',
    wrap_ms Int64 COMMENT 'Wrap-up of those legs so far, milliseconds',
    handled Int64 COMMENT 'Those legs that are handled',
    transferred Int64 COMMENT 'Those legs that were released as transferred',
    declined Int64 COMMENT 'Rings at agents during the wait that ended without an answer'
)
AS SELECT
    site, contact, queued_at, queue, channel, direction, customer, priority, outcome, reason, outcome_at,
    wait_ms, agent, threshold_ms, short_abandon_ms, formula, exclude_short, is_within_threshold, leg_agents,
    talk_ms, hold_ms, wrap_ms, handled, transferred, declined
FROM ${database}.contacts_between(from = '1900-03-01 00:00:00', to = '2290-01-01 00:00:00')
COMMENT 'One row a visit (a wait of a contact in a queue) with its legs summarised. All of history; contacts_between asks for less';
