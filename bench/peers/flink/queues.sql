-- The queues' part of the job. Visits and legs are found by the event before in the same contact and
-- queue, or contact and agent; the windows are Flink's own, which it cuts into panes by itself.
CREATE TABLE events (
  type STRING, ts BIGINT, contact STRING, queue STRING, agent STRING, state STRING,
  rt AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR rt AS rt - INTERVAL '0.001' SECOND
) WITH ('connector' = 'filesystem', 'path' = '{day}', 'format' = 'json');

CREATE TABLE queue_rows (edge BIGINT, queue STRING, offered BIGINT, answered BIGINT, answered_in BIGINT,
  abandoned BIGINT, abandoned_short BIGINT, handled BIGINT, handle_ms BIGINT
) WITH ('connector' = 'filesystem', 'path' = '{results}/queues', 'format' = 'csv',
  'csv.disable-quote-character' = 'true');

CREATE VIEW visits AS
SELECT queue, rt, type,
  LAG(type) OVER w = 'contact.queued' AS waited, ts - LAG(ts) OVER w AS wait
FROM events WHERE type IN ('contact.queued', 'contact.answered', 'contact.abandoned', 'contact.left')
WINDOW w AS (PARTITION BY contact, queue ORDER BY rt);

CREATE VIEW legs AS
SELECT LAG(queue) OVER w AS queue, rt, type,
  LAG(type) OVER w = 'contact.answered' AS talked, ts - LAG(ts) OVER w AS took
FROM events WHERE type IN ('contact.answered', 'contact.wrapped')
WINDOW w AS (PARTITION BY contact, agent ORDER BY rt);

CREATE VIEW counts AS
SELECT queue, rt, IF(type = 'contact.queued' AND waited IS NOT TRUE, 1, 0) AS offered,
  IF(type = 'contact.answered' AND waited, 1, 0) AS answered,
  IF(type = 'contact.answered' AND waited AND wait <= 20000, 1, 0) AS answered_in,
  IF(type = 'contact.abandoned' AND waited, 1, 0) AS abandoned,
  IF(type = 'contact.abandoned' AND waited AND wait <= 5000, 1, 0) AS abandoned_short,
  0 AS handled, CAST(0 AS BIGINT) AS handle_ms
FROM visits WHERE type <> 'contact.left'
UNION ALL
SELECT queue, rt, 0, 0, 0, 0, 0, 1, took FROM legs WHERE type = 'contact.wrapped' AND talked;

INSERT INTO queue_rows
SELECT 1000 * CAST(TIMESTAMPDIFF(SECOND, TIMESTAMP '1970-01-01 00:00:00', window_end) AS BIGINT), queue,
  SUM(offered), SUM(answered), SUM(answered_in), SUM(abandoned), SUM(abandoned_short), SUM(handled),
  SUM(handle_ms)
FROM TABLE(HOP(TABLE counts, DESCRIPTOR(rt), INTERVAL '10' SECOND, INTERVAL '5' MINUTE))
GROUP BY queue, window_start, window_end;
