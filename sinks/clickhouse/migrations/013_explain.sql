-- A figure of the board and the contacts it was counted from: the same window, the same formula, as
-- known at a time of the site. The sums of numerator and denominator are the figure. What happened
-- after that time does not show: a visit that was answered later waits.

CREATE OR REPLACE VIEW ${database}.explained_visits
(
    contact String COMMENT 'Contact',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    agent LowCardinality(String) COMMENT 'Agent who answered by then; empty otherwise',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    outcome LowCardinality(String) COMMENT 'waiting, answered, abandoned or left, as known then',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the wait ended; null where it lasted',
    wait_ms Int64 COMMENT 'Wait until then, so far where it waits, milliseconds',
    threshold_ms Int64 COMMENT 'Service-level threshold in force when queued, milliseconds',
    direction LowCardinality(String) COMMENT 'inbound or outbound',
    customer String COMMENT 'Customer; empty where unknown',
    is_in UInt8 COMMENT '1 where the wait ended within the threshold',
    is_short UInt8 COMMENT '1 where it ended within the short-abandon limit',
    counted LowCardinality(String) COMMENT 'answered, abandoned or left where the window counts that outcome, by the anchor; else empty',
    level_event LowCardinality(String) COMMENT 'sl_met, sl_missed or sl_abandoned where the window counts that event; else empty'
)
AS
WITH
    (
        SELECT any((toUnixTimestamp64Milli(starts_at), toUnixTimestamp64Milli(ends_at), toUnixTimestamp64Milli(least(known_at, (SELECT max(at) FROM ${database}.progress WHERE site = {site:String})))))
        FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})
    ) AS bounds,
    assumeNotNull(tupleElement(bounds, 1)) AS from_ms,
    assumeNotNull(tupleElement(bounds, 2)) AS to_ms,
    assumeNotNull(tupleElement(bounds, 3)) AS until_ms,
    toUnixTimestamp64Milli(v.queued_at) AS queued_ms,
    ifNull(toUnixTimestamp64Milli(v.outcome_at), 0) AS outcome_ms,
    v.reason = 'lost' AND outcome_ms = queued_ms + v.stuck_after_ms AS is_stuck,
    v.outcome != 'waiting' AS ends,
    -- A stuck visit leaves only once the time of the site is greater.
    ends AND outcome_ms + is_stuck <= until_ms AS ended,
    if(v.anchor = 'arrival', queued_ms, outcome_ms) AS stamp_ms,
    if(is_in, outcome_ms, queued_ms + v.threshold_ms) AS level_ms
SELECT
    v.contact AS contact, v.queue AS queue, toString(v.channel) AS channel,
    if(ended, toString(v.agent), '') AS agent, v.queued_at AS queued_at,
    if(ended, toString(v.outcome), 'waiting') AS outcome,
    if(ended, v.outcome_at, NULL) AS outcome_at,
    if(ended, outcome_ms, until_ms) - queued_ms AS wait_ms,
    v.threshold_ms AS threshold_ms, toString(v.direction) AS direction, v.customer AS customer,
    (ends AND outcome_ms - queued_ms <= v.threshold_ms)::UInt8 AS is_in,
    (ends AND outcome_ms - queued_ms <= v.short_abandon_ms)::UInt8 AS is_short,
    if(ended AND stamp_ms >= from_ms AND stamp_ms < to_ms, toString(v.outcome), '') AS counted,
    if(level_ms + if(is_in, 0, 1) <= until_ms AND level_ms >= from_ms AND level_ms < to_ms,
        multiIf(NOT is_in, 'sl_missed', v.outcome = 'answered', 'sl_met', v.outcome = 'abandoned', 'sl_abandoned', ''), '') AS level_event
FROM ${database}.visits AS v FINAL
WHERE v.site = {site:String} AND ({queue:String} = '' OR v.queue = {queue:String})
    AND ({channel:String} = '' OR toString(v.channel) = {channel:String})
    AND v.queued_at >= subtractMilliseconds(fromUnixTimestamp64Milli(from_ms, 'UTC'), (SELECT reach_ms FROM ${database}.site_reach))
    AND v.queued_at <= fromUnixTimestamp64Milli(until_ms, 'UTC')
    -- What waits belongs to every window that reaches to that time.
    AND (counted != '' OR level_event != '' OR outcome = 'waiting')
