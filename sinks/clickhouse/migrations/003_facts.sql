-- What every report is counted from: the facts of visits, legs and declines, and the state time
-- of agents, each with its moment. Inside, moments are integer milliseconds since the epoch.
-- A fact that comes of time passing (a threshold passed, a stuck visit) is known only once the
-- time of the site is greater than its moment, so known_at is one millisecond later.

CREATE OR REPLACE VIEW ${database}.site_reach
(
    reach_ms Int64 COMMENT 'No visit or leg lasts longer than this, milliseconds'
)
AS SELECT
    -- Bounds how far back a report must read. Thousands of years where no settings are known.
    if(count() = 0, 60000000000000, greatest(14400000, max(arrayMax(arrayMap(
        text -> toInt64OrZero(text), arrayPushBack(extractAll(settings, '"stuck_after_ms":\\s*(\\d+)'), '0')))))) AS reach_ms
FROM ${database}.pane_settings
COMMENT 'The longest stuck_after_ms any site has had';

CREATE OR REPLACE VIEW ${database}.settings_at
(
    site LowCardinality(String) COMMENT 'Site',
    known_at DateTime64(3, 'UTC') COMMENT 'The time of the site asked for',
    pane_ms Int64 COMMENT 'Length of a pane, milliseconds',
    time_zone String COMMENT 'IANA time zone of the day',
    settings String COMMENT 'All settings as JSON'
)
AS SELECT
    site, known_at, tupleElement(chosen, 1) AS pane_ms, toString(tupleElement(chosen, 2)) AS time_zone,
    tupleElement(chosen, 3) AS settings
FROM
(
    WITH
        ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at) AS until,
        (h.pane_ms, h.time_zone, h.settings) AS content,
        h.valid_from <= until AS in_force
    SELECT
        h.site AS site, any(until) AS known_at,
        -- Before the first settings the first ones hold.
        if(countIf(in_force) = 0, argMin(content, h.valid_from), argMaxIf(content, h.valid_from, in_force)) AS chosen
    FROM ${database}.settings_history AS h
    INNER JOIN ${database}.progress AS p ON p.site = h.site
    GROUP BY h.site
)
COMMENT 'settings_at(at): the settings of each site in force at a time of the site, null for the newest known';

CREATE OR REPLACE VIEW ${database}.facts
(
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue; empty for legs that count in none',
    channel LowCardinality(String) COMMENT 'Channel',
    contact String COMMENT 'Contact counted',
    agent LowCardinality(String) COMMENT 'Agent who answered, declined or handled; empty otherwise',
    fact LowCardinality(String) COMMENT 'offered, answered, abandoned, left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined, transferred or handled',
    moment DateTime64(3, 'UTC') COMMENT 'Moment that stamps the fact, by the anchor in force',
    known_at DateTime64(3, 'UTC') COMMENT 'Time of the site from which the fact is known',
    wait_ms Int64 COMMENT 'Wait of the visit until the fact, milliseconds; 0 for legs and declines',
    is_in UInt8 COMMENT '1 where that wait is within the threshold',
    is_short UInt8 COMMENT '1 where that wait is within the short-abandon limit',
    talk_ms Int64 COMMENT 'Talk of a handled leg, milliseconds',
    hold_ms Int64 COMMENT 'Hold of a handled leg, milliseconds',
    wrap_ms Int64 COMMENT 'Wrap-up of a handled leg, milliseconds'
)
AS
WITH
    toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')}) AS from_ms,
    toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')}) AS to_ms,
    subtractMilliseconds({from:DateTime64(3, 'UTC')}, (SELECT reach_ms FROM ${database}.site_reach)) AS earliest
SELECT
    site, queue, channel, contact, agent, tupleElement(stamp, 1) AS fact,
    fromUnixTimestamp64Milli(tupleElement(stamp, 2), 'UTC') AS moment,
    fromUnixTimestamp64Milli(tupleElement(stamp, 3), 'UTC') AS known_at,
    wait_ms, is_in, is_short,
    if(fact = 'handled', leg_talk_ms, 0) AS talk_ms,
    if(fact = 'handled', leg_hold_ms, 0) AS hold_ms,
    if(fact = 'handled', leg_wrap_ms, 0) AS wrap_ms
