-- What customers, help desk, AI and QA say of contacts (docs/quality.md). Feedback comes days after its
-- contact and repeat contact needs days of history, so these KPIs are counted here and nowhere else;
-- the board shows what the sink asks kpi_quality_window for (docs/adr/0005).
-- Whatever is asked for a time of the site counts what had happened by then: answers, conversations and
-- contacts after it are not known yet. No view reads the clock.
-- A contact may be looked for in rows from before the range: 62 days back for the contact of an answer,
-- a week and the longest wait for the begin of a contact that ended in it.

CREATE OR REPLACE VIEW ${database}.repeat_windows
(
    site LowCardinality(String) COMMENT 'Site',
    until DateTime64(3, 'UTC') COMMENT 'Time of the site asked for, not after the newest known',
    window_ms Int64 COMMENT 'Repeat window of the site: how soon another contact says that the first was not resolved, milliseconds'
)
AS SELECT
    s.site AS site, least(s.known_at, p.at) AS until,
    ifNull(JSONExtract(s.settings, 'repeat_window_ms', 'Nullable(Int64)'), 604800000) AS window_ms
FROM ${database}.settings_at(at = {at:Nullable(DateTime64(3, 'UTC'))}) AS s
INNER JOIN ${database}.progress AS p ON p.site = s.site
COMMENT 'repeat_windows(at): the repeat window of each site by the settings in force at a time of the site, null for the newest known';

CREATE OR REPLACE VIEW ${database}.quality_answers
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact the answer is about',
    question LowCardinality(String) COMMENT 'csat, nps, ces, resolved, sentiment, escalation_risk or evaluation',
    value Float64 COMMENT 'The answer; resolved is 0 or 1',
    at DateTime64(3, 'UTC') COMMENT 'Moment of the answer, which says in which time it counts',
    type LowCardinality(String) COMMENT 'Type of the event that said it',
    form String COMMENT 'Form of an evaluation; empty otherwise',
    is_matched UInt8 COMMENT '1 where the store has a wait or a conversation of the contact',
    queue LowCardinality(String) COMMENT 'Queue of the contact; empty where the contact is unknown or was in none',
    channel LowCardinality(String) COMMENT 'Channel of the contact; empty where the contact is unknown or was in no queue',
    team LowCardinality(String) COMMENT 'Team of the agent when answering; empty where unknown',
    agent LowCardinality(String) COMMENT 'Agent who had the contact last, or who was evaluated; empty where nobody had it'
)
AS
WITH
    tupleElement(a.said, 5) AS named_queue,
    tupleElement(a.said, 6) AS named_agent,
    arrayFilter(x -> x.2 != '', c.legs) AS queue_legs,
    arrayConcat(c.visits, queue_legs) AS seen,
    multiIf(
        named_agent != '', arrayLast(x -> x.4 = named_agent, c.legs),
        named_queue != '' AND arrayExists(x -> x.2 = named_queue, c.legs), arrayLast(x -> x.2 = named_queue, c.legs),
        c.legs[-1]) AS leg,
    multiIf(
        named_queue != '' AND arrayExists(x -> x.2 = named_queue, seen), arrayLast(x -> x.2 = named_queue, seen),
        leg.2 != '', leg,
        notEmpty(queue_legs), queue_legs[-1],
        c.visits[-1]) AS place
SELECT
    a.site AS site, a.contact AS contact, a.question AS question, tupleElement(a.said, 1) AS value, tupleElement(a.said, 2) AS at,
    tupleElement(a.said, 3) AS type, tupleElement(a.said, 4) AS form, (notEmpty(c.legs) OR notEmpty(c.visits))::UInt8 AS is_matched,
    tupleElement(place, 2) AS queue, tupleElement(place, 3) AS channel,
    tupleElement(leg, 5) AS team, if(named_agent != '', named_agent, tupleElement(leg, 4)) AS agent
FROM
(
    SELECT
        site, contact, question,
        -- The last word counts, of resolved the customer's before that of the help desk.
        argMax((value, at, type, form, named_queue, named_agent), (question = 'resolved' AND type = 'survey.answered', at, key)) AS said
    FROM
    (
        SELECT
            f.site AS site, f.contact AS contact, f.at AS at, f.key AS key, toString(f.type) AS type, ifNull(f.form, '') AS form,
            ifNull(f.queue, '') AS named_queue, if(f.type = 'contact.evaluated', ifNull(f.agent, ''), '') AS named_agent,
            tupleElement(answer, 1) AS question, assumeNotNull(tupleElement(answer, 2)) AS value, tupleElement(answer, 3) AS about
        FROM ${database}.feedback AS f FINAL
        INNER JOIN ${database}.progress AS p ON p.site = f.site
        ARRAY JOIN [
            ('csat', toFloat64(f.csat), named_queue),
            ('nps', toFloat64(f.nps), named_queue),
            ('ces', toFloat64(f.ces), named_queue),
            ('resolved', toFloat64(f.resolved), ''),
            ('sentiment', if(f.type = 'contact.sentiment', f.score, NULL), ''),
            ('escalation_risk', f.escalation_risk, ''),
            ('evaluation', if(f.type = 'contact.evaluated', f.score, NULL), concat(toString(length(named_agent)), named_agent, form))
        ] AS answer
        WHERE ({site:String} = '' OR f.site = {site:String}) AND tupleElement(answer, 2) IS NOT NULL AND f.at >= subtractMilliseconds({from:DateTime64(3, 'UTC')}, 5356800000)
            AND f.at <= least(ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at), p.at)
    )
    GROUP BY site, contact, question, about
    HAVING tupleElement(said, 2) >= {from:DateTime64(3, 'UTC')} AND tupleElement(said, 2) < {to:DateTime64(3, 'UTC')}
) AS a
LEFT JOIN
(
    SELECT
        site, contact,
        arraySort(groupArrayIf((ms, queue, channel, agent, team), is_leg)) AS legs,
        arraySort(groupArrayIf((ms, queue, channel, agent, team), NOT is_leg)) AS visits
    FROM
    (
        SELECT
            l.site AS site, l.contact AS contact, toUnixTimestamp64Milli(l.answered_at) AS ms, toString(l.queue) AS queue,
            toString(l.channel) AS channel, toString(l.agent) AS agent, toString(l.team) AS team, 1 AS is_leg
        FROM ${database}.legs AS l FINAL
        INNER JOIN ${database}.progress AS p ON p.site = l.site
        WHERE ({site:String} = '' OR l.site = {site:String}) AND l.answered_at >= subtractMilliseconds({from:DateTime64(3, 'UTC')}, 5356800000) AND l.answered_at <= least(ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at), p.at)
            AND l.contact IN (SELECT contact FROM ${database}.feedback WHERE ({site:String} = '' OR site = {site:String}) AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')})
        UNION ALL
        SELECT v.site, v.contact, toUnixTimestamp64Milli(v.queued_at), toString(v.queue), toString(v.channel), '', '', 0
        FROM ${database}.visits AS v FINAL
        INNER JOIN ${database}.progress AS p ON p.site = v.site
        WHERE ({site:String} = '' OR v.site = {site:String}) AND v.queued_at >= subtractMilliseconds({from:DateTime64(3, 'UTC')}, 5356800000) AND v.queued_at <= least(ifNull({at:Nullable(DateTime64(3, 'UTC'))}, p.at), p.at)
            AND v.contact IN (SELECT contact FROM ${database}.feedback WHERE ({site:String} = '' OR site = {site:String}) AND at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')})
    )
    GROUP BY site, contact
) AS c ON c.site = a.site AND c.contact = a.contact
COMMENT 'quality_answers(site, from, to, at): each answer given in [from, to) that counts, with the queue and agent of its contact, as known at a time of the site (null = newest); an empty site for all';

CREATE OR REPLACE VIEW ${database}.repeat_contacts
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact that was handled',
    customer String COMMENT 'Its customer',
    queue LowCardinality(String) COMMENT 'Queue of its last conversation that had one; empty where none had',
    channel LowCardinality(String) COMMENT 'Channel of that conversation',
    team LowCardinality(String) COMMENT 'Team of the agent when answering; empty where unknown',
    agent LowCardinality(String) COMMENT 'Agent of its last conversation',
    began_at DateTime64(3, 'UTC') COMMENT 'Moment it began to wait for the first time',
    ended_at DateTime64(3, 'UTC') COMMENT 'Moment its last conversation or wait ended, which says in which time it counts',
    repeat_window_ms Int64 COMMENT 'Repeat window of the site, milliseconds',
    next_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Begin of the next contact of the customer; null where none has begun',
    next_contact String COMMENT 'That contact; empty where none has begun',
    outcome LowCardinality(String) COMMENT 'repeated: the next contact began within the window; resolved: none did, and it has passed; provisional: none has so far',
    is_final UInt8 COMMENT '1 where the time of the site is past the window'
)
AS
WITH
    (
        SELECT max(ifNull(JSONExtract(settings, 'repeat_window_ms', 'Nullable(Int64)'), 604800000))
        FROM ${database}.settings_at(at = {at:Nullable(DateTime64(3, 'UTC'))})
    ) AS longest_ms,
    subtractMilliseconds(subtractMilliseconds({from:DateTime64(3, 'UTC')}, 604800000), (SELECT reach_ms FROM ${database}.site_reach)) AS earliest