COMMENT 'explained_visits(site, queue, channel, window, at): each visit a window of the board counts or that waits, as known at a time of the site; empty queue or channel for all';

CREATE OR REPLACE VIEW ${database}.explain_visits
(
    contact String COMMENT 'Contact',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    agent LowCardinality(String) COMMENT 'Agent who answered by then; empty otherwise',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    outcome LowCardinality(String) COMMENT 'waiting, answered, abandoned or left, as known then',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the wait ended; null where it lasted',
    wait_ms Int64 COMMENT 'Wait until then, so far where it waits, milliseconds',
    threshold_ms Int64 COMMENT 'Service-level threshold in force when queued, milliseconds',
    numerator Int64 COMMENT 'What it adds to the numerator: 1, or its wait for asa',
    denominator Int64 COMMENT 'What it adds to the denominator',
    in_numerator UInt8 COMMENT '1 where it counts in the numerator',
    in_denominator UInt8 COMMENT '1 where it counts in the denominator',
    why LowCardinality(String) COMMENT 'in time, late, abandoned, abandoned in time, short abandon, set off, missed: how it counts'
)
AS
WITH
    (
        SELECT any((
            -- Formula and targets are for display and hold at once.
            ifNull(nullIf(JSONExtractString(own, 'formula'), ''),
                ifNull(nullIf(JSONExtractString(defaults, 'formula'), ''), 'abandons_negative')),
            coalesce(JSONExtract(own, 'exclude_short', 'Nullable(Bool)'),
                JSONExtract(defaults, 'exclude_short', 'Nullable(Bool)'), false)))
        FROM
        (
            SELECT
                JSONExtractRaw(settings, 'defaults') AS defaults,
                if({queue:String} = '', '', JSONExtractRaw(settings, 'queues', {queue:String})) AS own
            FROM ${database}.settings_at(at = {at:Nullable(DateTime64(3, 'UTC'))})
            WHERE site = {site:String}
        )
    ) AS rule,
    if({kpi:String} = 'service_level', tupleElement(rule, 1), {kpi:String}) AS formula,
    answered AND is_in AS answered_in,
    -- Short limits above some thresholds: more are short than were abandoned in time, and the sum takes
    -- them off all the same, though not below zero. So many of those in time are set off against them.
    in_time AND nth > offset AS abandoned_in
SELECT
    contact, queue, channel, agent, queued_at, outcome, outcome_at, wait_ms, threshold_ms,
    if(formula = 'asa', if(answered, wait_ms, 0), toInt64(in_numerator)) AS numerator,
    toInt64(in_denominator) AS denominator,
    multiIf(
        formula = 'asa', answered,
        formula = 'abandonment', abandoned,
        formula = 'abandons_positive', answered_in OR abandoned_in,
        formula IN ('sl_event_negative', 'sl_event_ignore'), level_event = 'sl_met',
        formula = 'sl_event_positive', level_event IN ('sl_met', 'sl_abandoned'),
        answered_in)::UInt8 AS in_numerator,
    multiIf(
        formula IN ('answered_only', 'asa'), answered,
        formula = 'abandonment', answered OR abandoned,
        formula = 'ignore_abandons', answered OR (long AND NOT abandoned_in),
        formula IN ('sl_event_negative', 'sl_event_positive'), level_event != '',
        formula = 'sl_event_ignore', level_event IN ('sl_met', 'sl_missed'),
        answered OR long)::UInt8 AS in_denominator,
    multiIf(
        startsWith(formula, 'sl_event_'), transform(level_event, ['sl_met', 'sl_missed', 'sl_abandoned'], ['in time', 'missed', 'abandoned in time'], ''),
        answered AND is_in, 'in time',
        answered, 'late',
        NOT abandoned, '',
        formula = 'abandonment', 'abandoned',
        NOT long, 'short abandon',
        in_time AND NOT abandoned_in, 'set off',
        is_in, 'abandoned in time',
        'abandoned') AS why
