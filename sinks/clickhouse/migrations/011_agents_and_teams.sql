-- Agents and teams with everything that can be said of them: what they answered, declined and handled
-- beside the time in each state, in steps, and under another threshold. A contact counts for the team
-- its agent was in at that moment.

CREATE OR REPLACE VIEW ${database}.agent_cells
(
    scope LowCardinality(String) COMMENT 'agent: one agent; team: one team, by the team of the agent at each moment',
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
    team LowCardinality(String) COMMENT 'Team; for an agent the last one in the step; empty where unknown',
    agent LowCardinality(String) COMMENT 'Agent; empty for a team',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of those answered, milliseconds',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered: service level of what was answered; abandoned contacts belong to nobody',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    declined Int64 COMMENT 'Rings that ended without an answer',
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
AS
WITH
    toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')}) AS from_ms,
    greatest(1, if({step_ms:Int64} > 0, {step_ms:Int64}, toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')}) - from_ms)) AS step
SELECT
    if(grouping(agent) = 0, 'agent', 'team') AS scope, site,
    fromUnixTimestamp64Milli(from_ms + nth * step, 'UTC') AS start,
    argMax(team_then, (moment_ms, part_ms)) AS team, agent,
    toInt64(countIf(kind = 'answered')) AS answered,
    toInt64(countIf(kind = 'answered' AND is_in)) AS answered_in,
    sumIf(counted_wait_ms, kind = 'answered') AS wait_ms,
    answered_in / nullIf(answered, 0) AS answered_only,
    wait_ms / nullIf(answered, 0) AS asa_ms,
    toInt64(countIf(kind = 'declined')) AS declined,
    toInt64(countIf(kind = 'transferred')) AS transferred,
    toInt64(countIf(kind = 'handled')) AS handled,
    toInt64(countIf(kind = 'handled' AND queue = '')) AS handled_outside_queues,
    sum(leg_talk_ms) AS handled_talk_ms,
    sum(leg_hold_ms) AS handled_hold_ms,
    sum(leg_wrap_ms) AS handled_wrap_ms,
    (handled_talk_ms + handled_hold_ms + handled_wrap_ms) / nullIf(handled, 0) AS aht_ms,
    sumIf(part_ms, kind = 'talk') AS talk_ms,
    sumIf(part_ms, kind = 'hold') AS hold_ms,
    sumIf(part_ms, kind = 'wrap') AS wrap_ms,
    sumIf(part_ms, kind = 'busy') AS busy_state_ms,
    sumIf(part_ms, kind = 'ringing') AS ringing_ms,
    sumIf(part_ms, kind = 'available') AS available_ms,
    sumIf(part_ms, kind = 'not_ready') AS not_ready_ms,
    talk_ms + hold_ms + wrap_ms + busy_state_ms AS busy_ms,
    busy_ms / nullIf(busy_ms + available_ms, 0) AS occupancy
FROM
(
    SELECT
        site, agent, toString(team) AS team_then, toString(state) AS kind,
        toUnixTimestamp64Milli(began_at) - from_ms AS began, toUnixTimestamp64Milli(ceased_at) - from_ms AS ceased,
        arrayJoin(range(intDiv(began, step), intDiv(ceased - 1, step) + 1)) AS nth,
        began AS moment_ms, least(ceased, (nth + 1) * step) - greatest(began, nth * step) AS part_ms,
        '' AS queue, 0 AS is_in, 0 AS counted_wait_ms, 0 AS leg_talk_ms, 0 AS leg_hold_ms, 0 AS leg_wrap_ms
    FROM ${database}.agent_time(from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = {at:Nullable(DateTime64(3, 'UTC'))})
    WHERE state != 'offline'
    UNION ALL
    SELECT
        c.site, c.agent, toString(i.team), c.fact, 0, 0, intDiv(c.fact_ms, step), c.fact_ms, 0,
        c.queue, c.is_in, c.wait, c.talk, c.hold, c.wrap
    FROM
    (
        SELECT
            f.site AS site, toString(f.agent) AS agent, toString(f.queue) AS queue, toString(f.fact) AS fact, f.moment AS moment,
            toUnixTimestamp64Milli(f.moment) - from_ms AS fact_ms, f.is_in AS is_in, f.wait_ms AS wait,
            f.talk_ms AS talk, f.hold_ms AS hold, f.wrap_ms AS wrap
        FROM ${database}.facts(
            from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, threshold_ms = {threshold_ms:Nullable(Int64)}, short_ms = NULL) AS f
        INNER JOIN ${database}.progress AS p ON p.site = f.site
        WHERE f.agent != '' AND f.fact IN ('answered', 'declined', 'transferred', 'handled')
            AND f.known_at <= p.at AND f.known_at <= ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at)
    ) AS c
    ASOF LEFT JOIN
    (
        SELECT site, toString(agent) AS agent, started_at, team
        FROM ${database}.agent_intervals FINAL
        WHERE started_at < {to:DateTime64(3, 'UTC')} AND (ended_at IS NULL OR ended_at > {from:DateTime64(3, 'UTC')})
    ) AS i ON i.site = c.site AND i.agent = c.agent AND c.moment >= i.started_at
)
GROUP BY GROUPING SETS ((site, nth, agent), (site, nth, team_then))
COMMENT 'agent_cells(from, to, at, threshold_ms, step_ms): all KPIs of agents and teams of [from, to) in steps (0 = one) as known at a time of the site (null = newest) by this threshold (null = those in force)';

CREATE OR REPLACE VIEW ${database}.kpi_agent
(
    site LowCardinality(String) COMMENT 'Site',
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Last team in the window; empty where unknown',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of those answered, milliseconds',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered: service level of what was answered; abandoned contacts belong to nobody',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    declined Int64 COMMENT 'Rings that ended without an answer',
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
    site, agent, team, answered, answered_in, wait_ms, answered_only, asa_ms, declined, transferred, handled,
    handled_outside_queues, handled_talk_ms, handled_hold_ms, handled_wrap_ms, aht_ms, talk_ms, hold_ms,
    wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.agent_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, threshold_ms = NULL, step_ms = 0)
WHERE scope = 'agent'
COMMENT 'kpi_agent(from, to): what each agent answered, declined and handled in [from, to), and the time in each state';

CREATE OR REPLACE VIEW ${database}.kpi_agent_interval
(
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Last team in the step; empty where unknown',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of those answered, milliseconds',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered: service level of what was answered; abandoned contacts belong to nobody',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    declined Int64 COMMENT 'Rings that ended without an answer',
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
    site, start, agent, team, answered, answered_in, wait_ms, answered_only, asa_ms, declined, transferred,
    handled, handled_outside_queues, handled_talk_ms, handled_hold_ms, handled_wrap_ms, aht_ms, talk_ms,
    hold_ms, wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.agent_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, threshold_ms = NULL, step_ms = {step_ms:Int64})
WHERE scope = 'agent'
COMMENT 'kpi_agent_interval(from, to, step_ms): kpi_agent in steps that count from the first moment, 1800000 for half hours';

CREATE OR REPLACE VIEW ${database}.kpi_agent_restated
(
    site LowCardinality(String) COMMENT 'Site',
    agent LowCardinality(String) COMMENT 'Agent',
    team LowCardinality(String) COMMENT 'Last team in the window; empty where unknown',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of those answered, milliseconds',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered: service level of what was answered; abandoned contacts belong to nobody',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    declined Int64 COMMENT 'Rings that ended without an answer',
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
    site, agent, team, answered, answered_in, wait_ms, answered_only, asa_ms, declined, transferred, handled,
    handled_outside_queues, handled_talk_ms, handled_hold_ms, handled_wrap_ms, aht_ms, talk_ms, hold_ms,
    wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.agent_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, threshold_ms = {threshold_ms:Int64}, step_ms = 0)
WHERE scope = 'agent'
COMMENT 'kpi_agent_restated(from, to, threshold_ms): kpi_agent under another threshold, milliseconds';

CREATE OR REPLACE VIEW ${database}.kpi_team
(
    site LowCardinality(String) COMMENT 'Site',
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of those answered, milliseconds',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered: service level of what was answered; abandoned contacts belong to nobody',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    declined Int64 COMMENT 'Rings that ended without an answer',
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
    site, team, answered, answered_in, wait_ms, answered_only, asa_ms, declined, transferred, handled,
    handled_outside_queues, handled_talk_ms, handled_hold_ms, handled_wrap_ms, aht_ms, talk_ms, hold_ms,
    wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.agent_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, threshold_ms = NULL, step_ms = 0)
WHERE scope = 'team'
COMMENT 'kpi_team(from, to): time and occupancy of each team in [from, to), and what its agents answered, declined and handled';

CREATE OR REPLACE VIEW ${database}.kpi_team_interval
(
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of those answered, milliseconds',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered: service level of what was answered; abandoned contacts belong to nobody',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    declined Int64 COMMENT 'Rings that ended without an answer',
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
    site, start, team, answered, answered_in, wait_ms, answered_only, asa_ms, declined, transferred, handled,
    handled_outside_queues, handled_talk_ms, handled_hold_ms, handled_wrap_ms, aht_ms, talk_ms, hold_ms,
    wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.agent_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, threshold_ms = NULL, step_ms = {step_ms:Int64})
WHERE scope = 'team'
COMMENT 'kpi_team_interval(from, to, step_ms): kpi_team in steps that count from the first moment, 1800000 for half hours';

CREATE OR REPLACE VIEW ${database}.kpi_team_restated
(
    site LowCardinality(String) COMMENT 'Site',
    team LowCardinality(String) COMMENT 'Team; empty for agents without one',
    answered Int64 COMMENT 'Visits answered',
    answered_in Int64 COMMENT 'Answered within the threshold',
    wait_ms Int64 COMMENT 'Sum of the waits of those answered, milliseconds',
    answered_only Nullable(Float64) COMMENT 'answered_in / answered: service level of what was answered; abandoned contacts belong to nobody',
    asa_ms Nullable(Float64) COMMENT 'Average speed of answer: wait_ms / answered, milliseconds',
    declined Int64 COMMENT 'Rings that ended without an answer',
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
    site, team, answered, answered_in, wait_ms, answered_only, asa_ms, declined, transferred, handled,
    handled_outside_queues, handled_talk_ms, handled_hold_ms, handled_wrap_ms, aht_ms, talk_ms, hold_ms,
    wrap_ms, busy_state_ms, ringing_ms, available_ms, not_ready_ms, busy_ms, occupancy
FROM ${database}.agent_cells(
    from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, threshold_ms = {threshold_ms:Int64}, step_ms = 0)
WHERE scope = 'team'
COMMENT 'kpi_team_restated(from, to, threshold_ms): kpi_team under another threshold, milliseconds';