SELECT
    c.site AS site, c.contact AS contact, c.customer AS customer, tupleElement(place, 2) AS queue, tupleElement(place, 3) AS channel,
    tupleElement(last_leg, 5) AS team, tupleElement(last_leg, 4) AS agent,
    fromUnixTimestamp64Milli(c.began_ms, 'UTC') AS began_at, fromUnixTimestamp64Milli(c.ended_ms, 'UTC') AS ended_at,
    window_ms AS repeat_window_ms,
    if(n.is_begun, fromUnixTimestamp64Milli(n.began_ms, 'UTC'), NULL) AS next_at, n.contact AS next_contact,
    multiIf(n.is_begun AND n.began_ms <= c.ended_ms + window_ms, 'repeated', is_final, 'resolved', 'provisional') AS outcome,
    (until_ms > c.ended_ms + window_ms)::UInt8 AS is_final
FROM
(
    SELECT
        t.site AS site, t.contact AS contact, min(t.began_ms) AS began_ms, max(t.ended_ms) AS ended_ms,
        argMinIf(t.customer, t.began_ms, t.customer != '') AS customer, any(t.until_ms) AS until_ms, any(t.window_ms) AS window_ms,
        arraySort(groupArrayIf((t.began_ms, t.queue, t.channel, t.agent, t.team), t.is_leg)) AS legs,
        legs[-1] AS last_leg,
        arrayLast(x -> x.2 != '', legs) AS place
    FROM
    (
        SELECT
            v.site AS site, v.contact AS contact, toUnixTimestamp64Milli(v.queued_at) AS began_ms, v.customer AS customer,
            toUnixTimestamp64Milli(p.until) AS until_ms, p.window_ms AS window_ms,
            v.outcome != 'waiting' AND v.outcome_at <= p.until AS is_over, if(is_over, toUnixTimestamp64Milli(assumeNotNull(v.outcome_at)), began_ms) AS ended_ms,
            '' AS queue, '' AS channel, '' AS agent, '' AS team, 0 AS is_leg, 0 AS is_handled, v.direction = 'inbound' AS is_inbound
        FROM ${database}.visits AS v FINAL
        INNER JOIN ${database}.repeat_windows(at = {at:Nullable(DateTime64(3, 'UTC'))}) AS p ON p.site = v.site
        WHERE ({site:String} = '' OR v.site = {site:String}) AND v.queued_at >= earliest AND v.queued_at <= p.until
        UNION ALL
        SELECT
            l.site, l.contact, toUnixTimestamp64Milli(l.answered_at) AS answered_ms, '',
            toUnixTimestamp64Milli(p.until), p.window_ms,
            l.wrapped_at IS NOT NULL AND l.wrapped_at <= p.until AS is_done, if(is_done, toUnixTimestamp64Milli(assumeNotNull(l.wrapped_at)), answered_ms),
            toString(l.queue), toString(l.channel), toString(l.agent), toString(l.team), 1, is_done AND l.handled, 0
        FROM ${database}.legs AS l FINAL
        INNER JOIN ${database}.repeat_windows(at = {at:Nullable(DateTime64(3, 'UTC'))}) AS p ON p.site = l.site
        WHERE ({site:String} = '' OR l.site = {site:String}) AND l.answered_at >= earliest AND l.answered_at <= p.until
    ) AS t
    GROUP BY site, contact
    HAVING max(t.is_handled) AND max(t.is_inbound) AND customer != '' AND min(t.is_over)
        AND ended_ms >= toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')}) AND ended_ms < toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')})
) AS c
ASOF LEFT JOIN
(
    SELECT
        v.site AS site, v.contact AS contact, argMinIf(v.customer, v.queued_at, v.customer != '') AS customer,
        toUnixTimestamp64Milli(min(v.queued_at)) AS began_ms, 1 AS is_begun
    FROM ${database}.visits AS v FINAL
    INNER JOIN ${database}.repeat_windows(at = {at:Nullable(DateTime64(3, 'UTC'))}) AS p ON p.site = v.site
    WHERE ({site:String} = '' OR v.site = {site:String}) AND v.queued_at >= earliest AND v.queued_at <= p.until AND v.queued_at <= addMilliseconds({to:DateTime64(3, 'UTC')}, longest_ms)
    GROUP BY site, contact
    HAVING customer != '' AND max(v.direction = 'inbound')
) AS n ON n.site = c.site AND n.customer = c.customer AND c.ended_ms < n.began_ms
COMMENT 'repeat_contacts(site, from, to, at): handled contacts of known customers that ended in [from, to), and whether the customer came back, as known at a time of the site (null = newest); an empty site for all';

