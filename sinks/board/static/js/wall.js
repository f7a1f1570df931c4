// The wall: eleven tiles for a screen across the room, the worst queues among them.

import { h, keyed, setData, setText } from "./dom.js";
import { STATES, WINDOWS, duration, integer, percent } from "./format.js";
import { KPIS, LEVELS, allRow, formulaText, judge, judgeQueue, missesOf, queueRows, quotient, targetText, worstFirst } from "./kpi.js";
import { chip, numberInto, setChip, setFigure } from "./mark.js";
import { Trend, trendWords } from "./trend.js";

// Reading order; `also` names the two lines under the number.
const TILES = [
  { kpi: "service_level", area: "sl", also: "window", big: true },
  { kpi: "waiting", area: "wa", also: "past", big: true },
  { kpi: "longest_wait_ms", area: "lw", also: "where", big: true },
  { kpi: "offered", area: "of", also: "counts" },
  { kpi: "abandonment", area: "ab", also: "window" },
  { kpi: "asa_ms", area: "as", also: "window" },
  { kpi: "aht_ms", area: "ah", also: "window" },
  { kpi: "occupancy", area: "oc", also: "window" },
];

const RERANK_MS = 3000;
const SCROLLS = matchMedia("(max-width: 1099px)");

export class Wall {
  constructor() {
    this.tiles = TILES.map((spec) => new Tile(spec));
    this.queues = new WorstQueues();
    this.agents = new AgentStates();
    this.trend = new TrendTile();
    this.node = h("div", { class: "wall" }, ...this.tiles.map((tile) => tile.node), this.queues.node, this.agents.node, this.trend.node);
  }

  render(view) {
    const { board, window, now } = view;
    const rows = queueRows(board, window, now);
    const all = withOccupancy(board, window, allRow(board, window, now));
    const other = window === "today" ? "30m" : "today";
    const beside = withOccupancy(board, other, allRow(board, other, now));
    for (const tile of this.tiles) tile.render({ ...view, rows, all, beside, other });
    this.queues.render(view, rows);
    this.agents.render(view);
    this.trend.render(view);
  }
}

function withOccupancy(board, window, row) {
  const team = board.all.windows[window];
  const ranges = Object.values(board.teams ?? {}).map((entry) => entry.occupancy_target).filter(Boolean);
  const same = ranges.length > 0 && ranges.every((range) => String(range) === String(ranges[0]));
  return {
    ...row,
    occupancy: team.occupancy,
    parts: { ...row.parts, ...team.parts },
    targets: { ...row.targets, occupancy: same ? ranges[0] : null },
  };
}

class Tile {
  constructor(spec) {
    this.spec = spec;
    const id = `t-${spec.area}`;
    this.value = h("data", { id: `${id}-n` });
    this.chip = chip();
    this.chip.id = `${id}-c`;
    this.formula = spec.kpi === "service_level" ? h("p", { class: "formula", id: `${id}-w` }) : null;
    this.window = spec.kpi === "offered" || spec.kpi === "service_level" ? h("span", { class: "note win" }) : null;
    this.target = h("span", {});
    this.beside = h("span", {});
    const { label, short } = KPIS[spec.kpi];
    const title = spec.kpi === "waiting" ? label : (short ?? label);
    this.node = h(
      "section",
      { class: `tile ${spec.big ? "big" : "small"} area-${spec.area}`, tabindex: "0", role: "group", "aria-labelledby": `${id}-l ${id}-n ${id}-c ${id}-f`, data: { tile: spec.kpi } },
      h("div", { class: "top" }, h("h2", { id: `${id}-l` }, title), this.window, this.chip),
      this.formula,
      h("p", { class: "n" }, this.value),
      h("p", { class: "foot", id: `${id}-f` }, this.target, this.beside),
    );
    this.node.tip = () => this.explain();
  }

  render(view) {
    this.view = view;
    const { all, window, board } = view;
    const { kpi, also } = this.spec;
    const target = all.targets[kpi];
    const { level } = judge(kpi, all[kpi], target);
    numberInto(this.value, KPIS[kpi].show(all[kpi], target));
    Object.assign(this.value.dataset, { scope: "all", kpi, window });
    setData(this.value, "value", all[kpi]);
    setData(this.node, "level", level);
    setChip(this.chip, level);
    if (this.formula) setText(this.formula, formulaText(board, kpi, all));
    if (this.window) setText(this.window, WINDOWS[window].label);
    const [left, right] = BESIDE[also](view, kpi, target == null ? "" : `Target ${targetText(kpi, target)}`);
    setText(this.target, left);
    setText(this.beside, right);
  }

