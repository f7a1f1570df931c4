-- The windows of the board, at any time of the site: the same cells, with the bounds the board has.

CREATE OR REPLACE VIEW ${database}.window_bounds
(
    starts_at DateTime64(3, 'UTC') COMMENT 'First moment of the window',
    ends_at DateTime64(3, 'UTC') COMMENT 'First moment after it: the end of the pane that is open',
    known_at DateTime64(3, 'UTC') COMMENT 'Time of the site the window is seen from'
)
AS
WITH
    -- As a scalar, for a time zone must be a constant.
    (
        SELECT any((known_at, pane_ms, time_zone))
        FROM ${database}.settings_at(at = {at:Nullable(DateTime64(3, 'UTC'))})
        WHERE site = {site:String}
    ) AS found,
    assumeNotNull(tupleElement(found, 1)) AS until,
    assumeNotNull(tupleElement(found, 3)) AS zone,
    toUnixTimestamp64Milli(until) AS until_ms,
    -- A site that is not known has no pane: every window of it is empty.
    greatest(assumeNotNull(tupleElement(found, 2)), 1) AS step_ms,
    intDiv(until_ms + step_ms - 1, step_ms) * step_ms AS edge_ms,
    transform({window:String}, ['5m', '15m', '30m', '60m'], [300000, 900000, 1800000, 3600000], 0) AS window_ms
SELECT
    multiIf(
        window_ms > 0, fromUnixTimestamp64Milli(edge_ms - window_ms, 'UTC'),
        {window:String} = 'today', toDateTime64(toStartOfDay(toTimeZone(until, if(zone = '', 'UTC', zone))), 3, 'UTC'),
        {window:String} = 'total', toDateTime64('1900-01-02 00:00:00', 3, 'UTC'),
        fromUnixTimestamp64Milli(toInt64(throwIf(1, 'window must be 5m, 15m, 30m, 60m, today or total')), 'UTC')) AS starts_at,
    fromUnixTimestamp64Milli(if({window:String} = 'total', until_ms + 1, edge_ms), 'UTC') AS ends_at,
    until AS known_at
COMMENT 'window_bounds(site, window, at): the bounds of a window of the board';

CREATE OR REPLACE VIEW ${database}.kpi_window
(
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue',
    channel LowCardinality(String) COMMENT 'Channel',
    offered Int64 COMMENT 'Visits that began to wait',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of answered visits, milliseconds',
    abandoned Int64 COMMENT 'Visits abandoned',
    abandoned_in Int64 COMMENT 'Abandoned within the threshold',
    abandoned_short Int64 COMMENT 'Abandoned within the short limit',
    abandoned_wait_ms Int64 COMMENT 'Sum of the waits of abandoned visits, milliseconds',
    left_callback Int64 COMMENT 'Left for a callback',
    left_overflow Int64 COMMENT 'Left by overflow, timeout or transfer',
    left_other Int64 COMMENT 'Left in any other way',
    sl_met Int64 COMMENT 'Service-level event: answered within the threshold',
    sl_missed Int64 COMMENT 'Service-level event: the threshold passed while waiting',
    sl_abandoned Int64 COMMENT 'Service-level event: abandoned within the threshold',
    declined Int64 COMMENT 'Rings that ended without an answer',
    transferred Int64 COMMENT 'Legs released as transferred',
    handled Int64 COMMENT 'Legs wrapped',
    talk_ms Int64 COMMENT 'Talk of handled legs without hold, milliseconds',
    hold_ms Int64 COMMENT 'Hold of handled legs, milliseconds',
    wrap_ms Int64 COMMENT 'Wrap-up of handled legs, milliseconds',
    formula LowCardinality(String) COMMENT 'Service-level formula of the settings',
    exclude_short UInt8 COMMENT '1 where the settings leave short abandons out of it',
    sl_numerator Int64 COMMENT 'Numerator of service_level',
    sl_denominator Int64 COMMENT 'Denominator of service_level',
    service_level Nullable(Float64) COMMENT 'Service level by formula and exclude_short',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered',
    ignore_abandons Nullable(Float64) COMMENT 'answered_in / (answered + abandoned - abandoned_in)',
    abandons_negative Nullable(Float64) COMMENT 'answered_in / (answered + abandoned)',
    abandons_positive Nullable(Float64) COMMENT '(answered_in + abandoned_in) / (answered + abandoned)',
    ignore_abandons_without_short Nullable(Float64) COMMENT 'ignore_abandons with short abandons left out',
    abandons_negative_without_short Nullable(Float64) COMMENT 'abandons_negative with short abandons left out',
    abandons_positive_without_short Nullable(Float64) COMMENT 'abandons_positive with short abandons left out',
    sl_event_negative Nullable(Float64) COMMENT 'sl_met / (sl_met + sl_missed + sl_abandoned)',
    sl_event_ignore Nullable(Float64) COMMENT 'sl_met / (sl_met + sl_missed)',
    sl_event_positive Nullable(Float64) COMMENT '(sl_met + sl_abandoned) / (sl_met + sl_missed + sl_abandoned)',
    abandonment Nullable(Float64) COMMENT 'abandoned / (answered + abandoned)',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    aht_ms Nullable(Float64) COMMENT 'Average handle time: (talk_ms + hold_ms + wrap_ms) / handled, milliseconds'
)
AS SELECT
    site, queue, channel, offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short,
    abandoned_wait_ms, left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined,
    transferred, handled, talk_ms, hold_ms, wrap_ms, formula, exclude_short, sl_numerator, sl_denominator,
    service_level, answered_only, ignore_abandons, abandons_negative, abandons_positive,
    ignore_abandons_without_short, abandons_negative_without_short, abandons_positive_without_short,
    sl_event_negative, sl_event_ignore, sl_event_positive, abandonment, asa_ms, aht_ms