CREATE OR REPLACE VIEW ${database}.quality_cells
(
    scope LowCardinality(String) COMMENT 'queue: one queue and channel; channel; team; agent; all: the site',
    site LowCardinality(String) COMMENT 'Site',
    start DateTime64(3, 'UTC') COMMENT 'First moment of the step; steps count from the from asked for',
    queue LowCardinality(String) COMMENT 'Queue of the contact; empty where the contact is unknown or was in none',
    channel LowCardinality(String) COMMENT 'Channel of the contact; empty where the contact is unknown or was in no queue',
    team LowCardinality(String) COMMENT 'Team of the agent when answering; for an agent the last one in the step; empty where unknown',
    agent LowCardinality(String) COMMENT 'Agent who had the contact last, or who was evaluated; empty where nobody had it',
    csat_n Int64 COMMENT 'Satisfaction: contacts that answered, the n of csat and csat_mean',
    csat_top Int64 COMMENT 'Of them, those that answered 4 or 5',
    csat_sum Int64 COMMENT 'Sum of the answers, each 1 to 5',
    nps_n Int64 COMMENT 'Recommendation: contacts that answered, the n of nps',
    nps_promoters Int64 COMMENT 'Of them, those that answered 9 or 10',
    nps_detractors Int64 COMMENT 'Of them, those that answered 0 to 6',
    ces_n Int64 COMMENT 'Effort: contacts that answered, the n of ces and ces_easy_share',
    ces_easy Int64 COMMENT 'Of them, those that answered 5, 6 or 7',
    ces_sum Int64 COMMENT 'Sum of the answers, each 1 to 7',
    declared_n Int64 COMMENT 'Contacts of which survey or help desk said whether they are resolved, the n of fcr_declared',
    declared_resolved Int64 COMMENT 'Of them, those that are',
    repeat_n Int64 COMMENT 'Handled contacts of known customers, the n of fcr_repeat: repeat_resolved + repeat_repeated + repeat_provisional',
    repeat_resolved Int64 COMMENT 'Of them, those whose customer did not come back and whose repeat window has passed',
    repeat_repeated Int64 COMMENT 'Of them, those whose customer came back within the repeat window',
    repeat_repeated_final Int64 COMMENT 'Of the repeated, those whose repeat window has passed',
    repeat_provisional Int64 COMMENT 'Of them, those whose customer has not come back while the repeat window lasts',
    sentiment_n Int64 COMMENT 'Contacts with a sentiment, the n of sentiment_mean',
    sentiment_sum Float64 COMMENT 'Sum of the sentiments, each -1 to 1',
    risk_n Int64 COMMENT 'Contacts with a risk of escalation, the n of escalation_share',
    escalations Int64 COMMENT 'Of them, those with a risk of 0.5 or more',
    qa_n Int64 COMMENT 'Evaluations, the n of qa_mean: one a contact, agent and form',
    qa_sum Float64 COMMENT 'Sum of their scores, each 0 to 100',
    unmatched Int64 COMMENT 'Answers to any of these questions about a contact of which the store has no wait and no conversation',
    csat Nullable(Float64) COMMENT 'csat_top / csat_n: share of 4 and 5',
    csat_mean Nullable(Float64) COMMENT 'csat_sum / csat_n, 1 to 5',
    nps Nullable(Float64) COMMENT '100 * (nps_promoters - nps_detractors) / nps_n, in points from -100 to 100',
    ces Nullable(Float64) COMMENT 'ces_sum / ces_n, 1 to 7, the greater the easier',
    ces_easy_share Nullable(Float64) COMMENT 'ces_easy / ces_n: share of 5, 6 and 7',
    fcr_declared Nullable(Float64) COMMENT 'declared_resolved / declared_n',
    fcr_repeat Nullable(Float64) COMMENT '(repeat_resolved + repeat_provisional) / repeat_n: not come back so far; provisional, and may only fall, while repeat_provisional is not 0',
    fcr_repeat_final Nullable(Float64) COMMENT 'repeat_resolved / (repeat_resolved + repeat_repeated_final): only contacts whose repeat window has passed',
    sentiment_mean Nullable(Float64) COMMENT 'sentiment_sum / sentiment_n, -1 to 1',
    escalation_share Nullable(Float64) COMMENT 'escalations / risk_n',
    qa_mean Nullable(Float64) COMMENT 'qa_sum / qa_n, 0 to 100'
)
AS SELECT
    scope, site, start, queue, channel, if(scope = 'agent', last_team, team) AS team, agent,
    csat_n, csat_top, csat_sum, nps_n, nps_promoters, nps_detractors, ces_n, ces_easy, ces_sum, declared_n,
    declared_resolved, repeat_n, repeat_resolved, repeat_repeated, repeat_repeated_final, repeat_provisional,
    sentiment_n, sentiment_sum, risk_n, escalations, qa_n, qa_sum, unmatched,
    csat_top / nullIf(csat_n, 0) AS csat,
    csat_sum / nullIf(csat_n, 0) AS csat_mean,
    100 * (nps_promoters - nps_detractors) / nullIf(nps_n, 0) AS nps,
    ces_sum / nullIf(ces_n, 0) AS ces,
    ces_easy / nullIf(ces_n, 0) AS ces_easy_share,
    declared_resolved / nullIf(declared_n, 0) AS fcr_declared,
    (repeat_resolved + repeat_provisional) / nullIf(repeat_n, 0) AS fcr_repeat,
    repeat_resolved / nullIf(repeat_resolved + repeat_repeated_final, 0) AS fcr_repeat_final,
    sentiment_sum / nullIf(sentiment_n, 0) AS sentiment_mean,
    escalations / nullIf(risk_n, 0) AS escalation_share,
    qa_sum / nullIf(qa_n, 0) AS qa_mean
