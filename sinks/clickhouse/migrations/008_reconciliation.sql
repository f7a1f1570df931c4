-- The panes the engine counted against the records it kept: recomputed by SQL, they must agree.
-- Checked is every pane that the time of the site has closed. Left out are panes of which a newer
-- version than the progress is stored: the sink writes panes before the records behind them, so
-- a record that is ahead of the progress has its pane ahead as well.

CREATE OR REPLACE VIEW ${database}.pane_lengths
(
    site LowCardinality(String) COMMENT 'Site',
    steps Array(Tuple(Int64, Int64)) COMMENT 'Moments (epoch milliseconds) from which a pane has a length (milliseconds), in order',
    closed_ms Int64 COMMENT 'Time of the site in epoch milliseconds: panes that end by then are closed',
    version UInt64 COMMENT 'Version up to which rows are complete'
)
AS SELECT
    h.site AS site,
    arraySort(groupArray((toUnixTimestamp64Milli(h.valid_from), h.pane_ms))) AS history,
    -- The first settings hold from the beginning.
    arrayMap((step, nth) -> (if(nth = 1, -9000000000000, tupleElement(step, 1)), tupleElement(step, 2)),
        arrayFilter((step, nth) -> nth = 1 OR tupleElement(history[nth - 1], 2) != tupleElement(step, 2), history, arrayEnumerate(history)) AS changes,
        arrayEnumerate(changes)) AS steps,
    toUnixTimestamp64Milli(any(p.at)) AS closed_ms,
    any(p.version) AS version
FROM ${database}.settings_history AS h
INNER JOIN ${database}.progress AS p ON p.site = h.site
GROUP BY h.site
COMMENT 'Length of the panes of each site over time, and how far they are closed';

CREATE OR REPLACE VIEW ${database}.recomputed_queue_panes
(
    site LowCardinality(String) COMMENT 'Site',
    start_ms Int64 COMMENT 'First moment of the pane, epoch milliseconds',
    queue String COMMENT 'Queue',
    channel String COMMENT 'Channel',
    counters Array(Int64) COMMENT 'The twenty counters in their order'
)
AS
WITH
    toUnixTimestamp64Milli(f.moment) AS moment_ms,
    tupleElement(arrayLast(step -> tupleElement(step, 1) <= moment_ms, l.steps), 2) AS pane_ms
SELECT
    f.site AS site,
    moment_ms - positiveModulo(moment_ms, pane_ms) AS start_ms,
    toString(f.queue) AS queue, toString(f.channel) AS channel,
    arrayMap(total -> toInt64(total), [
        countIf(f.fact = 'offered'), countIf(f.fact = 'answered'), countIf(f.fact = 'answered' AND f.is_in),
        toUInt64(sumIf(f.wait_ms, f.fact = 'answered')),
        countIf(f.fact = 'abandoned'), countIf(f.fact = 'abandoned' AND f.is_in), countIf(f.fact = 'abandoned' AND f.is_short),
        toUInt64(sumIf(f.wait_ms, f.fact = 'abandoned')),
        countIf(f.fact = 'left_callback'), countIf(f.fact = 'left_overflow'), countIf(f.fact = 'left_other'),
        countIf(f.fact = 'sl_met'), countIf(f.fact = 'sl_missed'), countIf(f.fact = 'sl_abandoned'),
        countIf(f.fact = 'declined'), countIf(f.fact = 'transferred'), countIf(f.fact = 'handled'),
        toUInt64(sum(f.talk_ms)), toUInt64(sum(f.hold_ms)), toUInt64(sum(f.wrap_ms))]) AS counters
FROM ${database}.facts(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, threshold_ms = NULL, short_ms = NULL) AS f
INNER JOIN ${database}.pane_lengths AS l ON l.site = f.site
WHERE f.queue != '' AND toUnixTimestamp64Milli(f.known_at) <= l.closed_ms
GROUP BY site, start_ms, queue, channel
HAVING start_ms + any(pane_ms) <= any(l.closed_ms)
COMMENT 'recomputed_queue_panes(from, to): the counters of closed panes from visits, legs and declines';