FROM
(
    SELECT
        *,
        -- As many as the counters of kpi_cells leave.
        toInt64(countIf(in_time) OVER ()) - greatest(0, toInt64(countIf(abandoned AND is_in) OVER ()) - toInt64(if(excludes, countIf(abandoned AND is_short) OVER (), 0))) AS offset,
        row_number() OVER (PARTITION BY in_time ORDER BY wait_ms, queued_at, contact, queue) AS nth
    FROM
    (
        SELECT
            *,
            {kpi:String} = 'service_level' AND assumeNotNull(tupleElement(rule, 2)) AS excludes,
            counted = 'answered' AS answered,
            counted = 'abandoned' AS abandoned,
            abandoned AND NOT (excludes AND is_short) AS long,
            long AND is_in AS in_time
        FROM ${database}.explained_visits(site = {site:String}, queue = {queue:String}, channel = {channel:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})
        WHERE counted IN ('answered', 'abandoned') OR level_event != ''
    )
)
WHERE why != '' AND NOT throwIf({kpi:String} NOT IN ('service_level', 'abandonment', 'asa'), 'kpi must be service_level, abandonment or asa')
COMMENT 'explain_visits(site, kpi, queue, channel, window, at): the visits behind service_level, abandonment or asa in a window of the board; empty queue or channel for all';

CREATE OR REPLACE VIEW ${database}.explain_legs
(
    contact String COMMENT 'Contact',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    agent LowCardinality(String) COMMENT 'Agent who talked',
    queued_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment it began to wait; null for a leg without a visit',
    outcome LowCardinality(String) COMMENT 'handled',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment wrap-up ended',
    wait_ms Nullable(Int64) COMMENT 'Wait until then, so far where it waits, milliseconds; null without a visit',
    threshold_ms Nullable(Int64) COMMENT 'Service-level threshold in force when queued, milliseconds; null, for it plays no part',
    talk_ms Int64 COMMENT 'Talk without hold, milliseconds',
    hold_ms Int64 COMMENT 'Hold, milliseconds',
    wrap_ms Int64 COMMENT 'Wrap-up, milliseconds',
    numerator Int64 COMMENT 'talk_ms + hold_ms + wrap_ms',
    denominator Int64 COMMENT '1',
    in_numerator UInt8 COMMENT '1 where it counts in the numerator',
    in_denominator UInt8 COMMENT '1 where it counts in the denominator',
    why LowCardinality(String) COMMENT 'handled'
)
AS
WITH
    (
        SELECT any((toUnixTimestamp64Milli(starts_at), toUnixTimestamp64Milli(ends_at), toUnixTimestamp64Milli(least(known_at, (SELECT max(at) FROM ${database}.progress WHERE site = {site:String})))))
        FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})
    ) AS bounds,
    assumeNotNull(tupleElement(bounds, 1)) AS from_ms,
    assumeNotNull(tupleElement(bounds, 2)) AS to_ms,
    assumeNotNull(tupleElement(bounds, 3)) AS until_ms
SELECT
    l.contact AS contact, l.queue AS queue, toString(l.channel) AS channel, l.agent AS agent,
    l.visit_queued_at AS queued_at, 'handled' AS outcome, l.wrapped_at AS outcome_at,
    toUnixTimestamp64Milli(l.answered_at) - toUnixTimestamp64Milli(l.visit_queued_at) AS wait_ms,
    CAST(NULL, 'Nullable(Int64)') AS threshold_ms,
    l.talk_ms AS talk_ms, l.hold_ms AS hold_ms, l.wrap_ms AS wrap_ms,
    l.talk_ms + l.hold_ms + l.wrap_ms AS numerator, toInt64(1) AS denominator,
    toUInt8(1) AS in_numerator, toUInt8(1) AS in_denominator, 'handled' AS why
