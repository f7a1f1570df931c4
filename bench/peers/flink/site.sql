-- The site's part. Up to t the time in a state is the sum of step * (t - moment) over all changes; a
-- window is the difference of two edges. An edge is known only if something happened in the pane
-- before it: the clock events see to that, without them rows of quiet periods are missing. LAG takes
-- rows of one millisecond as one, and an agent has often two; hence windows of two rows.
CREATE TABLE site_rows (edge BIGINT, queue STRING, busy_ms BIGINT, idle_ms BIGINT
) WITH ('connector' = 'filesystem', 'path' = '{results}/site', 'format' = 'csv',
  'csv.disable-quote-character' = 'true');

CREATE VIEW states AS
SELECT agent, rt, ts,
  IF(SUM(IF(type = 'contact.answered', 1, IF(type = 'contact.wrapped', -1, 0))) OVER w > 0, 'busy',
    LAST_VALUE(IF(type = 'agent.state', state, CAST(NULL AS STRING))) OVER w) AS state
FROM events WHERE type IN ('contact.answered', 'contact.wrapped', 'agent.state')
WINDOW w AS (PARTITION BY agent ORDER BY rt ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW);

CREATE VIEW present AS
SELECT agent, rt, ts, IF(state IN ('busy', 'wrap'), 1, 0) AS busy, IF(state = 'available', 1, 0) AS idle
FROM states;

CREATE VIEW changes AS
SELECT rt, ts, busy - IF(COUNT(*) OVER w = 1, 0, FIRST_VALUE(busy) OVER w) AS busy,
  idle - IF(COUNT(*) OVER w = 1, 0, FIRST_VALUE(idle) OVER w) AS idle
FROM present
WINDOW w AS (PARTITION BY agent ORDER BY rt ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
UNION ALL
SELECT rt, ts, 0, 0 FROM events WHERE type = 'clock';

CREATE VIEW panes AS
SELECT window_time AS wt, SUM(busy) AS busy, SUM(idle) AS idle, SUM(busy * ts) AS busy_at, SUM(idle * ts) AS idle_at
FROM TABLE(TUMBLE(TABLE changes, DESCRIPTOR(rt), INTERVAL '10' SECOND))
GROUP BY window_start, window_end, window_time;

CREATE VIEW upto AS
SELECT wt, edge, busy * edge - busy_at AS busy_ms, idle * edge - idle_at AS idle_ms
FROM (
  SELECT wt, 1000 * CAST(1 + TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', CAST(wt AS TIMESTAMP(3))) AS BIGINT) AS edge,
    SUM(busy) OVER w AS busy, SUM(idle) OVER w AS idle, SUM(busy_at) OVER w AS busy_at, SUM(idle_at) OVER w AS idle_at
  FROM panes WINDOW w AS (ORDER BY wt ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW));

INSERT INTO site_rows
SELECT edge, '*', busy_ms - COALESCE(LAG(busy_ms, 30) OVER w, 0), idle_ms - COALESCE(LAG(idle_ms, 30) OVER w, 0)
FROM upto WINDOW w AS (ORDER BY wt);
