-- The present of each site, by its own time: never by the clock of the server.

CREATE OR REPLACE VIEW ${database}.waiting_at
(
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    contact String COMMENT 'Contact that waits',
    customer String COMMENT 'Customer; empty where unknown',
    priority Nullable(Int64) COMMENT 'Priority the source gave',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    known_at DateTime64(3, 'UTC') COMMENT 'Time of the site asked for',
    waited_ms Int64 COMMENT 'Wait so far, milliseconds',
    is_past_threshold UInt8 COMMENT '1 where it has waited longer than the threshold'
)
AS
WITH
    least(p.at, ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at)) AS until,
    v.reason = 'lost' AND toUnixTimestamp64Milli(v.outcome_at) = toUnixTimestamp64Milli(v.queued_at) + v.stuck_after_ms AS is_stuck
SELECT
    v.site AS site, v.queue AS queue, toString(v.channel) AS channel, v.contact AS contact, v.customer AS customer,
    v.priority AS priority, v.queued_at AS queued_at, until AS known_at,
    toUnixTimestamp64Milli(until) - toUnixTimestamp64Milli(v.queued_at) AS waited_ms,
    waited_ms > v.threshold_ms AS is_past_threshold
FROM ${database}.visits AS v FINAL
INNER JOIN ${database}.progress AS p ON p.site = v.site
WHERE v.queued_at >= subtractMilliseconds(
        (SELECT least(min(at), ifNull({at:Nullable(DateTime64(3, 'UTC'))}, min(at))) FROM ${database}.progress),
        (SELECT reach_ms FROM ${database}.site_reach))
    AND v.queued_at <= until
    -- A stuck visit leaves only once the time of the site is greater.
    AND (v.outcome = 'waiting' OR v.outcome_at > until OR (is_stuck AND v.outcome_at = until))
COMMENT 'waiting_at(at): each contact that waits at a time of the site, null for the newest known';

CREATE OR REPLACE VIEW ${database}.waiting
(
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    contact String COMMENT 'Contact that waits',
    customer String COMMENT 'Customer; empty where unknown',
    priority Nullable(Int64) COMMENT 'Priority the source gave',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    known_at DateTime64(3, 'UTC') COMMENT 'Time of the site',
    waited_ms Int64 COMMENT 'Wait so far, milliseconds',
    is_past_threshold UInt8 COMMENT '1 where it has waited longer than the threshold'
)
AS SELECT site, queue, channel, contact, customer, priority, queued_at, known_at, waited_ms, is_past_threshold
FROM ${database}.waiting_at(at = NULL)
COMMENT 'Each contact that waits now, by the time of its site';

CREATE OR REPLACE VIEW ${database}.serving_at
(
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue the leg counts in; empty = none',
    channel LowCardinality(String) COMMENT 'Channel',
    contact String COMMENT 'Contact served',
    agent LowCardinality(String) COMMENT 'Agent who talks or holds',
    team LowCardinality(String) COMMENT 'Team of the agent when answering',
    answered_at DateTime64(3, 'UTC') COMMENT 'Moment the agent answered',
    known_at DateTime64(3, 'UTC') COMMENT 'Time of the site asked for',
    served_ms Int64 COMMENT 'Milliseconds since the answer'
)
AS
WITH
    least(p.at, ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at)) AS until,
    l.stuck AND l.released_at = l.wrapped_at AS is_stuck
SELECT
    l.site AS site, l.queue AS queue, toString(l.channel) AS channel, l.contact AS contact, l.agent AS agent, l.team AS team,
    l.answered_at AS answered_at, until AS known_at,
    toUnixTimestamp64Milli(until) - toUnixTimestamp64Milli(l.answered_at) AS served_ms
FROM ${database}.legs AS l FINAL
INNER JOIN ${database}.progress AS p ON p.site = l.site
WHERE l.answered_at >= subtractMilliseconds(
        (SELECT least(min(at), ifNull({at:Nullable(DateTime64(3, 'UTC'))}, min(at))) FROM ${database}.progress),
        (SELECT reach_ms FROM ${database}.site_reach))
    AND l.answered_at <= until
    AND (l.released_at IS NULL OR l.released_at > until OR (is_stuck AND l.released_at = until))