FROM ${database}.kpi_cells(
    from = (SELECT starts_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    to = (SELECT ends_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    at = {at:Nullable(DateTime64(3, 'UTC'))}, threshold_ms = NULL, short_ms = NULL, step_ms = 0)
WHERE scope = 'queue' AND site = {site:String}
COMMENT 'kpi_window(site, window, at): every KPI of each queue and channel in a window of the board (5m, 15m, 30m, 60m, today, total) at a time of the site, null for the newest known';

CREATE OR REPLACE VIEW ${database}.kpi_window_all
(
    site LowCardinality(String) COMMENT 'Site',
    offered Int64 COMMENT 'Visits that began to wait',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of answered visits, milliseconds',
    abandoned Int64 COMMENT 'Visits abandoned',
    abandoned_in Int64 COMMENT 'Abandoned within the threshold',
    abandoned_short Int64 COMMENT 'Abandoned within the short limit',
    abandoned_wait_ms Int64 COMMENT 'Sum of the waits of abandoned visits, milliseconds',
    left_callback Int64 COMMENT 'Left for a callback',
    left_overflow Int64 COMMENT 'Left by overflow, timeout or transfer',
    left_other Int64 COMMENT 'Left in any other way',
    sl_met Int64 COMMENT 'Service-level event: answered within the threshold',
    sl_missed Int64 COMMENT 'Service-level event: the threshold passed while waiting',
    sl_abandoned Int64 COMMENT 'Service-level event: abandoned within the threshold',
    declined Int64 COMMENT 'Rings that ended without an answer',
    transferred Int64 COMMENT 'Legs released as transferred',
    handled Int64 COMMENT 'Legs wrapped',
    talk_ms Int64 COMMENT 'Talk of handled legs without hold, milliseconds',
    hold_ms Int64 COMMENT 'Hold of handled legs, milliseconds',
    wrap_ms Int64 COMMENT 'Wrap-up of handled legs, milliseconds',
    formula LowCardinality(String) COMMENT 'Service-level formula of the settings',
    exclude_short UInt8 COMMENT '1 where the settings leave short abandons out of it',
    sl_numerator Int64 COMMENT 'Numerator of service_level',
    sl_denominator Int64 COMMENT 'Denominator of service_level',
    service_level Nullable(Float64) COMMENT 'Service level by formula and exclude_short',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered',
    ignore_abandons Nullable(Float64) COMMENT 'answered_in / (answered + abandoned - abandoned_in)',
    abandons_negative Nullable(Float64) COMMENT 'answered_in / (answered + abandoned)',
    abandons_positive Nullable(Float64) COMMENT '(answered_in + abandoned_in) / (answered + abandoned)',
    ignore_abandons_without_short Nullable(Float64) COMMENT 'ignore_abandons with short abandons left out',
    abandons_negative_without_short Nullable(Float64) COMMENT 'abandons_negative with short abandons left out',
    abandons_positive_without_short Nullable(Float64) COMMENT 'abandons_positive with short abandons left out',
    sl_event_negative Nullable(Float64) COMMENT 'sl_met / (sl_met + sl_missed + sl_abandoned)',
    sl_event_ignore Nullable(Float64) COMMENT 'sl_met / (sl_met + sl_missed)',
    sl_event_positive Nullable(Float64) COMMENT '(sl_met + sl_abandoned) / (sl_met + sl_missed + sl_abandoned)',
    abandonment Nullable(Float64) COMMENT 'abandoned / (answered + abandoned)',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    aht_ms Nullable(Float64) COMMENT 'Average handle time: (talk_ms + hold_ms + wrap_ms) / handled, milliseconds'
)
AS SELECT
    site, offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short,
    abandoned_wait_ms, left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined,
    transferred, handled, talk_ms, hold_ms, wrap_ms, formula, exclude_short, sl_numerator, sl_denominator,
    service_level, answered_only, ignore_abandons, abandons_negative, abandons_positive,
    ignore_abandons_without_short, abandons_negative_without_short, abandons_positive_without_short,
    sl_event_negative, sl_event_ignore, sl_event_positive, abandonment, asa_ms, aht_ms
FROM ${database}.kpi_cells(
    from = (SELECT starts_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    to = (SELECT ends_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    at = {at:Nullable(DateTime64(3, 'UTC'))}, threshold_ms = NULL, short_ms = NULL, step_ms = 0)
WHERE scope = 'all' AND site = {site:String}
COMMENT 'kpi_window_all(site, window, at): kpi_window summed over the queues and channels of the site, by the formula of its defaults';
