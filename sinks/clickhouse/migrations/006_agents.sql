-- Time of teams and agents. Each moment of an agent is in one state, clipped at the bounds asked for
-- and at the time of the site, so that a long call weighs on occupancy while it lasts.

CREATE OR REPLACE VIEW ${database}.team_cells
(
    scope LowCardinality(String) COMMENT 'team: one team; all: the site',
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    talk_ms Int64 COMMENT 'Time in talk, milliseconds',
    hold_ms Int64 COMMENT 'Time with every talking leg held, milliseconds',
    wrap_ms Int64 COMMENT 'Time in wrap-up, by a leg or by the word of the platform, milliseconds',
    busy_state_ms Int64 COMMENT 'Time the platform calls busy, milliseconds',
    ringing_ms Int64 COMMENT 'Time a contact rang at an available agent, milliseconds',
    available_ms Int64 COMMENT 'Time available, milliseconds',
    not_ready_ms Int64 COMMENT 'Time not ready, milliseconds',
    busy_ms Int64 COMMENT 'talk_ms + hold_ms + wrap_ms + busy_state_ms: numerator of occupancy',
    occupancy Nullable(Float64) COMMENT 'busy_ms / (busy_ms + available_ms); ringing and not ready are in neither'
)
AS
WITH
    toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')}) AS from_ms,
    greatest(1, if({step_ms:Int64} > 0, {step_ms:Int64}, toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')}) - from_ms)) AS step
SELECT
    if(grouping(team) = 1, 'all', 'team') AS scope, site,
    fromUnixTimestamp64Milli(from_ms + nth * step, 'UTC') AS start, team,
    sumIf(part_ms, state = 'talk') AS talk_ms,
    sumIf(part_ms, state = 'hold') AS hold_ms,
    sumIf(part_ms, state = 'wrap') AS wrap_ms,
    sumIf(part_ms, state = 'busy') AS busy_state_ms,
    sumIf(part_ms, state = 'ringing') AS ringing_ms,
    sumIf(part_ms, state = 'available') AS available_ms,
    sumIf(part_ms, state = 'not_ready') AS not_ready_ms,
    talk_ms + hold_ms + wrap_ms + busy_state_ms AS busy_ms,
    busy_ms / nullIf(busy_ms + available_ms, 0) AS occupancy
FROM
(
    SELECT
        site, team, state,
        toUnixTimestamp64Milli(began_at) - from_ms AS began, toUnixTimestamp64Milli(ceased_at) - from_ms AS ceased,
        arrayJoin(range(intDiv(began, step), intDiv(ceased - 1, step) + 1)) AS nth,
        least(ceased, (nth + 1) * step) - greatest(began, nth * step) AS part_ms
    FROM ${database}.agent_time(from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = {at:Nullable(DateTime64(3, 'UTC'))})
    WHERE state != 'offline'
)
GROUP BY GROUPING SETS ((site, nth, team), (site, nth))
COMMENT 'team_cells(from, to, at, step_ms): time of each team in [from, to) in steps (0 = one) as known at a time of the site (null = newest)';

CREATE OR REPLACE VIEW ${database}.kpi_team
(
    site LowCardinality(String) COMMENT 'Site',
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    talk_ms Int64 COMMENT 'Time in talk, milliseconds',
    hold_ms Int64 COMMENT 'Time with every talking leg held, milliseconds',
    wrap_ms Int64 COMMENT 'Time in wrap-up, by a leg or by the word of the platform, milliseconds',
    busy_state_ms Int64 COMMENT 'Time the platform calls busy, milliseconds',
    ringing_ms Int64 COMMENT 'Time a contact rang at an available agent, milliseconds',
    available_ms Int64 COMMENT 'Time available, milliseconds',
    not_ready_ms Int64 COMMENT 'Time not ready, milliseconds',
    busy_ms Int64 COMMENT 'talk_ms + hold_ms + wrap_ms + busy_state_ms: numerator of occupancy',
    occupancy Nullable(Float64) COMMENT 'busy_ms / (busy_ms + available_ms); ringing and not ready are in neither'
)
AS SELECT
    site, team, talk_ms, hold_ms, wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.team_cells(from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, step_ms = 0)
WHERE scope = 'team'
COMMENT 'kpi_team(from, to): time and occupancy of each team in [from, to)';

CREATE OR REPLACE VIEW ${database}.kpi_team_interval
(
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    talk_ms Int64 COMMENT 'Time in talk, milliseconds',
    hold_ms Int64 COMMENT 'Time with every talking leg held, milliseconds',
    wrap_ms Int64 COMMENT 'Time in wrap-up, by a leg or by the word of the platform, milliseconds',
    busy_state_ms Int64 COMMENT 'Time the platform calls busy, milliseconds',
    ringing_ms Int64 COMMENT 'Time a contact rang at an available agent, milliseconds',
    available_ms Int64 COMMENT 'Time available, milliseconds',
    not_ready_ms Int64 COMMENT 'Time not ready, milliseconds',
    busy_ms Int64 COMMENT 'talk_ms + hold_ms + wrap_ms + busy_state_ms: numerator of occupancy',
    occupancy Nullable(Float64) COMMENT 'busy_ms / (busy_ms + available_ms); ringing and not ready are in neither'
)
AS SELECT
    site, start, team, talk_ms, hold_ms, wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.team_cells(from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, step_ms = {step_ms:Int64})
WHERE scope = 'team'
COMMENT 'kpi_team_interval(from, to, step_ms): kpi_team in steps that count from the first moment, 1800000 for half hours';

CREATE OR REPLACE VIEW ${database}.kpi_window_team
(
    site LowCardinality(String) COMMENT 'Site',
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    talk_ms Int64 COMMENT 'Time in talk, milliseconds',
    hold_ms Int64 COMMENT 'Time with every talking leg held, milliseconds',
    wrap_ms Int64 COMMENT 'Time in wrap-up, by a leg or by the word of the platform, milliseconds',
    busy_state_ms Int64 COMMENT 'Time the platform calls busy, milliseconds',
    ringing_ms Int64 COMMENT 'Time a contact rang at an available agent, milliseconds',
    available_ms Int64 COMMENT 'Time available, milliseconds',
    not_ready_ms Int64 COMMENT 'Time not ready, milliseconds',
    busy_ms Int64 COMMENT 'talk_ms + hold_ms + wrap_ms + busy_state_ms: numerator of occupancy',
    occupancy Nullable(Float64) COMMENT 'busy_ms / (busy_ms + available_ms); ringing and not ready are in neither'
)
AS SELECT
    site, team, talk_ms, hold_ms, wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.team_cells(
    from = (SELECT starts_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    to = (SELECT ends_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    at = {at:Nullable(DateTime64(3, 'UTC'))}, step_ms = 0)
WHERE scope = 'team' AND site = {site:String}
COMMENT 'kpi_window_team(site, window, at): kpi_team in a window of the board at a time of the site, null for the newest known';

CREATE OR REPLACE VIEW ${database}.kpi_window_team_all
(
    site LowCardinality(String) COMMENT 'Site',
    talk_ms Int64 COMMENT 'Time in talk, milliseconds',
    hold_ms Int64 COMMENT 'Time with every talking leg held, milliseconds',
    wrap_ms Int64 COMMENT 'Time in wrap-up, by a leg or by the word of the platform, milliseconds',
    busy_state_ms Int64 COMMENT 'Time the platform calls busy, milliseconds',
    ringing_ms Int64 COMMENT 'Time a contact rang at an available agent, milliseconds',
    available_ms Int64 COMMENT 'Time available, milliseconds',
    not_ready_ms Int64 COMMENT 'Time not ready, milliseconds',
    busy_ms Int64 COMMENT 'talk_ms + hold_ms + wrap_ms + busy_state_ms: numerator of occupancy',
    occupancy Nullable(Float64) COMMENT 'busy_ms / (busy_ms + available_ms); ringing and not ready are in neither'
)
AS SELECT
    site, talk_ms, hold_ms, wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.team_cells(
    from = (SELECT starts_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    to = (SELECT ends_at FROM ${database}.window_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    at = {at:Nullable(DateTime64(3, 'UTC'))}, step_ms = 0)
WHERE scope = 'all' AND site = {site:String}
COMMENT 'kpi_window_team_all(site, window, at): kpi_window_team summed over the teams of the site';

CREATE OR REPLACE VIEW ${database}.kpi_agent
(
    site LowCardinality(String) COMMENT 'Site',
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Last team in the window; empty where unknown',
    answered Int64 COMMENT 'Visits this agent answered',
    wait_ms Int64 COMMENT 'Sum of the waits of those visits, milliseconds',
    declined Int64 COMMENT 'Rings at this agent that ended without an answer',
    transferred Int64 COMMENT 'Legs released as transferred',
    handled Int64 COMMENT 'Legs wrapped, also those that count in no queue',
    handled_outside_queues Int64 COMMENT 'Of them, those that count in no queue',
    handled_talk_ms Int64 COMMENT 'Talk of handled legs without hold, milliseconds',
    handled_hold_ms Int64 COMMENT 'Hold of handled legs, milliseconds',
    handled_wrap_ms Int64 COMMENT 'Wrap-up of handled legs, milliseconds',
    aht_ms Nullable(Float64) COMMENT '(handled_talk_ms + handled_hold_ms + handled_wrap_ms) / handled, milliseconds',
    talk_ms Int64 COMMENT 'Time in talk, milliseconds',
    hold_ms Int64 COMMENT 'Time with every talking leg held, milliseconds',
    wrap_ms Int64 COMMENT 'Time in wrap-up, by a leg or by the word of the platform, milliseconds',
    busy_state_ms Int64 COMMENT 'Time the platform calls busy, milliseconds',
    ringing_ms Int64 COMMENT 'Time a contact rang at an available agent, milliseconds',
    available_ms Int64 COMMENT 'Time available, milliseconds',
    not_ready_ms Int64 COMMENT 'Time not ready, milliseconds',
    busy_ms Int64 COMMENT 'talk_ms + hold_ms + wrap_ms + busy_state_ms: numerator of occupancy',
    occupancy Nullable(Float64) COMMENT 'busy_ms / (busy_ms + available_ms); ringing and not ready are in neither'
)
AS SELECT
    site, agent, argMax(team_then, moment) AS team,
    toInt64(countIf(kind = 'answered')) AS answered,
    sumIf(counted_wait_ms, kind = 'answered') AS wait_ms,
    toInt64(countIf(kind = 'declined')) AS declined,
    toInt64(countIf(kind = 'transferred')) AS transferred,
    toInt64(countIf(kind = 'handled')) AS handled,
    toInt64(countIf(kind = 'handled' AND queue = '')) AS handled_outside_queues,
    sum(leg_talk_ms) AS handled_talk_ms,
    sum(leg_hold_ms) AS handled_hold_ms,
    sum(leg_wrap_ms) AS handled_wrap_ms,
    (handled_talk_ms + handled_hold_ms + handled_wrap_ms) / nullIf(handled, 0) AS aht_ms,
    sumIf(state_ms, kind = 'talk') AS talk_ms,
    sumIf(state_ms, kind = 'hold') AS hold_ms,
    sumIf(state_ms, kind = 'wrap') AS wrap_ms,
    sumIf(state_ms, kind = 'busy') AS busy_state_ms,
    sumIf(state_ms, kind = 'ringing') AS ringing_ms,
    sumIf(state_ms, kind = 'available') AS available_ms,
    sumIf(state_ms, kind = 'not_ready') AS not_ready_ms,
    talk_ms + hold_ms + wrap_ms + busy_state_ms AS busy_ms,
    busy_ms / nullIf(busy_ms + available_ms, 0) AS occupancy
FROM
(
    SELECT
        site, agent, '' AS queue, toString(state) AS kind, toString(team) AS team_then, toUnixTimestamp64Milli(began_at) AS moment,
        duration_ms AS state_ms, 0 AS counted_wait_ms, 0 AS leg_talk_ms, 0 AS leg_hold_ms, 0 AS leg_wrap_ms
    FROM ${database}.agent_time(from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL)
    WHERE state != 'offline'
    UNION ALL
    SELECT f.site, f.agent, f.queue, toString(f.fact), '', toInt64(-9223372036854775807), 0, f.wait_ms, f.talk_ms, f.hold_ms, f.wrap_ms
    FROM ${database}.facts(from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, threshold_ms = NULL, short_ms = NULL) AS f
    INNER JOIN ${database}.progress AS p ON p.site = f.site
    WHERE f.agent != '' AND f.fact IN ('answered', 'declined', 'transferred', 'handled') AND f.known_at <= p.at
)
GROUP BY site, agent
COMMENT 'kpi_agent(from, to): what each agent answered, declined and handled in [from, to), and the time in each state';