FROM ${database}.legs AS l FINAL
WHERE l.site = {site:String} AND l.queue != '' AND l.handled AND ({queue:String} = '' OR l.queue = {queue:String})
    AND ({channel:String} = '' OR toString(l.channel) = {channel:String})
    AND l.answered_at >= subtractMilliseconds(fromUnixTimestamp64Milli(from_ms, 'UTC'), (SELECT reach_ms FROM ${database}.site_reach))
    AND toUnixTimestamp64Milli(l.wrapped_at) >= from_ms AND toUnixTimestamp64Milli(l.wrapped_at) < to_ms
    AND toUnixTimestamp64Milli(l.wrapped_at) <= until_ms
COMMENT 'explain_legs(site, queue, channel, window, at): the handled legs behind aht in a window of the board; empty queue or channel for all';

CREATE OR REPLACE VIEW ${database}.explain_declines
(
    contact String COMMENT 'Contact',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    agent LowCardinality(String) COMMENT 'Agent at whom it rang',
    queued_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment it began to wait; null, for it plays no part',
    outcome LowCardinality(String) COMMENT 'declined',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the ring ended',
    wait_ms Nullable(Int64) COMMENT 'Wait until then, so far where it waits, milliseconds; null, for it plays no part',
    threshold_ms Nullable(Int64) COMMENT 'Service-level threshold in force when queued, milliseconds; null, for it plays no part',
    numerator Int64 COMMENT '1',
    denominator Int64 COMMENT '0: a number has none',
    in_numerator UInt8 COMMENT '1 where it counts in the numerator',
    in_denominator UInt8 COMMENT '1 where it counts in the denominator',
    why LowCardinality(String) COMMENT 'no_answer or rejected'
)
AS
WITH
    (
        SELECT any((toUnixTimestamp64Milli(starts_at), toUnixTimestamp64Milli(ends_at), toUnixTimestamp64Milli(least(known_at, (SELECT max(at) FROM ${database}.progress WHERE site = {site:String})))))
        FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})
    ) AS bounds,
    assumeNotNull(tupleElement(bounds, 1)) AS from_ms,
    assumeNotNull(tupleElement(bounds, 2)) AS to_ms,
    assumeNotNull(tupleElement(bounds, 3)) AS until_ms
SELECT
    d.contact AS contact, d.queue AS queue, toString(d.channel) AS channel, d.agent AS agent,
    CAST(NULL, 'Nullable(DateTime64(3, \'UTC\'))') AS queued_at, 'declined' AS outcome, toNullable(d.declined_at) AS outcome_at,
    CAST(NULL, 'Nullable(Int64)') AS wait_ms, CAST(NULL, 'Nullable(Int64)') AS threshold_ms,
    toInt64(1) AS numerator, toInt64(0) AS denominator, toUInt8(1) AS in_numerator, toUInt8(0) AS in_denominator,
    toString(d.reason) AS why
FROM ${database}.declines AS d FINAL
WHERE d.site = {site:String} AND ({queue:String} = '' OR d.queue = {queue:String})
    AND ({channel:String} = '' OR toString(d.channel) = {channel:String})
    AND toUnixTimestamp64Milli(d.declined_at) >= from_ms AND toUnixTimestamp64Milli(d.declined_at) < to_ms
    AND toUnixTimestamp64Milli(d.declined_at) <= until_ms
COMMENT 'explain_declines(site, queue, channel, window, at): the rings behind declined in a window of the board; empty queue or channel for all';