FROM
(
    SELECT
        multiIf(grouping(queue) = 0, 'queue', grouping(channel) = 0, 'channel', grouping(team) = 0, 'team', grouping(agent) = 0, 'agent', 'all') AS scope,
        site, start, queue, channel, team, agent, argMax(its_team, moment_ms) AS last_team,
        toInt64(countIf(fact = 'csat')) AS csat_n, toInt64(countIf(fact = 'csat' AND value >= 4)) AS csat_top,
        toInt64(sumIf(value, fact = 'csat')) AS csat_sum,
        toInt64(countIf(fact = 'nps')) AS nps_n, toInt64(countIf(fact = 'nps' AND value >= 9)) AS nps_promoters,
        toInt64(countIf(fact = 'nps' AND value <= 6)) AS nps_detractors,
        toInt64(countIf(fact = 'ces')) AS ces_n, toInt64(countIf(fact = 'ces' AND value >= 5)) AS ces_easy,
        toInt64(sumIf(value, fact = 'ces')) AS ces_sum,
        toInt64(countIf(fact = 'resolved')) AS declared_n, toInt64(countIf(fact = 'resolved' AND value = 1)) AS declared_resolved,
        repeat_resolved + repeat_repeated + repeat_provisional AS repeat_n,
        toInt64(countIf(fact = 'repeat resolved')) AS repeat_resolved,
        toInt64(countIf(fact = 'repeat repeated')) AS repeat_repeated,
        toInt64(countIf(fact = 'repeat repeated' AND value = 1)) AS repeat_repeated_final,
        toInt64(countIf(fact = 'repeat provisional')) AS repeat_provisional,
        toInt64(countIf(fact = 'sentiment')) AS sentiment_n, sumIf(value, fact = 'sentiment') AS sentiment_sum,
        toInt64(countIf(fact = 'escalation_risk')) AS risk_n, toInt64(countIf(fact = 'escalation_risk' AND value >= 0.5)) AS escalations,
        toInt64(countIf(fact = 'evaluation')) AS qa_n, sumIf(value, fact = 'evaluation') AS qa_sum,
        toInt64(countIf(NOT is_matched)) AS unmatched
    FROM
    (
        SELECT
            site, queue, channel, team, agent, team AS its_team, fact, value, is_matched, moment_ms,
            toUnixTimestamp64Milli({from:DateTime64(3, 'UTC')}) AS from_ms, toUnixTimestamp64Milli({to:DateTime64(3, 'UTC')}) AS to_ms,
            greatest(1, if({step_ms:Int64} > 0, {step_ms:Int64}, to_ms - from_ms)) AS step,
            fromUnixTimestamp64Milli(from_ms + intDiv(moment_ms - from_ms, step) * step, 'UTC') AS start
        FROM
        (
            SELECT
                site, toString(queue) AS queue, toString(channel) AS channel, toString(team) AS team, toString(agent) AS agent,
                toString(question) AS fact, value, is_matched, toUnixTimestamp64Milli(at) AS moment_ms
            FROM ${database}.quality_answers(site = {site:String}, from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = {at:Nullable(DateTime64(3, 'UTC'))})
            UNION ALL
            SELECT
                site, toString(queue), toString(channel), toString(team), toString(agent), concat('repeat ', outcome), toFloat64(is_final), 1,
                toUnixTimestamp64Milli(ended_at)
            FROM ${database}.repeat_contacts(site = {site:String}, from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = {at:Nullable(DateTime64(3, 'UTC'))})
        )
    )
    GROUP BY GROUPING SETS ((site, start, queue, channel), (site, start, channel), (site, start, team), (site, start, agent), (site, start))
)
COMMENT 'quality_cells(site, from, to, at, step_ms): quality KPIs of [from, to) in steps (0 = one), by queue, channel, team, agent and site, as known at a time of the site (null = newest); an empty site for all';

CREATE OR REPLACE VIEW ${database}.kpi_quality_site
(
    site LowCardinality(String) COMMENT 'Site',
    csat_n Int64 COMMENT 'Satisfaction: contacts that answered, the n of csat and csat_mean',
    csat_top Int64 COMMENT 'Of them, those that answered 4 or 5',
    csat_sum Int64 COMMENT 'Sum of the answers, each 1 to 5',
    nps_n Int64 COMMENT 'Recommendation: contacts that answered, the n of nps',
    nps_promoters Int64 COMMENT 'Of them, those that answered 9 or 10',
    nps_detractors Int64 COMMENT 'Of them, those that answered 0 to 6',
    ces_n Int64 COMMENT 'Effort: contacts that answered, the n of ces and ces_easy_share',
    ces_easy Int64 COMMENT 'Of them, those that answered 5, 6 or 7',
    ces_sum Int64 COMMENT 'Sum of the answers, each 1 to 7',
    declared_n Int64 COMMENT 'Contacts of which survey or help desk said whether they are resolved, the n of fcr_declared',
    declared_resolved Int64 COMMENT 'Of them, those that are',
    repeat_n Int64 COMMENT 'Handled contacts of known customers, the n of fcr_repeat: repeat_resolved + repeat_repeated + repeat_provisional',
    repeat_resolved Int64 COMMENT 'Of them, those whose customer did not come back and whose repeat window has passed',
    repeat_repeated Int64 COMMENT 'Of them, those whose customer came back within the repeat window',
    repeat_repeated_final Int64 COMMENT 'Of the repeated, those whose repeat window has passed',
    repeat_provisional Int64 COMMENT 'Of them, those whose customer has not come back while the repeat window lasts',
    sentiment_n Int64 COMMENT 'Contacts with a sentiment, the n of sentiment_mean',
    sentiment_sum Float64 COMMENT 'Sum of the sentiments, each -1 to 1',
    risk_n Int64 COMMENT 'Contacts with a risk of escalation, the n of escalation_share',
    escalations Int64 COMMENT 'Of them, those with a risk of 0.5 or more',
    qa_n Int64 COMMENT 'Evaluations, the n of qa_mean: one a contact, agent and form',
    qa_sum Float64 COMMENT 'Sum of their scores, each 0 to 100',
    unmatched Int64 COMMENT 'Answers to any of these questions about a contact of which the store has no wait and no conversation',
    csat Nullable(Float64) COMMENT 'csat_top / csat_n: share of 4 and 5',
    csat_mean Nullable(Float64) COMMENT 'csat_sum / csat_n, 1 to 5',
    nps Nullable(Float64) COMMENT '100 * (nps_promoters - nps_detractors) / nps_n, in points from -100 to 100',
    ces Nullable(Float64) COMMENT 'ces_sum / ces_n, 1 to 7, the greater the easier',
    ces_easy_share Nullable(Float64) COMMENT 'ces_easy / ces_n: share of 5, 6 and 7',
    fcr_declared Nullable(Float64) COMMENT 'declared_resolved / declared_n',
    fcr_repeat Nullable(Float64) COMMENT '(repeat_resolved + repeat_provisional) / repeat_n: not come back so far; provisional, and may only fall, while repeat_provisional is not 0',
    fcr_repeat_final Nullable(Float64) COMMENT 'repeat_resolved / (repeat_resolved + repeat_repeated_final): only contacts whose repeat window has passed',
    sentiment_mean Nullable(Float64) COMMENT 'sentiment_sum / sentiment_n, -1 to 1',
    escalation_share Nullable(Float64) COMMENT 'escalations / risk_n',
    qa_mean Nullable(Float64) COMMENT 'qa_sum / qa_n, 0 to 100'
)
AS SELECT
    site, csat_n, csat_top, csat_sum, nps_n, nps_promoters, nps_detractors, ces_n, ces_easy, ces_sum,
    declared_n, declared_resolved, repeat_n, repeat_resolved, repeat_repeated, repeat_repeated_final,
    repeat_provisional, sentiment_n, sentiment_sum, risk_n, escalations, qa_n, qa_sum, unmatched, csat,
    csat_mean, nps, ces, ces_easy_share, fcr_declared, fcr_repeat, fcr_repeat_final, sentiment_mean,
    escalation_share, qa_mean
