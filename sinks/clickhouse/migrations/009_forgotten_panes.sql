-- A pane that the engine had forgotten and then had to correct (docs/adr/0001): its row says that the
-- engine no longer knows it, holds no figures, and is not compared. Reports do not read panes.

ALTER TABLE ${database}.queue_panes
    ADD COLUMN IF NOT EXISTS is_whole UInt8 DEFAULT 1
    COMMENT '0 where the engine corrected the pane after it had forgotten it: the counters are zero, the records count'
    AFTER wrap_ms;

ALTER TABLE ${database}.team_panes
    ADD COLUMN IF NOT EXISTS is_whole UInt8 DEFAULT 1
    COMMENT '0 where the engine corrected the pane after it had forgotten it: the times are zero, the intervals count'
    AFTER not_ready_ms;

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
        WHERE is_whole AND pane_start >= subtractDays({from:DateTime64(3, 'UTC')}, 42) AND pane_start < addDays({to:DateTime64(3, 'UTC')}, 42)
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
        site, start_ms, pane, name, channel, max(newest) AS newest, min(whole) AS is_known,
        sumForEach(stored_values) AS kept, sumForEach(counted_values) AS counted,
        arrayFilter(nth -> kept[nth] != counted[nth], arrayEnumerate(kept)) AS differing
    FROM
    (
        SELECT
            site, toUnixTimestamp64Milli(pane_start) AS start_ms, 'queue' AS pane, toString(queue) AS name,
            toString(queue_panes.channel) AS channel, version AS newest, is_whole AS whole,
            [offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short, abandoned_wait_ms,
             left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined, transferred,
             handled, talk_ms, hold_ms, wrap_ms] AS stored_values,
            arrayResize([toInt64(0)], 20) AS counted_values
        FROM ${database}.queue_panes FINAL
        WHERE pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT
            site, toUnixTimestamp64Milli(pane_start), 'team', toString(team), '', version, is_whole,
            [talk_ms, hold_ms, wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms],
            arrayResize([toInt64(0)], 7)
        FROM ${database}.team_panes FINAL
        WHERE pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        -- FINAL hides a withdrawn pane, whose version may still be ahead of the progress.
        SELECT
            site, toUnixTimestamp64Milli(pane_start), 'queue', toString(queue), toString(queue_panes.channel), version, 1,
            arrayResize([toInt64(0)], 20), arrayResize([toInt64(0)], 20)
        FROM ${database}.queue_panes
        WHERE is_deleted AND pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT
            site, toUnixTimestamp64Milli(pane_start), 'team', toString(team), '', version, 1,
            arrayResize([toInt64(0)], 7), arrayResize([toInt64(0)], 7)
        FROM ${database}.team_panes
        WHERE is_deleted AND pane_start >= {from:DateTime64(3, 'UTC')} AND pane_start < {to:DateTime64(3, 'UTC')}
        UNION ALL
        SELECT site, start_ms, 'queue', queue, channel, 0, 1, arrayResize([toInt64(0)], 20), counters
        FROM ${database}.recomputed_queue_panes(
            from = {from:DateTime64(3, 'UTC')}, to = addMilliseconds({to:DateTime64(3, 'UTC')}, 60000))
        UNION ALL
        SELECT site, start_ms, 'team', team, '', 0, 1, arrayResize([toInt64(0)], 7), times
        FROM ${database}.recomputed_team_panes(
            from = {from:DateTime64(3, 'UTC')}, to = addMilliseconds({to:DateTime64(3, 'UTC')}, 60000))
    )
    GROUP BY site, start_ms, pane, name, channel
    -- Of a pane that is not whole the engine says nothing.
    HAVING notEmpty(differing) AND is_known
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