CREATE OR REPLACE VIEW ${database}.recomputed_team_panes
(
    site LowCardinality(String) COMMENT 'Site',
    start_ms Int64 COMMENT 'First moment of the pane, epoch milliseconds',
    team String COMMENT 'Team',
    times Array(Int64) COMMENT 'The seven state times in their order, milliseconds'
)
AS
-- An interval is a start and an end, each in one pane; the intervals that are on at the start of
-- a pane and stay fill it whole. So long intervals cost no more than short ones.
WITH
    toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')}) AS from_ms,
    toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')}) AS to_ms
SELECT site, start_ms, team, arrayMap((on, part) -> on * pane_ms + part, carried, parts) AS times
FROM
(
    SELECT
        site, team, start_ms, pane_ms, parts,
        arrayMap((after, change) -> after - change, sumForEach(changes) OVER (PARTITION BY site, team ORDER BY start_ms), changes) AS carried
    FROM
    (
        SELECT site, team, start_ms, any(pane) AS pane_ms, sumForEach(change) AS changes, sumForEach(part) AS parts
        FROM
        (
            SELECT
                site, team, tupleElement(edge, 1) AS moment_ms, tupleElement(edge, 2) AS direction,
                tupleElement(arrayLast(step -> tupleElement(step, 1) <= moment_ms, steps), 2) AS pane,
                moment_ms - positiveModulo(moment_ms, pane) AS start_ms,
                arrayMap(nth -> if(nth = state, direction, 0), range(1, 8)) AS change,
                arrayMap(nth -> nth * (start_ms + pane - moment_ms), change) AS part
            FROM
            (
                SELECT
                    i.site AS site, toString(i.team) AS team, transform(toString(i.state),
                        ['talk', 'hold', 'wrap', 'busy', 'ringing', 'available', 'not_ready'], [1, 2, 3, 4, 5, 6, 7], 0) AS state,
                    l.steps AS steps,
                    greatest(toUnixTimestamp64Milli(i.started_at), from_ms) AS began_ms,
                    least(ifNull(toUnixTimestamp64Milli(i.ended_at), to_ms), to_ms, l.closed_ms) AS ceased_ms,
                    arrayJoin([(began_ms, 1), (ceased_ms, -1)]) AS edge
                FROM ${database}.agent_intervals AS i FINAL
                INNER JOIN ${database}.pane_lengths AS l ON l.site = i.site
                WHERE i.state != 'offline' AND i.started_at < {to:DateTime64(3, 'UTC')}
                    AND (i.ended_at IS NULL OR i.ended_at > {from:DateTime64(3, 'UTC')}) AND began_ms < ceased_ms
            )
            UNION ALL
            -- Every pane of the span of each team, so that one that should be full and is missing shows.
            SELECT site, team, start_ms, 0, pane, start_ms, [0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]
            FROM
            (
                SELECT site, team, tupleElement(piece, 3) AS pane,
                    arrayJoin(range(tupleElement(piece, 1) - positiveModulo(tupleElement(piece, 1), pane), tupleElement(piece, 2), pane)) AS start_ms
                FROM
                (
                    SELECT
                        i.site AS site, toString(i.team) AS team, any(l.steps) AS steps,
                        greatest(min(toUnixTimestamp64Milli(i.started_at)), from_ms) AS low_ms,
                        least(max(ifNull(toUnixTimestamp64Milli(i.ended_at), to_ms)), to_ms, any(l.closed_ms)) AS high_ms,
                        arrayMap((step, nth) -> (
                            greatest(tupleElement(step, 1), low_ms),
                            least(if(nth = length(steps), high_ms, tupleElement(steps[nth + 1], 1)), high_ms),
                            tupleElement(step, 2)), steps, arrayEnumerate(steps)) AS pieces,
                        arrayJoin(arrayFilter(piece -> tupleElement(piece, 1) < tupleElement(piece, 2), pieces)) AS piece
                    FROM ${database}.agent_intervals AS i FINAL
                    INNER JOIN ${database}.pane_lengths AS l ON l.site = i.site
                    WHERE i.state != 'offline' AND i.started_at < {to:DateTime64(3, 'UTC')}
                        AND (i.ended_at IS NULL OR i.ended_at > {from:DateTime64(3, 'UTC')})
                    GROUP BY site, team
                )
            )
        )
        GROUP BY site, team, start_ms
    )
)
WHERE start_ms >= from_ms AND start_ms < to_ms
COMMENT 'recomputed_team_panes(from, to): state time of closed panes from the intervals of agents';