FROM ${database}.quality_cells(site = '', from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, step_ms = 0)
WHERE scope = 'all'
COMMENT 'kpi_quality_site(from, to): quality KPIs of each site in [from, to)';

CREATE OR REPLACE VIEW ${database}.kpi_quality_queue
(
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue of the contact; empty where the contact is unknown or was in none',
    channel LowCardinality(String) COMMENT 'Channel of the contact; empty where the contact is unknown or was in no queue',
    csat_n Int64 COMMENT 'Satisfaction: contacts that answered, the n of csat and csat_mean',
    csat_top Int64 COMMENT 'Of them, those that answered 4 or 5',
    csat_sum Int64 COMMENT 'Sum of the answers, each 1 to 5',
    nps_n Int64 COMMENT 'Recommendation: contacts that answered, the n of nps',
    nps_promoters Int64 COMMENT 'Of them, those that answered 9 or 10',
    nps_detractors Int64 COMMENT 'Of them, those that answered 0 to 6',
    ces_n Int64 COMMENT 'Effort: contacts that answered, the n of ces and ces_easy_share',
    ces_easy Int64 COMMENT 'Of them, those that answered 5, 6 or 7',
    ces_sum Int64 COMMENT 'Sum of the answers, each 1 to 7',
    declared_n Int64 COMMENT 'Contacts of which survey or help desk said whether they are resolved, the n of fcr_declared',
    declared_resolved Int64 COMMENT 'Of them, those that are',
    repeat_n Int64 COMMENT 'Handled contacts of known customers, the n of fcr_repeat: repeat_resolved + repeat_repeated + repeat_provisional',
    repeat_resolved Int64 COMMENT 'Of them, those whose customer did not come back and whose repeat window has passed',
    repeat_repeated Int64 COMMENT 'Of them, those whose customer came back within the repeat window',
    repeat_repeated_final Int64 COMMENT 'Of the repeated, those whose repeat window has passed',
    repeat_provisional Int64 COMMENT 'Of them, those whose customer has not come back while the repeat window lasts',
    sentiment_n Int64 COMMENT 'Contacts with a sentiment, the n of sentiment_mean',
    sentiment_sum Float64 COMMENT 'Sum of the sentiments, each -1 to 1',
    risk_n Int64 COMMENT 'Contacts with a risk of escalation, the n of escalation_share',
    escalations Int64 COMMENT 'Of them, those with a risk of 0.5 or more',
    qa_n Int64 COMMENT 'Evaluations, the n of qa_mean: one a contact, agent and form',
    qa_sum Float64 COMMENT 'Sum of their scores, each 0 to 100',
    unmatched Int64 COMMENT 'Answers to any of these questions about a contact of which the store has no wait and no conversation',
    csat Nullable(Float64) COMMENT 'csat_top / csat_n: share of 4 and 5',
    csat_mean Nullable(Float64) COMMENT 'csat_sum / csat_n, 1 to 5',
    nps Nullable(Float64) COMMENT '100 * (nps_promoters - nps_detractors) / nps_n, in points from -100 to 100',
    ces Nullable(Float64) COMMENT 'ces_sum / ces_n, 1 to 7, the greater the easier',
    ces_easy_share Nullable(Float64) COMMENT 'ces_easy / ces_n: share of 5, 6 and 7',
    fcr_declared Nullable(Float64) COMMENT 'declared_resolved / declared_n',
    fcr_repeat Nullable(Float64) COMMENT '(repeat_resolved + repeat_provisional) / repeat_n: not come back so far; provisional, and may only fall, while repeat_provisional is not 0',
    fcr_repeat_final Nullable(Float64) COMMENT 'repeat_resolved / (repeat_resolved + repeat_repeated_final): only contacts whose repeat window has passed',
    sentiment_mean Nullable(Float64) COMMENT 'sentiment_sum / sentiment_n, -1 to 1',
    escalation_share Nullable(Float64) COMMENT 'escalations / risk_n',
    qa_mean Nullable(Float64) COMMENT 'qa_sum / qa_n, 0 to 100'
)
AS SELECT
    site, queue, channel, csat_n, csat_top, csat_sum, nps_n, nps_promoters, nps_detractors, ces_n, ces_easy,
    ces_sum, declared_n, declared_resolved, repeat_n, repeat_resolved, repeat_repeated,
    repeat_repeated_final, repeat_provisional, sentiment_n, sentiment_sum, risk_n, escalations, qa_n, qa_sum,
    unmatched, csat, csat_mean, nps, ces, ces_easy_share, fcr_declared, fcr_repeat, fcr_repeat_final,
    sentiment_mean, escalation_share, qa_mean
FROM ${database}.quality_cells(site = '', from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, step_ms = 0)
WHERE scope = 'queue'
COMMENT 'kpi_quality_queue(from, to): quality KPIs of each queue and channel in [from, to)';