  explain() {
    if (!this.view) return [];
    const { all, board, window, asOf } = this.view;
    const { kpi } = this.spec;
    const target = all.targets[kpi];
    const { level } = judge(kpi, all[kpi], target);
    const name = kpi === "service_level" ? ` by ${all.formula}` : "";
    return [
      ["head", `${KPIS[kpi].label}${name}, ${isPresent(kpi) ? "now" : WINDOWS[window].text}`],
      ["", formulaText(board, kpi, all) || COUNTED[kpi]],
      ["sum", quotient(kpi, all, target)],
      ["", target == null ? "No target is set." : `Target ${targetText(kpi, target)}: ${LEVELS[level].toLowerCase() || "no data"}.`],
      ["faint", asOf],
    ];
  }
}

const isPresent = (kpi) => kpi === "waiting" || kpi === "longest_wait_ms";

const COUNTED = { offered: "contacts that began to wait in a queue" };

const BESIDE = {
  window: ({ beside, other }, kpi, target) => [target, `${other === "today" ? "Today" : "30 min"} ${KPIS[kpi].show(beside[kpi])}`],
  past: ({ all }) => [`${integer(all.waiting_past_threshold)} past threshold`, `${integer(all.in_service)} in service`],
  counts: ({ all }) => [`${integer(all.answered)} answered`, `${integer(all.abandoned)} abandoned`],
  where: ({ rows }, kpi, target) => {
    const waiting = rows.filter((row) => row.since != null);
    const first = waiting.sort((a, b) => a.since - b.since)[0];
    return [target, first ? first.name : "nobody waits"];
  },
};

class WorstQueues {
  constructor() {
    this.count = h("span", { class: "note" });
    this.body = h("tbody", {});
    const heads = ["Queue", "Service level", "Waiting", "Longest", "Abandoned"];
    this.table = h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((text) => h("th", { scope: "col" }, text)))), this.body);
    this.frame = h("div", { class: "rows" }, this.table);
    this.node = h("section", { class: "tile area-qu", tabindex: "0", role: "group", "aria-label": "Queues, worst first", data: { tile: "queues" } }, h("div", { class: "top" }, h("h2", {}, "Queues, worst first"), this.count), this.frame);
    this.node.tip = () => this.explain();
    this.order = new Map();
    this.ranked = -Infinity;
    new ResizeObserver(() => this.view && this.fill()).observe(this.frame);
  }

  render(view, rows) {
    this.view = view;
    const here = performance.now();
    // Rows that swap places each second cannot be read from across a room.
    if (here - this.ranked > RERANK_MS || rows.length !== this.order.size || view.window !== this.window) {
      this.ranked = here;
      this.window = view.window;
      this.order = new Map([...rows].sort(worstFirst).map((row, i) => [row.key, i]));
    }
    this.rows = rows.sort((a, b) => (this.order.get(a.key) ?? 1e9) - (this.order.get(b.key) ?? 1e9));
    this.fill();
  }

  fill() {
    const show = (count) => keyed(this.body, this.rows.slice(0, count), (row) => row.key, worstRow, fillWorstRow);
    // How tall a row is shows only once there is one.
    if (!this.body.firstElementChild) show(1);
    show(this.fits());
    const shown = this.body.childElementCount;
    const all = this.rows.length;
    const off = this.rows.filter((row) => row.verdict.level === "off").length;
    const hidden = shown < all ? `, ${shown} shown` : "";
    setText(this.count, all ? `${off || "none"} of ${all} off target${hidden}` : "no queues yet");
  }

  // On a wall, as many rows as there is room for; where the page scrolls anyway, a handful.
  fits() {
    if (SCROLLS.matches) return 6;
    const room = this.frame.clientHeight - this.table.tHead.offsetHeight;
    const tall = this.body.firstElementChild?.offsetHeight || room;
    return Math.max(3, Math.min(12, Math.floor((room + 1) / tall)));
  }

  explain() {
    if (!this.view) return [];
    const { board, asOf, window } = this.view;
    const bad = this.rows.filter((row) => missesOf(row)).slice(0, 3);
    const lines = bad.map((row) => ["sum", `${row.name}: ${missesOf(row)}`]);
    return [
      ["head", `Worst queues first, ${WINDOWS[window].text}`],
      ["", "By how far service level, longest wait, abandonment and ASA miss their targets; then by who waits."],
      ...lines,
      ["", `Service level: ${board.formulas.service_level}`],
      ["", `Abandoned: ${board.formulas.abandonment}`],
      ["faint", asOf],
    ];
  }
}