CREATE OR REPLACE VIEW ${database}.explain_waiting
(
    contact String COMMENT 'Contact',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    agent LowCardinality(String) COMMENT 'Agent who answered by then; empty otherwise',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    outcome LowCardinality(String) COMMENT 'waiting, answered, abandoned or left, as known then',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the wait ended; null where it lasted',
    wait_ms Int64 COMMENT 'Wait until then, so far where it waits, milliseconds',
    threshold_ms Int64 COMMENT 'Service-level threshold in force when queued, milliseconds',
    numerator Int64 COMMENT '1',
    denominator Int64 COMMENT '0: a number has none',
    in_numerator UInt8 COMMENT '1 where it counts in the numerator',
    in_denominator UInt8 COMMENT '1 where it counts in the denominator',
    why LowCardinality(String) COMMENT 'longest, past threshold or waiting'
)
AS
SELECT
    contact, queue, channel, agent, queued_at, outcome, outcome_at, wait_ms, threshold_ms,
    toInt64(1) AS numerator, toInt64(0) AS denominator, toUInt8(1) AS in_numerator, toUInt8(0) AS in_denominator,
    multiIf(wait_ms = max(wait_ms) OVER (), 'longest', wait_ms > threshold_ms, 'past threshold', 'waiting') AS why
FROM ${database}.explained_visits(
    site = {site:String}, queue = {queue:String}, channel = {channel:String}, window = '5m', at = {at:Nullable(DateTime64(3, 'UTC'))})
WHERE outcome = 'waiting'
COMMENT 'explain_waiting(site, queue, channel, at): the contacts behind waiting and longest_wait at a time of the site; empty queue or channel for all';

CREATE OR REPLACE VIEW ${database}.explain_worst
(
    contact String COMMENT 'Contact',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    agent LowCardinality(String) COMMENT 'Agent who answered by then; empty otherwise',
    queued_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait',
    outcome LowCardinality(String) COMMENT 'waiting, answered, abandoned or left, as known then',
    outcome_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment the wait ended; null where it lasted',
    wait_ms Int64 COMMENT 'Wait until then, so far where it waits, milliseconds',
    threshold_ms Int64 COMMENT 'Service-level threshold in force when queued, milliseconds',
    why LowCardinality(String) COMMENT 'waiting, late or in time against the threshold'
)
AS
SELECT
    contact, queue, channel, agent, queued_at, outcome, outcome_at, wait_ms, threshold_ms,
    multiIf(wait_ms > threshold_ms, 'late', outcome = 'waiting', 'waiting', 'in time') AS why
FROM ${database}.explained_visits(site = {site:String}, queue = {queue:String}, channel = {channel:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})
ORDER BY wait_ms DESC, queued_at, contact, queue
COMMENT 'explain_worst(site, queue, channel, window, at): the visits a window of the board counts, and those that wait then, the longest wait first; empty queue or channel for all';

CREATE OR REPLACE VIEW ${database}.explain_agents
(
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Team during the interval; empty where unknown',
    state LowCardinality(String) COMMENT 'talk, hold, wrap, busy, ringing, available or not_ready',
    began_at DateTime64(3, 'UTC') COMMENT 'Start of the interval within the window',
    ceased_at DateTime64(3, 'UTC') COMMENT 'End of the interval within the window, not after the time of the site',
    duration_ms Int64 COMMENT 'Milliseconds between them',
    numerator Int64 COMMENT 'duration_ms where busy, else 0',
    denominator Int64 COMMENT 'duration_ms where busy or available, else 0',
    in_numerator UInt8 COMMENT '1 where it counts in the numerator',
    in_denominator UInt8 COMMENT '1 where it counts in the denominator',
    why LowCardinality(String) COMMENT 'busy, available or neither'
)
AS
SELECT
    agent, team, state, began_at, ceased_at, duration_ms,
    if(in_numerator, duration_ms, 0) AS numerator, if(in_denominator, duration_ms, 0) AS denominator,
    (state IN ('talk', 'hold', 'wrap', 'busy'))::UInt8 AS in_numerator,
    (in_numerator OR state = 'available')::UInt8 AS in_denominator,
    multiIf(in_numerator, 'busy', in_denominator, 'available', 'neither') AS why
FROM ${database}.agent_time(
    from = (SELECT starts_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    to = (SELECT ends_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    at = {at:Nullable(DateTime64(3, 'UTC'))})
WHERE site = {site:String} AND state != 'offline' AND ({team:String} = '' OR team = {team:String})
COMMENT 'explain_agents(site, team, window, at): the time of agents behind occupancy in a window of the board; empty team for the site';
