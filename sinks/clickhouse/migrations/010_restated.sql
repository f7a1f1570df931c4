-- Channels and sites in steps, and as they would have been under other limits.

CREATE OR REPLACE VIEW ${database}.kpi_channel_interval
(
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
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
    site, start, channel, offered, answered, answered_in, wait_ms, abandoned, abandoned_in, abandoned_short,
    abandoned_wait_ms, left_callback, left_overflow, left_other, sl_met, sl_missed, sl_abandoned, declined,
    transferred, handled, talk_ms, hold_ms, wrap_ms, formula, exclude_short, sl_numerator, sl_denominator,
    service_level, answered_only, ignore_abandons, abandons_negative, abandons_positive,
    ignore_abandons_without_short, abandons_negative_without_short, abandons_positive_without_short,
    sl_event_negative, sl_event_ignore, sl_event_positive, abandonment, asa_ms, aht_ms
FROM ${database}.kpi_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL,
    threshold_ms = NULL, short_ms = NULL, step_ms = {step_ms:Int64})
WHERE scope = 'channel'
COMMENT 'kpi_channel_interval(from, to, step_ms): kpi_channel in steps that count from the first moment, 1800000 for half hours';

CREATE OR REPLACE VIEW ${database}.kpi_channel_restated
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
    threshold_ms = {threshold_ms:Int64}, short_ms = {short_ms:Int64}, step_ms = 0)
WHERE scope = 'channel'
COMMENT 'kpi_channel_restated(from, to, threshold_ms, short_ms): kpi_channel under another threshold and short-abandon limit, milliseconds';

CREATE OR REPLACE VIEW ${database}.kpi_site_restated
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
    threshold_ms = {threshold_ms:Int64}, short_ms = {short_ms:Int64}, step_ms = 0)
WHERE scope = 'all'
COMMENT 'kpi_site_restated(from, to, threshold_ms, short_ms): kpi_site under another threshold and short-abandon limit, milliseconds';
