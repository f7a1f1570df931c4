-- KPIs of queues. kpi_cells holds every formula once; the views after it only choose a window.
-- A ratio without data is null, and travels with its numerator and denominator so that sums over
-- rows can be divided again: never average ratios.

CREATE OR REPLACE VIEW ${database}.kpi_cells
(
    scope LowCardinality(String) COMMENT 'queue: one queue and channel; channel: one channel; all: the site',
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
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
AS
WITH
    abandoned - abandoned_short AS long_abandoned,
    greatest(0, abandoned_in - abandoned_short) AS long_abandoned_in,
    answered + if(exclude_short, long_abandoned, abandoned) AS sl_outcomes,
    if(exclude_short, long_abandoned_in, abandoned_in) AS sl_abandoned_in,
    multiIf(
        formula = 'abandons_positive', answered_in + sl_abandoned_in,
        formula IN ('sl_event_negative', 'sl_event_ignore'), sl_met,
        formula = 'sl_event_positive', sl_met + sl_abandoned,
        answered_in) AS sl_numerator,
    multiIf(
        formula = 'answered_only', answered,
        formula = 'ignore_abandons', sl_outcomes - sl_abandoned_in,
        formula IN ('sl_event_negative', 'sl_event_positive'), sl_met + sl_missed + sl_abandoned,
        formula = 'sl_event_ignore', sl_met + sl_missed,
        sl_outcomes) AS sl_denominator
SELECT
    scope, site, start, queue, channel,
    offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short, abandoned_wait_ms,
    left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined, transferred, handled,
    talk_ms, hold_ms, wrap_ms, formula, exclude_short, sl_numerator, sl_denominator,
    sl_numerator / nullIf(sl_denominator, 0) AS service_level,
    answered_in / nullIf(answered, 0) AS answered_only,
    answered_in / nullIf(answered + abandoned - abandoned_in, 0) AS ignore_abandons,
    answered_in / nullIf(answered + abandoned, 0) AS abandons_negative,
    (answered_in + abandoned_in) / nullIf(answered + abandoned, 0) AS abandons_positive,
    answered_in / nullIf(answered + long_abandoned - long_abandoned_in, 0) AS ignore_abandons_without_short,
    answered_in / nullIf(answered + long_abandoned, 0) AS abandons_negative_without_short,
    (answered_in + long_abandoned_in) / nullIf(answered + long_abandoned, 0) AS abandons_positive_without_short,
    sl_met / nullIf(sl_met + sl_missed + sl_abandoned, 0) AS sl_event_negative,
    sl_met / nullIf(sl_met + sl_missed, 0) AS sl_event_ignore,
    (sl_met + sl_abandoned) / nullIf(sl_met + sl_missed + sl_abandoned, 0) AS sl_event_positive,
    abandoned / nullIf(answered + abandoned, 0) AS abandonment,
    wait_ms / nullIf(answered, 0) AS asa_ms,
    (talk_ms + hold_ms + wrap_ms) / nullIf(handled, 0) AS aht_ms
FROM
(
    SELECT
        c.*,
        JSONExtractRaw(s.settings, 'defaults') AS defaults,
        if(c.scope != 'queue', '', JSONExtractRaw(s.settings, 'queues', c.queue)) AS own,
        ifNull(nullIf(JSONExtractString(own, 'formula'), ''),
            ifNull(nullIf(JSONExtractString(defaults, 'formula'), ''), 'abandons_negative')) AS formula,
        coalesce(JSONExtract(own, 'exclude_short', 'Nullable(Bool)'),
            JSONExtract(defaults, 'exclude_short', 'Nullable(Bool)'), false)::UInt8 AS exclude_short
    FROM
    (
        SELECT
            multiIf(grouping(queue) = 0, 'queue', grouping(channel) = 0, 'channel', 'all') AS scope, site, start, queue, channel,
            toInt64(countIf(fact = 'offered')) AS offered,
            toInt64(countIf(fact = 'answered')) AS answered,
            toInt64(countIf(fact = 'answered' AND is_in)) AS answered_in,
            sumIf(wait, fact = 'answered') AS wait_ms,
            toInt64(countIf(fact = 'abandoned')) AS abandoned,
            toInt64(countIf(fact = 'abandoned' AND is_in)) AS abandoned_in,
            toInt64(countIf(fact = 'abandoned' AND is_short)) AS abandoned_short,
            sumIf(wait, fact = 'abandoned') AS abandoned_wait_ms,
            toInt64(countIf(fact = 'left_callback')) AS left_callback,
            toInt64(countIf(fact = 'left_overflow')) AS left_overflow,
            toInt64(countIf(fact = 'left_other')) AS left_other,
            toInt64(countIf(fact = 'sl_met')) AS sl_met,
            toInt64(countIf(fact = 'sl_missed')) AS sl_missed,
            toInt64(countIf(fact = 'sl_abandoned')) AS sl_abandoned,
            toInt64(countIf(fact = 'declined')) AS declined,
            toInt64(countIf(fact = 'transferred')) AS transferred,
            toInt64(countIf(fact = 'handled')) AS handled,
            sum(talk) AS talk_ms,
            sum(hold) AS hold_ms,
            sum(wrap) AS wrap_ms
        FROM
        (
            SELECT
                f.site AS site, f.queue AS queue, f.channel AS channel, f.fact AS fact, f.is_in AS is_in,
                f.is_short AS is_short, f.wait_ms AS wait, f.talk_ms AS talk, f.hold_ms AS hold, f.wrap_ms AS wrap,
                toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')}) AS from_ms,
                toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')}) AS to_ms,
                greatest(1, if({step_ms:Int64} > 0, {step_ms:Int64}, to_ms - from_ms)) AS step,
                fromUnixTimestamp64Milli(from_ms + intDiv(toUnixTimestamp64Milli(f.moment) - from_ms, step) * step, 'UTC') AS start
            FROM ${database}.facts(
                from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')},
                threshold_ms = {threshold_ms:Nullable(Int64)}, short_ms = {short_ms:Nullable(Int64)}) AS f
            INNER JOIN ${database}.progress AS p ON p.site = f.site
            WHERE f.queue != '' AND f.known_at <= p.at AND f.known_at <= ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at)
        )
        GROUP BY GROUPING SETS ((site, start, queue, channel), (site, start, channel), (site, start))
    ) AS c
    -- Formula and targets are for display and hold at once, so they show the past too.
    LEFT JOIN ${database}.settings_at(at = {at:Nullable(DateTime64(3, 'UTC'))}) AS s ON s.site = c.site
)
COMMENT 'kpi_cells(from, to, at, threshold_ms, short_ms, step_ms): all KPIs of [from, to) in steps (0 = one) as known at a time of the site (null = newest) by these limits (null = those in force)';
CREATE OR REPLACE VIEW ${database}.kpi_queue
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
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL,
    threshold_ms = NULL, short_ms = NULL, step_ms = 0)