function worstRow() {
  const mark = chip("mark");
  const name = h("span", {});
  const cells = { sl: h("td", {}), waiting: h("td", {}), longest: h("td", {}), abandonment: h("td", {}) };
  const node = h("tr", {}, h("th", { scope: "row" }, mark, name), ...Object.values(cells));
  return Object.assign(node, { mark, label: name, cellsOf: cells });
}

function fillWorstRow(node, row) {
  const { sl, waiting, longest, abandonment } = node.cellsOf;
  setChip(node.mark, row.verdict.level);
  setText(node.label, row.several ? `${row.name} · ${row.channel}` : row.name);
  figure(sl, row, "service_level", percent);
  figure(waiting, row, "waiting", integer);
  figure(longest, row, "longest_wait_ms", duration);
  figure(abandonment, row, "abandonment", percent);
}

function figure(cell, row, kpi, show) {
  const target = row.targets[kpi];
  setFigure(cell, show(row[kpi], target), judge(kpi, row[kpi], target).level);
}

const SHOWN = ["talk", "hold", "wrap", "busy", "ringing", "available", "not_ready"];

class AgentStates {
  constructor() {
    this.total = h("data", {});
    this.bar = h("div", { class: "stack", "aria-hidden": "true" });
    this.list = h("dl", { class: "states" });
    this.parts = SHOWN.map((state) => {
      const count = h("dd", {}, "0");
      const slice = h("span", { class: `s-${state}` });
      const line = h("div", { data: { state } }, h("dt", {}, h("span", { class: `swatch s-${state}` }), STATES[state]), count);
      this.bar.append(slice);
      this.list.append(line);
      return { state, count, slice, line };
    });
    this.node = h("section", { class: "tile area-ag", tabindex: "0", role: "group", "aria-label": "Agents by state", data: { tile: "agents" } }, h("div", { class: "top" }, h("h2", {}, "Agents"), h("span", { class: "note" }, "logged on")), h("p", { class: "n" }, this.total), this.bar, this.list);
    this.node.tip = () => this.explain();
  }

  render(view) {
    this.view = view;
    const { agents } = view.board.all;
    let total = 0;
    for (const { state, count, slice, line } of this.parts) {
      const n = agents[state] ?? 0;
      total += n;
      setText(count, integer(n));
      Object.assign(count.dataset, { scope: "all", state });
      setData(count, "value", n);
      setData(line, "none", n ? "" : "1");
      slice.style.flexGrow = n;
      slice.hidden = !n;
    }
    numberInto(this.total, integer(total));
    setData(this.total, "value", total);
  }

  explain() {
    if (!this.view) return [];
    const { board, window, asOf } = this.view;
    const figures = board.all.windows[window];
    return [
      ["head", "Agents by state, now"],
      ["", "Each agent once, in the strongest of: talk, hold, wrap-up, then what the platform says; ringing replaces available."],
      ["", `Occupancy: ${board.formulas.occupancy}`],
      ["sum", quotient("occupancy", { ...figures }, null)],
      ["faint", asOf],
    ];
  }
}

class TrendTile {
  constructor() {
    this.trend = new Trend();
    const key = (kind, text) => h("span", { class: "key" }, h("span", { class: `box ${kind}` }), text);
    this.words = h("p", { class: "vh" });
    this.node = h("section", { class: "tile area-tr", tabindex: "0", role: "group", "aria-label": "Last hour, contacts a minute", data: { tile: "trend" } }, h("div", { class: "top" }, h("h2", {}, "Last hour, contacts a minute"), h("span", { class: "keys" }, key("in-time", "in time"), key("late", "later"), key("gave-up", "abandoned"))), this.words, this.trend.node);
    this.node.tip = () => this.explain();
  }

  render(view) {
    this.view = view;
    const { trend, time_zone: zone } = view.board;
    if (!trend?.all) return;
    this.trend.draw({ start: trend.start, step_ms: trend.step_ms, all: trend.all }, zone);
    setText(this.words, trendWords(trend));
  }

  explain() {
    if (!this.view?.board.trend?.all) return [];
    return [
      ["head", "Last hour, by the minute"],
      ["", "Bars: contacts answered within the threshold, answered later, abandoned. Below: how many waited at the end of the minute."],
      ["sum", trendWords(this.view.board.trend)],
      ["faint", this.view.asOf],
    ];
  }
}

export function overall(board, window, now) {
  const row = allRow(board, window, now);
  return { row, verdict: judgeQueue(row) };
}