COMMENT 'serving_at(at): each leg in talk or on hold at a time of the site, null for the newest known';

CREATE OR REPLACE VIEW ${database}.now_queue
(
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    waiting Int64 COMMENT 'Contacts that wait',
    longest_wait_ms Nullable(Int64) COMMENT 'Wait so far of the one that waits longest, milliseconds; null where none waits',
    waiting_past_threshold Int64 COMMENT 'Contacts that have waited longer than the threshold',
    in_service Int64 COMMENT 'Legs in talk or on hold'
)
AS SELECT
    site, queue, channel,
    toInt64(countIf(waits)) AS waiting,
    maxOrNullIf(so_far_ms, waits) AS longest_wait_ms,
    toInt64(countIf(is_past)) AS waiting_past_threshold,
    toInt64(countIf(NOT waits)) AS in_service
FROM
(
    SELECT site, queue, channel, true AS waits, waited_ms AS so_far_ms, is_past_threshold AS is_past
    FROM ${database}.waiting_at(at = {at:Nullable(DateTime64(3, 'UTC'))})
    UNION ALL
    SELECT site, queue, channel, false, 0, 0
    FROM ${database}.serving_at(at = {at:Nullable(DateTime64(3, 'UTC'))})
    WHERE queue != ''
)
GROUP BY site, queue, channel
COMMENT 'now_queue(at): what waits and is served in each queue at a time of the site, null for the newest known';

CREATE OR REPLACE VIEW ${database}.now_agent
(
    site LowCardinality(String) COMMENT 'Site',
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Team; empty where unknown',
    state LowCardinality(String) COMMENT 'talk, hold, wrap, busy, ringing, available, not_ready or offline',
    since DateTime64(3, 'UTC') COMMENT 'Moment the state (or the team) last changed',
    for_ms Int64 COMMENT 'Milliseconds since then'
)
AS
WITH least(p.at, ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at)) AS until
SELECT
    i.site AS site, i.agent AS agent, i.team AS team, toString(i.state) AS state, i.started_at AS since,
    toUnixTimestamp64Milli(until) - toUnixTimestamp64Milli(i.started_at) AS for_ms
FROM ${database}.agent_intervals AS i FINAL
INNER JOIN ${database}.progress AS p ON p.site = i.site
WHERE i.started_at <= until AND (i.ended_at IS NULL OR i.ended_at > until)
COMMENT 'now_agent(at): the state of each agent at a time of the site, null for the newest known';

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
        site, contact, queue, assumeNotNull(visit_queued_at) AS queued_at,
        arrayMap(leg -> tupleElement(leg, 2), arraySort(groupArray((answered_at, toString(agent))))) AS agents,
        sum(talk_ms) AS talk, sum(hold_ms) AS hold, sum(wrap_ms) AS wrap,
        toInt64(countIf(handled)) AS handled_legs, toInt64(countIf(release_reason = 'transferred')) AS transferred_legs
    FROM ${database}.legs FINAL
    WHERE visit_queued_at IS NOT NULL
    GROUP BY site, contact, queue, queued_at
) AS l ON l.site = v.site AND l.queued_at = v.queued_at AND l.contact = v.contact AND l.queue = v.queue
LEFT JOIN
(
    SELECT dv.site AS site, dv.contact AS contact, dv.queue AS queue, dv.queued_at AS queued_at, count() AS rings
    FROM ${database}.visits AS dv FINAL
    INNER JOIN ${database}.declines AS r FINAL ON r.site = dv.site AND r.contact = dv.contact AND r.queue = dv.queue
    WHERE r.declined_at >= dv.queued_at AND (dv.outcome_at IS NULL OR r.declined_at <= dv.outcome_at)
    GROUP BY site, contact, queue, queued_at
) AS d ON d.site = v.site AND d.queued_at = v.queued_at AND d.contact = v.contact AND d.queue = v.queue
COMMENT 'One row a visit (a wait of a contact in a queue) with its legs summarised';