CREATE OR REPLACE VIEW ${database}.leapt_panes
(
    site LowCardinality(String) COMMENT 'Site',
    low_ms Int64 COMMENT 'Last pane before the gap, epoch milliseconds',
    high_ms Int64 COMMENT 'First pane after it'
)
AS
-- The engine steps over a silence of weeks without laying out a pane for each moment of it (the
-- sums stay right): such a gap has no panes of teams at all, and none are to be compared.
SELECT s.site AS site, s.low_ms AS low_ms, s.high_ms AS high_ms
FROM
(
    SELECT site, start_ms AS high_ms, lagInFrame(start_ms, 1, start_ms) OVER (PARTITION BY site ORDER BY start_ms) AS low_ms
    FROM
    (
        SELECT DISTINCT site, toUnixTimestamp64Milli(pane_start) AS start_ms
        FROM ${database}.team_panes
        WHERE pane_start >= subtractDays({from:DateTime64(3, 'UTC')}, 42) AND pane_start < addDays({to:DateTime64(3, 'UTC')}, 42)
        UNION DISTINCT
        -- A range inside the gap sees neither end of it.
        SELECT site, toUnixTimestamp64Milli(arrayJoin([
            subtractDays({from:DateTime64(3, 'UTC')}, 42), least(at, addDays({to:DateTime64(3, 'UTC')}, 42))]))
        FROM ${database}.progress
    )
) AS s
INNER JOIN ${database}.pane_lengths AS l ON l.site = s.site
WHERE s.high_ms < l.closed_ms
    AND s.high_ms - s.low_ms > 50000 * tupleElement(arrayLast(step -> tupleElement(step, 1) <= s.low_ms, l.steps), 2)
COMMENT 'leapt_panes(from, to): silences around [from, to) that have no panes';

CREATE OR REPLACE VIEW ${database}.reconciliation_between
(
    site LowCardinality(String) COMMENT 'Site',
    pane_start DateTime64(3, 'UTC') COMMENT 'First moment of the pane',
    pane LowCardinality(String) COMMENT 'queue or team: which table holds the pane',
    name String COMMENT 'Queue or team',
    channel String COMMENT 'Channel; empty for teams',
    counter LowCardinality(String) COMMENT 'Counter or state time that differs',
    stored Int64 COMMENT 'What the engine counted',
    recomputed Int64 COMMENT 'What the records say'
)
AS
WITH
    ['offered', 'answered', 'answered_in', 'wait_ms', 'abandoned', 'abandoned_in', 'abandoned_short', 'abandoned_wait_ms',
     'left_callback', 'left_overflow', 'left_other', 'sl_met', 'sl_missed', 'sl_abandoned', 'declined', 'transferred',
     'handled', 'talk_ms', 'hold_ms', 'wrap_ms'] AS queue_counters,
    ['talk_ms', 'hold_ms', 'wrap_ms', 'busy_state_ms', 'ringing_ms', 'available_ms', 'not_ready_ms'] AS team_counters
SELECT
    d.site AS site, fromUnixTimestamp64Milli(d.start_ms, 'UTC') AS pane_start, d.pane AS pane, d.name AS name, d.channel AS channel,
    if(d.pane = 'queue', queue_counters, team_counters)[nth] AS counter,
    d.kept[nth] AS stored, d.counted[nth] AS recomputed