CREATE OR REPLACE VIEW ${database}.kpi_quality_channel
(
    site LowCardinality(String) COMMENT 'Site',
    channel LowCardinality(String) COMMENT 'Channel of the contact; empty where the contact is unknown or was in no queue',
    csat_n Int64 COMMENT 'Satisfaction: contacts that answered, the n of csat and csat_mean',
    csat_top Int64 COMMENT 'Of them, those that answered 4 or 5',
    csat_sum Int64 COMMENT 'Sum of the answers, each 1 to 5',
    nps_n Int64 COMMENT 'Recommendation: contacts that answered, the n of nps',
    nps_promoters Int64 COMMENT 'Of them, those that answered 9 or 10',
    nps_detractors Int64 COMMENT 'Of them, those that answered 0 to 6',
    ces_n Int64 COMMENT 'Effort: contacts that answered, the n of ces and ces_easy_share',
    ces_easy Int64 COMMENT 'Of them, those that answered 5, 6 or 7',
    ces_sum Int64 COMMENT 'Sum of the answers, each 1 to 7',
    declared_n Int64 COMMENT 'Contacts of which survey or help desk said whether they are resolved, the n of fcr_declared',
    declared_resolved Int64 COMMENT 'Of them, those that are',
    repeat_n Int64 COMMENT 'Handled contacts of known customers, the n of fcr_repeat: repeat_resolved + repeat_repeated + repeat_provisional',
    repeat_resolved Int64 COMMENT 'Of them, those whose customer did not come back and whose repeat window has passed',
    repeat_repeated Int64 COMMENT 'Of them, those whose customer came back within the repeat window',
    repeat_repeated_final Int64 COMMENT 'Of the repeated, those whose repeat window has passed',
    repeat_provisional Int64 COMMENT 'Of them, those whose customer has not come back while the repeat window lasts',
    sentiment_n Int64 COMMENT 'Contacts with a sentiment, the n of sentiment_mean',
    sentiment_sum Float64 COMMENT 'Sum of the sentiments, each -1 to 1',
    risk_n Int64 COMMENT 'Contacts with a risk of escalation, the n of escalation_share',
    escalations Int64 COMMENT 'Of them, those with a risk of 0.5 or more',
    qa_n Int64 COMMENT 'Evaluations, the n of qa_mean: one a contact, agent and form',
    qa_sum Float64 COMMENT 'Sum of their scores, each 0 to 100',
    unmatched Int64 COMMENT 'Answers to any of these questions about a contact of which the store has no wait and no conversation',
    csat Nullable(Float64) COMMENT 'csat_top / csat_n: share of 4 and 5',
    csat_mean Nullable(Float64) COMMENT 'csat_sum / csat_n, 1 to 5',
    nps Nullable(Float64) COMMENT '100 * (nps_promoters - nps_detractors) / nps_n, in points from -100 to 100',
    ces Nullable(Float64) COMMENT 'ces_sum / ces_n, 1 to 7, the greater the easier',
    ces_easy_share Nullable(Float64) COMMENT 'ces_easy / ces_n: share of 5, 6 and 7',
    fcr_declared Nullable(Float64) COMMENT 'declared_resolved / declared_n',
    fcr_repeat Nullable(Float64) COMMENT '(repeat_resolved + repeat_provisional) / repeat_n: not come back so far; provisional, and may only fall, while repeat_provisional is not 0',
    fcr_repeat_final Nullable(Float64) COMMENT 'repeat_resolved / (repeat_resolved + repeat_repeated_final): only contacts whose repeat window has passed',
    sentiment_mean Nullable(Float64) COMMENT 'sentiment_sum / sentiment_n, -1 to 1',
    escalation_share Nullable(Float64) COMMENT 'escalations / risk_n',
    qa_mean Nullable(Float64) COMMENT 'qa_sum / qa_n, 0 to 100'
)
AS SELECT
    site, channel, csat_n, csat_top, csat_sum, nps_n, nps_promoters, nps_detractors, ces_n, ces_easy,
    ces_sum, declared_n, declared_resolved, repeat_n, repeat_resolved, repeat_repeated,
    repeat_repeated_final, repeat_provisional, sentiment_n, sentiment_sum, risk_n, escalations, qa_n, qa_sum,
    unmatched, csat, csat_mean, nps, ces, ces_easy_share, fcr_declared, fcr_repeat, fcr_repeat_final,
    sentiment_mean, escalation_share, qa_mean
FROM ${database}.quality_cells(site = '', from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, step_ms = 0)
WHERE scope = 'channel'
COMMENT 'kpi_quality_channel(from, to): quality KPIs of each channel in [from, to)';

CREATE OR REPLACE VIEW ${database}.kpi_quality_team
(
    site LowCardinality(String) COMMENT 'Site',
    team LowCardinality(String) COMMENT 'Team of the agent when answering; for an agent the last one in the step; empty where unknown',
    csat_n Int64 COMMENT 'Satisfaction: contacts that answered, the n of csat and csat_mean',
    csat_top Int64 COMMENT 'Of them, those that answered 4 or 5',
    csat_sum Int64 COMMENT 'Sum of the answers, each 1 to 5',
    nps_n Int64 COMMENT 'Recommendation: contacts that answered, the n of nps',
    nps_promoters Int64 COMMENT 'Of them, those that answered 9 or 10',
    nps_detractors Int64 COMMENT 'Of them, those that answered 0 to 6',
    ces_n Int64 COMMENT 'Effort: contacts that answered, the n of ces and ces_easy_share',
    ces_easy Int64 COMMENT 'Of them, those that answered 5, 6 or 7',
    ces_sum Int64 COMMENT 'Sum of the answers, each 1 to 7',
    declared_n Int64 COMMENT 'Contacts of which survey or help desk said whether they are resolved, the n of fcr_declared',
    declared_resolved Int64 COMMENT 'Of them, those that are',
    repeat_n Int64 COMMENT 'Handled contacts of known customers, the n of fcr_repeat: repeat_resolved + repeat_repeated + repeat_provisional',
    repeat_resolved Int64 COMMENT 'Of them, those whose customer did not come back and whose repeat window has passed',
    repeat_repeated Int64 COMMENT 'Of them, those whose customer came back within the repeat window',
    repeat_repeated_final Int64 COMMENT 'Of the repeated, those whose repeat window has passed',
    repeat_provisional Int64 COMMENT 'Of them, those whose customer has not come back while the repeat window lasts',
    sentiment_n Int64 COMMENT 'Contacts with a sentiment, the n of sentiment_mean',
    sentiment_sum Float64 COMMENT 'Sum of the sentiments, each -1 to 1',
    risk_n Int64 COMMENT 'Contacts with a risk of escalation, the n of escalation_share',
    escalations Int64 COMMENT 'Of them, those with a risk of 0.5 or more',
    qa_n Int64 COMMENT 'Evaluations, the n of qa_mean: one a contact, agent and form',
    qa_sum Float64 COMMENT 'Sum of their scores, each 0 to 100',
    unmatched Int64 COMMENT 'Answers to any of these questions about a contact of which the store has no wait and no conversation',
    csat Nullable(Float64) COMMENT 'csat_top / csat_n: share of 4 and 5',
    csat_mean Nullable(Float64) COMMENT 'csat_sum / csat_n, 1 to 5',
    nps Nullable(Float64) COMMENT '100 * (nps_promoters - nps_detractors) / nps_n, in points from -100 to 100',
    ces Nullable(Float64) COMMENT 'ces_sum / ces_n, 1 to 7, the greater the easier',
    ces_easy_share Nullable(Float64) COMMENT 'ces_easy / ces_n: share of 5, 6 and 7',
    fcr_declared Nullable(Float64) COMMENT 'declared_resolved / declared_n',
    fcr_repeat Nullable(Float64) COMMENT '(repeat_resolved + repeat_provisional) / repeat_n: not come back so far; provisional, and may only fall, while repeat_provisional is not 0',
    fcr_repeat_final Nullable(Float64) COMMENT 'repeat_resolved / (repeat_resolved + repeat_repeated_final): only contacts whose repeat window has passed',
    sentiment_mean Nullable(Float64) COMMENT 'sentiment_sum / sentiment_n, -1 to 1',
    escalation_share Nullable(Float64) COMMENT 'escalations / risk_n',
    qa_mean Nullable(Float64) COMMENT 'qa_sum / qa_n, 0 to 100'
)
AS SELECT
    site, team, csat_n, csat_top, csat_sum, nps_n, nps_promoters, nps_detractors, ces_n, ces_easy, ces_sum,
    declared_n, declared_resolved, repeat_n, repeat_resolved, repeat_repeated, repeat_repeated_final,
    repeat_provisional, sentiment_n, sentiment_sum, risk_n, escalations, qa_n, qa_sum, unmatched, csat,
    csat_mean, nps, ces, ces_easy_share, fcr_declared, fcr_repeat, fcr_repeat_final, sentiment_mean,
    escalation_share, qa_mean