FROM
(
    SELECT
        site, queue, toString(channel) AS channel, contact, agent,
        toUnixTimestamp64Milli(queued_at) AS queued_ms,
        ifNull(toUnixTimestamp64Milli(outcome_at), 0) AS outcome_ms,
        outcome != 'waiting' AS is_over,
        reason = 'lost' AND outcome_ms = queued_ms + stuck_after_ms AS is_stuck,
        ifNull({threshold_ms:Nullable(Int64)}, threshold_ms) AS limit_ms,
        if(is_over, outcome_ms - queued_ms, 0) AS wait_ms,
        is_over AND wait_ms <= limit_ms AS is_in,
        is_over AND wait_ms <= ifNull({short_ms:Nullable(Int64)}, short_abandon_ms) AS is_short,
        [
            ('offered', queued_ms, queued_ms),
            (
                multiIf(
                    outcome IN ('answered', 'abandoned'), toString(outcome),
                    outcome = 'waiting', '',
                    reason = 'callback', 'left_callback',
                    reason IN ('overflow', 'timeout', 'transfer'), 'left_overflow',
                    'left_other'),
                if(anchor = 'arrival', queued_ms, outcome_ms),
                outcome_ms + is_stuck
            ),
            (
                multiIf(NOT is_in, 'sl_missed', outcome = 'answered', 'sl_met', outcome = 'abandoned', 'sl_abandoned', ''),
                if(is_in, outcome_ms, queued_ms + limit_ms),
                if(is_in, outcome_ms, queued_ms + limit_ms + 1)
            )
        ] AS stamps,
        0 AS leg_talk_ms, 0 AS leg_hold_ms, 0 AS leg_wrap_ms
    FROM ${database}.visits FINAL
    WHERE queued_at >= earliest AND queued_at < {to:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT
        site, queue, toString(channel), contact, agent,
        toUnixTimestamp64Milli(answered_at),
        0, 0, 0, 0, 0, 0, 0,
        [
            (if(release_reason = 'transferred', 'transferred', ''),
                ifNull(toUnixTimestamp64Milli(released_at), 0), ifNull(toUnixTimestamp64Milli(released_at), 0)),
            (if(handled, 'handled', ''),
                ifNull(toUnixTimestamp64Milli(wrapped_at), 0), ifNull(toUnixTimestamp64Milli(wrapped_at), 0))
        ],
        legs.talk_ms, legs.hold_ms, legs.wrap_ms
    FROM ${database}.legs FINAL
    WHERE answered_at >= earliest AND answered_at < {to:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT
        site, queue, toString(channel), contact, agent,
        toUnixTimestamp64Milli(declined_at) AS at_ms,
        0, 0, 0, 0, 0, 0, 0,
        [('declined', at_ms, at_ms)],
        0, 0, 0
    FROM ${database}.declines FINAL
    WHERE declined_at >= {from:DateTime64(3, 'UTC')} AND declined_at < {to:DateTime64(3, 'UTC')}
)
ARRAY JOIN stamps AS stamp
WHERE tupleElement(stamp, 1) != '' AND tupleElement(stamp, 2) >= from_ms AND tupleElement(stamp, 2) < to_ms
COMMENT 'facts(from, to, threshold_ms, short_ms): each counted fact of [from, to) with its contact; a null limit means the one in force when the contact was queued';

CREATE OR REPLACE VIEW ${database}.agent_time
(
    site LowCardinality(String) COMMENT 'Site',
    team LowCardinality(String) COMMENT 'Team during the interval; empty where unknown',
    agent LowCardinality(String) COMMENT 'Agent',
    state LowCardinality(String) COMMENT 'talk, hold, wrap, busy, ringing, available, not_ready or offline',
    began_at DateTime64(3, 'UTC') COMMENT 'Start of the interval, not before the time asked for',
    ceased_at DateTime64(3, 'UTC') COMMENT 'End of the interval, not after the time asked for nor after the time of the site',
    duration_ms Int64 COMMENT 'Milliseconds between them'
)
AS SELECT
    i.site AS site, i.team AS team, i.agent AS agent, toString(i.state) AS state,
    greatest(i.started_at, {from:DateTime64(3, 'UTC')}) AS began_at,
    least(ifNull(i.ended_at, p.at), ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at), p.at, {to:DateTime64(3, 'UTC')}) AS ceased_at,
    toUnixTimestamp64Milli(ceased_at) - toUnixTimestamp64Milli(began_at) AS duration_ms
FROM ${database}.agent_intervals AS i FINAL
INNER JOIN ${database}.progress AS p ON p.site = i.site
WHERE i.started_at < {to:DateTime64(3, 'UTC')}
    AND (i.ended_at IS NULL OR i.ended_at > {from:DateTime64(3, 'UTC')})
    AND duration_ms > 0
COMMENT 'agent_time(from, to, at): intervals of agents clipped to [from, to) and to the time of the site; at is an earlier time of the site, null for the newest known';