FROM
(
    SELECT
        site, start_ms, pane, name, channel, max(newest) AS newest,
        sumForEach(stored_values) AS kept, sumForEach(counted_values) AS counted,
        arrayFilter(nth -> kept[nth] != counted[nth], arrayEnumerate(kept)) AS differing
    FROM
    (
        SELECT
            site, toUnixTimestamp64Milli(pane_start) AS start_ms, 'queue' AS pane, toString(queue) AS name,
            toString(queue_panes.channel) AS channel, version AS newest,
            [offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short, abandoned_wait_ms,
             left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined, transferred,
             handled, talk_ms, hold_ms, wrap_ms] AS stored_values,
            arrayResize([toInt64(0)], 20) AS counted_values
        FROM ${database}.queue_panes FINAL
        WHERE pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT
            site, toUnixTimestamp64Milli(pane_start), 'team', toString(team), '', version,
            [talk_ms, hold_ms, wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms],
            arrayResize([toInt64(0)], 7)
        FROM ${database}.team_panes FINAL
        WHERE pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        -- FINAL hides a withdrawn pane, whose version may still be ahead of the progress.
        SELECT
            site, toUnixTimestamp64Milli(pane_start), 'queue', toString(queue), toString(queue_panes.channel), version,
            arrayResize([toInt64(0)], 20), arrayResize([toInt64(0)], 20)
        FROM ${database}.queue_panes
        WHERE is_deleted AND pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT
            site, toUnixTimestamp64Milli(pane_start), 'team', toString(team), '', version,
            arrayResize([toInt64(0)], 7), arrayResize([toInt64(0)], 7)
        FROM ${database}.team_panes
        WHERE is_deleted AND pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT site, start_ms, 'queue', queue, channel, 0, arrayResize([toInt64(0)], 20), counters
        FROM ${database}.recomputed_queue_panes(
            from = {from:DateTime64(3, 'UTC')}, to = addMilliseconds({to:DateTime64(3, 'UTC')}, 60000))
        UNION ALL
        SELECT site, start_ms, 'team', team, '', 0, arrayResize([toInt64(0)], 7), times
        FROM ${database}.recomputed_team_panes(
            from = {from:DateTime64(3, 'UTC')}, to = addMilliseconds({to:DateTime64(3, 'UTC')}, 60000))
    )
    GROUP BY site, start_ms, pane, name, channel
    HAVING notEmpty(differing)
) AS d
INNER JOIN ${database}.pane_lengths AS l ON l.site = d.site
LEFT JOIN
(
    SELECT site, groupArray((low_ms, high_ms)) AS gaps
    FROM ${database}.leapt_panes(from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')})
    GROUP BY site
) AS g ON g.site = d.site
ARRAY JOIN d.differing AS nth
WHERE d.newest <= l.version
    -- A pane is at most a minute long: the last one was recomputed whole, so were its neighbours.
    AND d.start_ms >= toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')})
    AND d.start_ms < toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')})
    AND d.start_ms + tupleElement(arrayLast(step -> tupleElement(step, 1) <= d.start_ms, l.steps), 2) <= l.closed_ms
    AND NOT (d.pane = 'team' AND arrayExists(gap -> d.start_ms > tupleElement(gap, 1) AND d.start_ms < tupleElement(gap, 2), g.gaps))
COMMENT 'reconciliation_between(from, to): panes of [from, to) in which engine and records differ; must be empty';

CREATE OR REPLACE VIEW ${database}.reconciliation
(
    site LowCardinality(String) COMMENT 'Site',
    pane_start DateTime64(3, 'UTC') COMMENT 'First moment of the pane',
    pane LowCardinality(String) COMMENT 'queue or team: which table holds the pane',
    name String COMMENT 'Queue or team',
    channel String COMMENT 'Channel; empty for teams',
    counter LowCardinality(String) COMMENT 'Counter or state time that differs',
    stored Int64 COMMENT 'What the engine counted',
    recomputed Int64 COMMENT 'What the records say'
)
AS SELECT site, pane_start, pane, name, channel, counter, stored, recomputed
FROM ${database}.reconciliation_between(from = '1900-03-01 00:00:00', to = '2290-01-01 00:00:00')
COMMENT 'Panes in which engine and records differ: must be empty. All of history; reconciliation_between asks for less';