WHERE scope = 'queue'
COMMENT 'kpi_queue(from, to): every KPI of each queue and channel in [from, to), as the board reported it';

CREATE OR REPLACE VIEW ${database}.kpi_queue_restated
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
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL,
    threshold_ms = {threshold_ms:Int64}, short_ms = {short_ms:Int64}, step_ms = 0)
WHERE scope = 'queue'
COMMENT 'kpi_queue_restated(from, to, threshold_ms, short_ms): kpi_queue as it would have been under these limits';

CREATE OR REPLACE VIEW ${database}.kpi_queue_interval
(
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
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
    site, start, queue, channel, offered, answered, answered_in, wait_ms, abandoned, abandoned_in,
    abandoned_short, abandoned_wait_ms, left_callback, left_overflow, left_other, sl_met, sl_missed,
    sl_abandoned, declined, transferred, handled, talk_ms, hold_ms, wrap_ms, formula, exclude_short,
    sl_numerator, sl_denominator, service_level, answered_only, ignore_abandons, abandons_negative,
    abandons_positive, ignore_abandons_without_short, abandons_negative_without_short,
    abandons_positive_without_short, sl_event_negative, sl_event_ignore, sl_event_positive, abandonment,
    asa_ms, aht_ms
FROM ${database}.kpi_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL,
    threshold_ms = NULL, short_ms = NULL, step_ms = {step_ms:Int64})
WHERE scope = 'queue'
COMMENT 'kpi_queue_interval(from, to, step_ms): kpi_queue in steps that count from the first moment, 1800000 for half hours';

CREATE OR REPLACE VIEW ${database}.kpi_channel
(
    site LowCardinality(String) COMMENT 'Site',
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
    site, channel, offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short,
    abandoned_wait_ms, left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined,
    transferred, handled, talk_ms, hold_ms, wrap_ms, formula, exclude_short, sl_numerator, sl_denominator,
    service_level, answered_only, ignore_abandons, abandons_negative, abandons_positive,
    ignore_abandons_without_short, abandons_negative_without_short, abandons_positive_without_short,
    sl_event_negative, sl_event_ignore, sl_event_positive, abandonment, asa_ms, aht_ms
FROM ${database}.kpi_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL,
    threshold_ms = NULL, short_ms = NULL, step_ms = 0)
WHERE scope = 'channel'
COMMENT 'kpi_channel(from, to): kpi_queue summed over the queues of each channel, by the formula of the defaults';

CREATE OR REPLACE VIEW ${database}.kpi_site
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
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL,
    threshold_ms = NULL, short_ms = NULL, step_ms = 0)
WHERE scope = 'all'
COMMENT 'kpi_site(from, to): kpi_queue summed over the queues and channels of each site, by the formula of the defaults';

CREATE OR REPLACE VIEW ${database}.kpi_site_interval
(
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
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
    site, start, offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short,
    abandoned_wait_ms, left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined,
    transferred, handled, talk_ms, hold_ms, wrap_ms, formula, exclude_short, sl_numerator, sl_denominator,
    service_level, answered_only, ignore_abandons, abandons_negative, abandons_positive,
    ignore_abandons_without_short, abandons_negative_without_short, abandons_positive_without_short,
    sl_event_negative, sl_event_ignore, sl_event_positive, abandonment, asa_ms, aht_ms
FROM ${database}.kpi_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL,
    threshold_ms = NULL, short_ms = NULL, step_ms = {step_ms:Int64})
WHERE scope = 'all'
COMMENT 'kpi_site_interval(from, to, step_ms): kpi_site in steps that count from the first moment, 1800000 for half hours';
