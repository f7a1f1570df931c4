-- What alerting said of itself: one row a notification, so that the worst value of an episode is
-- known and a notification delivered again is the same row. An episode is (alertname, fingerprint,
-- fired_at); the views show one row an episode.

CREATE TABLE IF NOT EXISTS ${database}.alert_history
(
    site LowCardinality(String) COMMENT 'Site; empty for an alert of the pipeline',
    alertname LowCardinality(String) COMMENT 'Name of the alert',
    fingerprint String COMMENT 'Tells the alerts of one name apart: digest of the labels',
    fired_at DateTime64(3, 'UTC') COMMENT 'Moment it fired' CODEC(Delta, ZSTD(1)),
    notified_at DateTime64(3, 'UTC') COMMENT 'Moment the door took the notification' CODEC(Delta, ZSTD(1)),
    status Enum8('firing' = 1, 'resolved' = 2) COMMENT 'What the notification says',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment it ended; null while it fires',
    severity LowCardinality(String) COMMENT 'critical, warning or info',
    queue LowCardinality(String) COMMENT 'Queue; empty where it has none',
    channel LowCardinality(String) COMMENT 'Channel; empty where it has none',
    team LowCardinality(String) COMMENT 'Team; empty where it has none',
    kpi LowCardinality(String) COMMENT 'KPI; empty where it has none',
    value Nullable(Float64) COMMENT 'Figure when notified: ratio, count or seconds',
    numerator Nullable(Float64) COMMENT 'Its numerator',
    denominator Nullable(Float64) COMMENT 'Its denominator',
    target Nullable(Float64) COMMENT 'What it should be',
    at Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the site the figure is of',
    summary String COMMENT 'The sentence of the message',
    explain_url String COMMENT 'Where the contacts behind the figure are',
    labels Map(String, String) COMMENT 'All labels',
    annotations Map(String, String) COMMENT 'All annotations',
    source Enum8('alertmanager' = 1, 'grafana' = 2) COMMENT 'Who delivered it',
    receiver LowCardinality(String) COMMENT 'Receiver it was sent to',
    muted UInt8 COMMENT '1 where the notification says that it was silenced, inhibited or muted',
    version UInt64 COMMENT 'Moment of notification in milliseconds, times 2, plus 1 where resolved' CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(fired_at)
ORDER BY (site, alertname, fingerprint, fired_at, notified_at)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000
COMMENT 'One row a notification of an alert';

CREATE OR REPLACE VIEW ${database}.alert_review
(
    site LowCardinality(String) COMMENT 'Site; empty for an alert of the pipeline',
    alertname LowCardinality(String) COMMENT 'Name of the alert',
    fingerprint String COMMENT 'Tells the alerts of one name apart',
    queue LowCardinality(String) COMMENT 'Queue; empty where it has none',
    channel LowCardinality(String) COMMENT 'Channel; empty where it has none',
    team LowCardinality(String) COMMENT 'Team; empty where it has none',
    kpi LowCardinality(String) COMMENT 'KPI; empty where it has none',
    severity LowCardinality(String) COMMENT 'critical, warning or info',
    fired_at DateTime64(3, 'UTC') COMMENT 'Moment it fired',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Moment it ended; null while it fires. Where it fired anew and no end was told: when it was last notified',
    duration_s Nullable(Float64) COMMENT 'Seconds between them; null while it fires',
    last_notified_at DateTime64(3, 'UTC') COMMENT 'Moment it was last notified',
    worst_value Nullable(Float64) COMMENT 'Worst figure notified: the smallest where the name ends in Low, else the greatest',
    last_value Nullable(Float64) COMMENT 'Figure notified last',
    numerator Nullable(Float64) COMMENT 'Numerator notified last',
    denominator Nullable(Float64) COMMENT 'Denominator notified last',
    target Nullable(Float64) COMMENT 'Target notified last',
    at Nullable(DateTime64(3, 'UTC')) COMMENT 'Time of the site the last figure is of',
    notifications UInt64 COMMENT 'How often it was notified, the end included',
    summary String COMMENT 'The sentence of the last message',
    explain_url String COMMENT 'Where the contacts behind the last figure are',
    source LowCardinality(String) COMMENT 'alertmanager or grafana',
    muted UInt8 COMMENT '1 where a notification said that it was silenced, inhibited or muted'
)
AS SELECT
    site, alertname, fingerprint, queue, channel, team, kpi, severity, fired_at,
    -- A Prometheus or Alertmanager that begins anew never tells the end of what it has forgotten.
    if(told_end IS NULL AND leadInFrame(toNullable(fired_at)) OVER (
        PARTITION BY site, alertname, fingerprint ORDER BY fired_at ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
    ) IS NOT NULL, greatest(last_notified_at, fired_at), told_end) AS resolved_at,
    (toUnixTimestamp64Milli(resolved_at) - toUnixTimestamp64Milli(fired_at)) / 1000 AS duration_s,
    last_notified_at, worst_value, last_value, numerator, denominator, target, at, notifications, summary, explain_url,
    source, muted
FROM
(
    SELECT
        site, alertname, fingerprint,
        argMax(n.queue, n.version) AS queue, argMax(n.channel, n.version) AS channel, argMax(n.team, n.version) AS team,
        argMax(n.kpi, n.version) AS kpi, argMax(n.severity, n.version) AS severity, n.fired_at AS fired_at,
        -- In a tuple, for argMax passes over nulls.
        tupleElement(argMax(tuple(n.resolved_at), n.version), 1) AS told_end,
        max(n.notified_at) AS last_notified_at,
        if(endsWith(alertname, 'Low'), min(n.value), max(n.value)) AS worst_value,
        tupleElement(argMax(tuple(n.value), n.version), 1) AS last_value,
        tupleElement(argMax(tuple(n.numerator), n.version), 1) AS numerator,
        tupleElement(argMax(tuple(n.denominator), n.version), 1) AS denominator,
        tupleElement(argMax(tuple(n.target), n.version), 1) AS target,
        tupleElement(argMax(tuple(n.at), n.version), 1) AS at,
        count() AS notifications,
        argMax(n.summary, n.version) AS summary, argMax(n.explain_url, n.version) AS explain_url,
        toString(argMax(n.source, n.version)) AS source, max(n.muted) AS muted
    FROM ${database}.alert_history AS n FINAL
    GROUP BY site, alertname, fingerprint, fired_at
)
COMMENT 'One row an episode of an alert: how long it fired, and the worst value';

CREATE OR REPLACE VIEW ${database}.alert_history_now
(
    site LowCardinality(String) COMMENT 'Site; empty for an alert of the pipeline',
    alertname LowCardinality(String) COMMENT 'Name of the alert',
    queue LowCardinality(String) COMMENT 'Queue; empty where it has none',
    channel LowCardinality(String) COMMENT 'Channel; empty where it has none',
    team LowCardinality(String) COMMENT 'Team; empty where it has none',
    severity LowCardinality(String) COMMENT 'critical, warning or info',
    fired_at DateTime64(3, 'UTC') COMMENT 'Moment it fired',
    worst_value Nullable(Float64) COMMENT 'Worst figure notified so far',
    last_value Nullable(Float64) COMMENT 'Figure notified last',
    target Nullable(Float64) COMMENT 'Target notified last',
    summary String COMMENT 'The sentence of the last message',
    explain_url String COMMENT 'Where the contacts behind the last figure are'
)
AS SELECT
    site, alertname, queue, channel, team, severity, fired_at, worst_value, last_value, target, summary, explain_url
FROM ${database}.alert_review
WHERE resolved_at IS NULL
COMMENT 'Alerts of which no end was notified yet';

CREATE OR REPLACE VIEW ${database}.alert_weekly
(
    week Date COMMENT 'Monday of the week (UTC) in which it fired',
    site LowCardinality(String) COMMENT 'Site; empty for alerts of the pipeline',
    alertname LowCardinality(String) COMMENT 'Name of the alert',
    queue LowCardinality(String) COMMENT 'Queue; empty where it has none',
    channel LowCardinality(String) COMMENT 'Channel; empty where it has none',
    team LowCardinality(String) COMMENT 'Team; empty where it has none',
    episodes UInt64 COMMENT 'How often it fired',
    unresolved UInt64 COMMENT 'Of them, those without an end so far',
    total_s Float64 COMMENT 'Seconds it fired in all, of ended episodes',
    median_s Nullable(Float64) COMMENT 'Median of their durations, seconds; null without one',
    longest_s Nullable(Float64) COMMENT 'Longest of their durations, seconds; null without one',
    worst_value Nullable(Float64) COMMENT 'Worst figure notified: the smallest where the name ends in Low, else the greatest',
    target Nullable(Float64) COMMENT 'Target of the last episode'
)
AS SELECT
    toDate(toStartOfWeek(toDateTime(r.fired_at, 'UTC'), 1)) AS week, r.site AS site, r.alertname AS alertname,
    r.queue AS queue, r.channel AS channel, r.team AS team,
    count() AS episodes, countIf(r.resolved_at IS NULL) AS unresolved,
    ifNull(sum(r.duration_s), 0) AS total_s,
    if(episodes > unresolved, quantileExactInclusive(0.5)(r.duration_s), NULL) AS median_s,
    max(r.duration_s) AS longest_s,
    if(endsWith(alertname, 'Low'), min(r.worst_value), max(r.worst_value)) AS worst_value,
    tupleElement(argMax(tuple(r.target), r.fired_at), 1) AS target
FROM ${database}.alert_review AS r
GROUP BY week, site, alertname, queue, channel, team
COMMENT 'Each alert by week and queue: how often, how long, how bad';
