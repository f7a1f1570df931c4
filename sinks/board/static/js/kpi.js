// What each KPI is called, how it is shown and explained, and how it stands against its target.
// Formulas, numerators and denominators come with the board; none is computed here.

import { duration, integer, percent, span } from "./format.js";

export const KPIS = {
  service_level: { label: "Service level", show: percent, want: "least", ratio: true },
  abandonment: { label: "Abandonment", show: percent, want: "most", ratio: true },
  asa_ms: { label: "Average speed of answer", short: "ASA", show: duration, want: "most", ratio: true },
  aht_ms: { label: "Average handle time", short: "AHT", show: duration, want: "most", ratio: true },
  occupancy: { label: "Occupancy", show: percent, want: "range", ratio: true },
  longest_wait_ms: { label: "Longest wait", show: duration, want: "most" },
  waiting: { label: "Waiting now", short: "Waiting", show: integer },
  waiting_past_threshold: { label: "Waiting past T", show: integer },
  in_service: { label: "In service now", short: "In service", show: integer },
  offered: { label: "Offered", show: integer },
  answered: { label: "Answered", show: integer },
  abandoned: { label: "Abandoned", show: integer },
};

export const LEVELS = { on: "On target", near: "Near target", off: "Off target", none: "" };
const RANK = { off: 2, near: 1, on: 0, none: 0 };

// A target missed by no more than this part of itself is near, else off.
const NEAR = 0.1;
// Below this the difference of two doubles is noise, not a miss.
const EXACT = 1e-12;

// How far a value misses its target, as a part of the target: 0 or less is met; null has no say.
function missOf(kpi, value, target) {
  if (value == null || target == null) return null;
  const { want } = KPIS[kpi];
  if (want === "range") {
    const [low, high] = target;
    return Math.max((low - value) / (low || 1), (value - high) / (high || 1));
  }
  const by = want === "least" ? target - value : value - target;
  return by / (target || 1);
}

export function judge(kpi, value, target) {
  const miss = missOf(kpi, value, target);
  if (miss == null) return { level: "none", miss: 0 };
  if (miss <= EXACT) return { level: "on", miss: 0 };
  return { level: miss <= NEAR + EXACT ? "near" : "off", miss };
}

export function targetText(kpi, target) {
  if (target == null) return "";
  const { want, show } = KPIS[kpi];
  const plain = show === duration ? span : (x) => `${Number((x * 100).toFixed(2))} %`;
  if (want === "range") return `${plain(target[0]).replace(" %", "")}–${plain(target[1])}`;
  return `${want === "least" ? "≥" : "≤"} ${plain(target)}`;
}

// What makes a queue bad, in the order in which a supervisor would ask: what those who call notice.
// Handle time is not among them: an idle queue of long calls must not stand above one where people wait.
const URGENT = ["service_level", "longest_wait_ms", "abandonment", "asa_ms"];

export function judgeQueue(row) {
  let level = "none";
  let urgent = "none";
  let miss = 0;
  const few = row.answered + row.abandoned < row.min_volume;
  for (const kpi of URGENT) {
    const verdict = judge(kpi, row[kpi], row.targets[kpi]);
    level = worse(level, verdict.level);
    // One of two calls missed is marked, and yet ranks no queue above one with many.
    if (few && KPIS[kpi].ratio) continue;
    urgent = worse(urgent, verdict.level);
    // One KPI far off must not outweigh three that are off.
    miss += Math.min(verdict.miss, 2);
  }
  return { level, urgent, miss };
}

function worse(level, other) {
  return other !== "none" && (level === "none" || RANK[other] > RANK[level]) ? other : level;
}

// What a queue misses, in words: "service level 20.0 % (≥ 80 %), ASA 0:36 (≤ 30 s)".
export function missesOf(row) {
  const missed = URGENT.filter((kpi) => judge(kpi, row[kpi], row.targets[kpi]).miss > 0);
  const word = (kpi) => KPIS[kpi].short ?? KPIS[kpi].label.toLowerCase();
  return missed.map((kpi) => `${word(kpi)} ${KPIS[kpi].show(row[kpi], row.targets[kpi])} (${targetText(kpi, row.targets[kpi])})`).join(", ");
}

export function worstFirst(a, b) {
  return (
    RANK[b.verdict.urgent] - RANK[a.verdict.urgent] ||
    b.verdict.miss - a.verdict.miss ||
    RANK[b.verdict.level] - RANK[a.verdict.level] ||
    b.waiting_past_threshold - a.waiting_past_threshold ||
    b.waiting - a.waiting ||
    (a.service_level ?? 2) - (b.service_level ?? 2) ||
    byName(a, b)
  );
}

export const byName = (a, b) =>
  a.name.localeCompare(b.name) || a.queue.localeCompare(b.queue) || a.channel.localeCompare(b.channel);

// One flat row for each queue and channel in a window; waits count up to the site's `now`.
export function queueRows(board, window, now) {
  const rows = [];
  for (const [queue, channels] of Object.entries(board.queues ?? {})) {
    for (const [channel, entry] of Object.entries(channels)) {
      const row = flat(entry.now, entry.windows[window], entry, now);
      const several = Object.keys(channels).length > 1;
      rows.push(Object.assign(row, { queue, channel, several, key: `${queue}\u0000${channel}`, name: entry.name || queue }));
      row.verdict = judgeQueue(row);
    }
  }
  return rows;
}

export function allRow(board, window, now) {
  const { queues } = board.all;
  const row = flat(queues.now, queues.windows[window], board, now);
  const own = Object.values(board.queues ?? {}).flatMap((channels) => Object.values(channels));
  // Each queue counts by its own threshold; a sum of several has none to name.
  if (own.some(({ threshold_ms: other }) => other !== row.threshold_ms)) row.threshold_ms = null;
  return row;
}

function flat(present, figures, { formula, threshold_ms, min_volume, targets }, now) {
  const since = present.longest_since;
  return {
    ...figures,
    ...present,
    since,
    longest_wait_ms: since == null ? null : Math.max(present.longest_wait_ms, now - since),
    formula,
    threshold_ms,
    min_volume: min_volume ?? 0,
    targets: targets ?? {},
  };
}

// The formula of a KPI in words, T replaced by the threshold in force.
export function formulaText(board, kpi, row) {
  const text = kpi === "service_level" ? board.formulas[row.formula] : board.formulas[kpi];
  return (text ?? "").replace(/\bT\b/g, row.threshold_ms == null ? "the queue’s threshold" : span(row.threshold_ms));
}

// "312 / 374 = 83.4 %", "4:12:07 / 350 = 0:43".
export function quotient(kpi, row, target) {
  const parts = row.parts?.[kpi];
  if (!parts) return "";
  const [n, d] = parts;
  const times = kpi === "occupancy" || KPIS[kpi].show === duration;
  const above = times ? duration(n) : integer(n);
  const below = kpi === "occupancy" ? duration(d) : integer(d);
  const result = d ? KPIS[kpi].show(row[kpi], target) : "no data";
  return `${above} / ${below} = ${result}`;
}
