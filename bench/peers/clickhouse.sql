-- The job as one batch query for the queues and one for the site, over a file of events.
CREATE TABLE events (type LowCardinality(String), ts Int64, contact String, queue LowCardinality(String),
  agent LowCardinality(String), state LowCardinality(String), place UInt64) ENGINE = Memory;

INSERT INTO events SELECT type, ts, contact, queue, agent, state, rowNumberInAllBlocks()
FROM file({day}, 'JSONEachRow', 'type String, ts Int64, contact String, queue String, agent String, state String')
SETTINGS max_threads = 1, input_format_skip_unknown_fields = 1;

INSERT INTO FUNCTION file({queues}, 'CSV')
WITH
  visits AS (
    SELECT queue, ts, type,
      lagInFrame(type) OVER w = 'contact.queued' AS waited,
      ts - lagInFrame(ts) OVER w AS wait
    FROM events WHERE type IN ('contact.queued', 'contact.answered', 'contact.abandoned', 'contact.left')
    WINDOW w AS (PARTITION BY contact, queue ORDER BY place ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)),
  legs AS (
    SELECT lagInFrame(queue) OVER w AS queue, ts, type,
      lagInFrame(type) OVER w = 'contact.answered' AS talked,
      ts - lagInFrame(ts) OVER w AS took
    FROM events WHERE type IN ('contact.answered', 'contact.wrapped')
    WINDOW w AS (PARTITION BY contact, agent ORDER BY place ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)),
  panes AS (
    SELECT queue, intDiv(ts, 10000) * 10000 + 10000 AS pane,
      countIf(type = 'contact.queued' AND NOT waited) AS offered,
      countIf(type = 'contact.answered' AND waited) AS answered,
      countIf(type = 'contact.answered' AND waited AND wait <= 20000) AS answered_in,
      countIf(type = 'contact.abandoned' AND waited) AS abandoned,
      countIf(type = 'contact.abandoned' AND waited AND wait <= 5000) AS abandoned_short,
      0 AS handled, 0 AS handle_ms
    FROM visits GROUP BY queue, pane
    UNION ALL
    SELECT queue, intDiv(ts, 10000) * 10000 + 10000 AS pane, 0, 0, 0, 0, 0, count(), sum(took)
    FROM legs WHERE type = 'contact.wrapped' AND talked GROUP BY queue, pane)
SELECT edge, queue, sum(offered), sum(answered), sum(answered_in), sum(abandoned), sum(abandoned_short),
  sum(handled), sum(handle_ms)
-- A pane is in thirty windows.
FROM panes ARRAY JOIN range(pane, pane + 300000, 10000) AS edge
GROUP BY edge, queue;

INSERT INTO FUNCTION file({site}, 'CSV')
WITH
  states AS (
    SELECT agent, place, ts,
      sum((type = 'contact.answered') - (type = 'contact.wrapped')) OVER w > 0 AS on_legs,
      argMaxIf(state, place, type = 'agent.state') OVER w AS platform,
      on_legs OR platform IN ('busy', 'wrap') AS busy,
      NOT busy AND platform = 'available' AS idle
    FROM events WHERE type IN ('contact.answered', 'contact.wrapped', 'agent.state')
    WINDOW w AS (PARTITION BY agent ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)),
  changes AS (
    SELECT ts, toInt64(busy) - lagInFrame(toInt64(busy)) OVER w AS busy_step,
      toInt64(idle) - lagInFrame(toInt64(idle)) OVER w AS idle_step
    FROM states
    WINDOW w AS (PARTITION BY agent ORDER BY place ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
    UNION ALL SELECT ts, 0, 0 FROM events WHERE type = 'clock'),
  panes AS (
    SELECT intDiv(ts, 10000) * 10000 + 10000 AS edge, sum(busy_step) AS busy, sum(idle_step) AS idle,
      sum(busy_step * ts) AS busy_at, sum(idle_step * ts) AS idle_at
    FROM changes GROUP BY edge),
  upto AS (
    SELECT edge, sum(busy) OVER w * edge - sum(busy_at) OVER w AS busy_ms,
      sum(idle) OVER w * edge - sum(idle_at) OVER w AS idle_ms
    FROM panes WINDOW w AS (ORDER BY edge ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW))
SELECT edge, '*', busy_ms - lagInFrame(busy_ms, 30) OVER w, idle_ms - lagInFrame(idle_ms, 30) OVER w
FROM upto WINDOW w AS (ORDER BY edge ROWS BETWEEN 30 PRECEDING AND CURRENT ROW);

SELECT count() FROM events;