FROM ${database}.quality_cells(site = '', from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, step_ms = 0)
WHERE scope = 'team'
COMMENT 'kpi_quality_team(from, to): quality KPIs of each team in [from, to)';

CREATE OR REPLACE VIEW ${database}.kpi_quality_agent
(
    site LowCardinality(String) COMMENT 'Site',
    agent LowCardinality(String) COMMENT 'Agent who had the contact last, or who was evaluated; empty where nobody had it',
    team LowCardinality(String) COMMENT 'Team of the agent when answering; for an agent the last one in the step; empty where unknown',
    csat_n Int64 COMMENT 'Satisfaction: contacts that answered, the n of csat and csat_mean',
    csat_top Int64 COMMENT 'Of them, those that answered 4 or 5',
    csat_sum Int64 COMMENT 'Sum of the answers, each 1 to 5',
    nps_n Int64 COMMENT 'Recommendation: contacts that answered, the n of nps',
    nps_promoters Int64 COMMENT 'Of them, those that answered 9 or 10',
    nps_detractors Int64 COMMENT 'Of them, those that answered 0 to 6',
    ces_n Int64 COMMENT 'Effort: contacts that answered, the n of ces and ces_easy_share',
    ces_easy Int64 COMMENT 'Of them, those that answered 5, 6 or 7',
    ces_sum Int64 COMMENT 'Sum of the answers, each 1 to 7',
    declared_n Int64 COMMENT 'Contacts of which survey or help desk said whether they are resolved, the n of fcr_declared',
    declared_resolved Int64 COMMENT 'Of them, those that are',
    repeat_n Int64 COMMENT 'Handled contacts of known customers, the n of fcr_repeat: repeat_resolved + repeat_repeated + repeat_provisional',
    repeat_resolved Int64 COMMENT 'Of them, those whose customer did not come back and whose repeat window has passed',
    repeat_repeated Int64 COMMENT 'Of them, those whose customer came back within the repeat window',
    repeat_repeated_final Int64 COMMENT 'Of the repeated, those whose repeat window has passed',
    repeat_provisional Int64 COMMENT 'Of them, those whose customer has not come back while the repeat window lasts',
    sentiment_n Int64 COMMENT 'Contacts with a sentiment, the n of sentiment_mean',
    sentiment_sum Float64 COMMENT 'Sum of the sentiments, each -1 to 1',
    risk_n Int64 COMMENT 'Contacts with a risk of escalation, the n of escalation_share',
    escalations Int64 COMMENT 'Of them, those with a risk of 0.5 or more',
    qa_n Int64 COMMENT 'Evaluations, the n of qa_mean: one a contact, agent and form',
    qa_sum Float64 COMMENT 'Sum of their scores, each 0 to 100',
    unmatched Int64 COMMENT 'Answers to any of these questions about a contact of which the store has no wait and no conversation',
    csat Nullable(Float64) COMMENT 'csat_top / csat_n: share of 4 and 5',
    csat_mean Nullable(Float64) COMMENT 'csat_sum / csat_n, 1 to 5',
    nps Nullable(Float64) COMMENT '100 * (nps_promoters - nps_detractors) / nps_n, in points from -100 to 100',
    ces Nullable(Float64) COMMENT 'ces_sum / ces_n, 1 to 7, the greater the easier',
    ces_easy_share Nullable(Float64) COMMENT 'ces_easy / ces_n: share of 5, 6 and 7',
    fcr_declared Nullable(Float64) COMMENT 'declared_resolved / declared_n',
    fcr_repeat Nullable(Float64) COMMENT '(repeat_resolved + repeat_provisional) / repeat_n: not come back so far; provisional, and may only fall, while repeat_provisional is not 0',
    fcr_repeat_final Nullable(Float64) COMMENT 'repeat_resolved / (repeat_resolved + repeat_repeated_final): only contacts whose repeat window has passed',
    sentiment_mean Nullable(Float64) COMMENT 'sentiment_sum / sentiment_n, -1 to 1',
    escalation_share Nullable(Float64) COMMENT 'escalations / risk_n',
    qa_mean Nullable(Float64) COMMENT 'qa_sum / qa_n, 0 to 100'
)
AS SELECT
    site, agent, team, csat_n, csat_top, csat_sum, nps_n, nps_promoters, nps_detractors, ces_n, ces_easy,
    ces_sum, declared_n, declared_resolved, repeat_n, repeat_resolved, repeat_repeated,
    repeat_repeated_final, repeat_provisional, sentiment_n, sentiment_sum, risk_n, escalations, qa_n, qa_sum,
    unmatched, csat, csat_mean, nps, ces, ces_easy_share, fcr_declared, fcr_repeat, fcr_repeat_final,
    sentiment_mean, escalation_share, qa_mean
FROM ${database}.quality_cells(site = '', from = {from:DateTime64(3, 'UTC')}, to = {to:DateTime64(3, 'UTC')}, at = NULL, step_ms = 0)
WHERE scope = 'agent'
COMMENT 'kpi_quality_agent(from, to): quality KPIs of each agent in [from, to)';

CREATE OR REPLACE VIEW ${database}.quality_bounds
(
    starts_at DateTime64(3, 'UTC') COMMENT 'First moment of the window',
    ends_at DateTime64(3, 'UTC') COMMENT 'First moment after it: the end of the pane that is open',
    known_at DateTime64(3, 'UTC') COMMENT 'Time of the site the window is seen from'
)
AS
WITH transform({window:String}, ['5m', '15m', '30m', '60m', '7d', '30d'], [300000, 900000, 1800000, 3600000, 604800000, 2592000000], 0) AS window_ms
SELECT
    multiIf(
        window_ms > 0, subtractMilliseconds(b.ends_at, window_ms),
        {window:String} = 'today', b.starts_at,
        {window:String} = 'total', toDateTime64('1900-01-02 00:00:00', 3, 'UTC'),
        fromUnixTimestamp64Milli(toInt64(throwIf(1, 'window must be today, 7d, 30d, 5m, 15m, 30m, 60m or total')), 'UTC')) AS starts_at,
    if({window:String} = 'total', addMilliseconds(b.known_at, 1), b.ends_at) AS ends_at,
    b.known_at AS known_at
FROM ${database}.window_bounds(site = {site:String}, window = 'today', at = {at:Nullable(DateTime64(3, 'UTC'))}) AS b
COMMENT 'quality_bounds(site, window, at): the bounds of a window of quality: 7d, 30d or a window of the board';

CREATE OR REPLACE VIEW ${database}.kpi_quality_window
(
    scope LowCardinality(String) COMMENT 'queue: one queue and channel; channel; team; agent; all: the site',
    site LowCardinality(String) COMMENT 'Site',
    queue LowCardinality(String) COMMENT 'Queue of the contact; empty where the contact is unknown or was in none',
    channel LowCardinality(String) COMMENT 'Channel of the contact; empty where the contact is unknown or was in no queue',
    team LowCardinality(String) COMMENT 'Team of the agent when answering; for an agent the last one in the step; empty where unknown',
    agent LowCardinality(String) COMMENT 'Agent who had the contact last, or who was evaluated; empty where nobody had it',
    csat_n Int64 COMMENT 'Satisfaction: contacts that answered, the n of csat and csat_mean',
    csat_top Int64 COMMENT 'Of them, those that answered 4 or 5',
    csat_sum Int64 COMMENT 'Sum of the answers, each 1 to 5',
    nps_n Int64 COMMENT 'Recommendation: contacts that answered, the n of nps',
    nps_promoters Int64 COMMENT 'Of them, those that answered 9 or 10',
    nps_detractors Int64 COMMENT 'Of them, those that answered 0 to 6',
    ces_n Int64 COMMENT 'Effort: contacts that answered, the n of ces and ces_easy_share',
    ces_easy Int64 COMMENT 'Of them, those that answered 5, 6 or 7',
    ces_sum Int64 COMMENT 'Sum of the answers, each 1 to 7',
    declared_n Int64 COMMENT 'Contacts of which survey or help desk said whether they are resolved, the n of fcr_declared',
    declared_resolved Int64 COMMENT 'Of them, those that are',
    repeat_n Int64 COMMENT 'Handled contacts of known customers, the n of fcr_repeat: repeat_resolved + repeat_repeated + repeat_provisional',
    repeat_resolved Int64 COMMENT 'Of them, those whose customer did not come back and whose repeat window has passed',
    repeat_repeated Int64 COMMENT 'Of them, those whose customer came back within the repeat window',
    repeat_repeated_final Int64 COMMENT 'Of the repeated, those whose repeat window has passed',
    repeat_provisional Int64 COMMENT 'Of them, those whose customer has not come back while the repeat window lasts',
    sentiment_n Int64 COMMENT 'Contacts with a sentiment, the n of sentiment_mean',
    sentiment_sum Float64 COMMENT 'Sum of the sentiments, each -1 to 1',
    risk_n Int64 COMMENT 'Contacts with a risk of escalation, the n of escalation_share',
    escalations Int64 COMMENT 'Of them, those with a risk of 0.5 or more',
    qa_n Int64 COMMENT 'Evaluations, the n of qa_mean: one a contact, agent and form',
    qa_sum Float64 COMMENT 'Sum of their scores, each 0 to 100',
    unmatched Int64 COMMENT 'Answers to any of these questions about a contact of which the store has no wait and no conversation',
    csat Nullable(Float64) COMMENT 'csat_top / csat_n: share of 4 and 5',
    csat_mean Nullable(Float64) COMMENT 'csat_sum / csat_n, 1 to 5',
    nps Nullable(Float64) COMMENT '100 * (nps_promoters - nps_detractors) / nps_n, in points from -100 to 100',
    ces Nullable(Float64) COMMENT 'ces_sum / ces_n, 1 to 7, the greater the easier',
    ces_easy_share Nullable(Float64) COMMENT 'ces_easy / ces_n: share of 5, 6 and 7',
    fcr_declared Nullable(Float64) COMMENT 'declared_resolved / declared_n',
    fcr_repeat Nullable(Float64) COMMENT '(repeat_resolved + repeat_provisional) / repeat_n: not come back so far; provisional, and may only fall, while repeat_provisional is not 0',
    fcr_repeat_final Nullable(Float64) COMMENT 'repeat_resolved / (repeat_resolved + repeat_repeated_final): only contacts whose repeat window has passed',
    sentiment_mean Nullable(Float64) COMMENT 'sentiment_sum / sentiment_n, -1 to 1',
    escalation_share Nullable(Float64) COMMENT 'escalations / risk_n',
    qa_mean Nullable(Float64) COMMENT 'qa_sum / qa_n, 0 to 100'
)
AS SELECT
    scope, site, queue, channel, team, agent, csat_n, csat_top, csat_sum, nps_n, nps_promoters,
    nps_detractors, ces_n, ces_easy, ces_sum, declared_n, declared_resolved, repeat_n, repeat_resolved,
    repeat_repeated, repeat_repeated_final, repeat_provisional, sentiment_n, sentiment_sum, risk_n,
    escalations, qa_n, qa_sum, unmatched, csat, csat_mean, nps, ces, ces_easy_share, fcr_declared,
    fcr_repeat, fcr_repeat_final, sentiment_mean, escalation_share, qa_mean
FROM ${database}.quality_cells(
    site = {site:String},
    from = (SELECT starts_at FROM ${database}.quality_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    to = (SELECT ends_at FROM ${database}.quality_bounds(site = {site:String}, window = {window:String}, at = {at:Nullable(DateTime64(3, 'UTC'))})),
    at = {at:Nullable(DateTime64(3, 'UTC'))}, step_ms = 0)
-- An empty site is all sites there, here it is none.
WHERE site = {site:String}
COMMENT 'kpi_quality_window(site, window, at): what the board shows of quality: window is today, 7d, 30d or another of the board, at a time of the site (null = newest)';

CREATE OR REPLACE VIEW ${database}.feedback_unmatched
(
    site LowCardinality(String) COMMENT 'Site',
    contact String COMMENT 'Contact the fact is about',
    at DateTime64(3, 'UTC') COMMENT 'Moment of the fact',
    type LowCardinality(String) COMMENT 'survey.answered, contact.resolved, contact.sentiment, contact.evaluated or contact.recorded',
    queue Nullable(String) COMMENT 'Queue a survey names',
    agent Nullable(String) COMMENT 'Agent who was evaluated',
    source Nullable(String) COMMENT 'Platform that said so'
)
AS SELECT f.site AS site, f.contact AS contact, f.at AS at, toString(f.type) AS type, f.queue AS queue, f.agent AS agent, f.source AS source
FROM ${database}.feedback AS f FINAL
LEFT ANTI JOIN
(
    SELECT site, contact
    FROM ${database}.visits FINAL
    WHERE queued_at >= subtractMilliseconds({from:DateTime64(3, 'UTC')}, 5356800000)
        AND contact IN (SELECT contact FROM ${database}.feedback WHERE at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')})
    UNION DISTINCT
    SELECT site, contact
    FROM ${database}.legs FINAL
    WHERE answered_at >= subtractMilliseconds({from:DateTime64(3, 'UTC')}, 5356800000)
        AND contact IN (SELECT contact FROM ${database}.feedback WHERE at >= {from:DateTime64(3, 'UTC')} AND at < {to:DateTime64(3, 'UTC')})
) AS c ON c.site = f.site AND c.contact = f.contact
WHERE f.at >= {from:DateTime64(3, 'UTC')} AND f.at < {to:DateTime64(3, 'UTC')}
COMMENT 'feedback_unmatched(from, to): facts of [from, to) about contacts of which the store has no wait and no conversation';
