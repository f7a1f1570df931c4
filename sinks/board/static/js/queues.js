// The queue table for a supervisor's laptop: every queue and channel in one window, worst first.

import { h, keyed, setData, setText } from "./dom.js";
import { WINDOWS, integer, span } from "./format.js";
import { KPIS, LEVELS, allRow, byName, formulaText, judge, judgeQueue, queueRows, quotient, targetText, worstFirst } from "./kpi.js";
import { spark } from "./trend.js";
import { chip, setChip, setFigure } from "./mark.js";

const HOLD_MS = 10_000;
const COLUMNS = ["service_level", "waiting", "longest_wait_ms", "in_service", "offered", "answered", "abandoned", "abandonment", "asa_ms", "aht_ms"];
// The direction that brings the interesting end to the top.
const ASCENDING = new Set(["service_level", "name"]);

export class Queues {
  constructor() {
    this.sort = { by: "worst", ascending: false };
    this.needle = "";
    this.heldUntil = -Infinity;
    this.build();
    // A row must not slip away under a pointer or a finger; a pointer left lying holds nothing.
    const hold = () => {
      this.heldUntil = performance.now() + HOLD_MS;
    };
    for (const event of ["pointermove", "focusin", "keydown"]) this.frame.addEventListener(event, hold);
    this.frame.addEventListener("pointerleave", () => (this.heldUntil = -Infinity));
  }

  build() {
    this.note = h("p", { class: "note" });
    this.choice = h("select", { id: "sort", onchange: () => this.sortBy(this.choice.value) }, h("option", { value: "worst" }, "Worst first"), h("option", { value: "name" }, "Name"), ...COLUMNS.map((kpi) => h("option", { value: kpi }, KPIS[kpi].label)));
    this.search = h("input", { id: "queue-filter", type: "search", placeholder: "Filter queues", "aria-label": "Filter queues", oninput: () => this.filter() });
    this.heads = new Map();
    const head = (by, text) => {
      const button = h("button", { type: "button", onclick: () => this.sortBy(by, true) }, text);
      const cell = h("th", { scope: "col", role: "columnheader", class: `c-${by}` }, button);
      button.tip = () => this.explainColumn(by);
      this.heads.set(by, cell);
      return cell;
    };
    const plain = (text, kind) => h("th", { scope: "col", role: "columnheader", class: `c-${kind}` }, text);
    this.all = queueRow(this, true);
    this.total = h("tbody", { role: "rowgroup", class: "all" }, this.all);
    this.body = h("tbody", { role: "rowgroup" });
    const columns = COLUMNS.map((kpi) => head(kpi, KPIS[kpi].short ?? KPIS[kpi].label));
    this.table = h(
      "table",
      { role: "table", class: "queues", "aria-label": "Queues" },
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, head("name", "Queue"), plain("Channel", "channel"), columns[0], plain("Target", "target"), ...columns.slice(1), plain("Last hour", "spark"))),
      this.total,
      this.body,
    );
    this.frame = h("div", { class: "frame" }, this.table);
    this.node = h("div", { class: "page" }, h("div", { class: "tools" }, h("h2", {}, "Queues"), this.note, h("label", { for: "sort" }, "Sort ", this.choice), this.search), this.frame);
  }

  sortBy(by, toggle = false) {
    const same = this.sort.by === by;
    this.sort = { by, ascending: same && toggle ? !this.sort.ascending : ASCENDING.has(by) };
    this.choice.value = by;
    this.order = null;
    if (this.view) this.render(this.view);
  }

  filter() {
    this.needle = this.search.value.trim().toLowerCase();
    if (this.view) this.render(this.view);
  }

  render(view) {
    this.view = view;
    const { board, window, now } = view;
    const rows = queueRows(board, window, now);
    const all = allRow(board, window, now);
    all.verdict = judgeQueue(all);
    fillRow(this.all, { ...all, name: "All queues", queue: null, channel: null }, window, null);
    const seen = this.needle ? rows.filter((row) => `${row.name} ${row.queue} ${row.channel}`.toLowerCase().includes(this.needle)) : rows;
    const sorted = this.arrange(seen);
    const sparks = board.trend?.queues ?? {};
    keyed(this.body, sorted, (row) => row.key, () => queueRow(this, false), (node, row) => fillRow(node, row, window, sparks[row.queue]));
    this.markHeads();
    const off = rows.filter((row) => row.verdict.level === "off").length;
    const count = seen.length === rows.length ? integer(rows.length) : `${integer(seen.length)} of ${integer(rows.length)}`;
    setText(this.note, rows.length ? `${count} ${rows.length === 1 ? "queue" : "queues"} · ${off ? `${off} off target` : "none off target"} · ${WINDOWS[window].text}` : "No queue has had a contact yet.");
  }

  arrange(rows) {
    if (performance.now() < this.heldUntil && this.order) {
      const place = (row) => this.order.get(row.key) ?? 1e9;
      return rows.sort((a, b) => place(a) - place(b));
    }
    rows.sort(comparer(this.sort));
    this.order = new Map(rows.map((row, i) => [row.key, i]));
    return rows;
  }

  markHeads() {
    for (const [by, cell] of this.heads) {
      const active = by === this.sort.by;
      const value = active ? (this.sort.ascending ? "ascending" : "descending") : null;
      if (cell.getAttribute("aria-sort") === value) continue;
      if (value) cell.setAttribute("aria-sort", value);
      else cell.removeAttribute("aria-sort");
    }
  }

  explainColumn(by) {
    if (by === "name" || !this.view) return [["", "Sort by name"]];
    const { board } = this.view;
    const text = by === "service_level" ? board.formulas.service_level : board.formulas[by];
    return [
      ["head", KPIS[by].label],
      ["", text ?? COUNTS[by] ?? ""],
      ["faint", `Sort by ${KPIS[by].label.toLowerCase()}`],
    ];
  }

  explainRow(row) {
    if (!this.view) return [];
    const { board, window, asOf } = this.view;
    const past = row.waiting_past_threshold;
    const ratios = ["service_level", "abandonment", "asa_ms", "aht_ms"].map((kpi) => {
      const target = row.targets[kpi];
      const aim = target == null ? "" : `; target ${targetText(kpi, target)}`;
      return ["sum", `${KPIS[kpi].short ?? KPIS[kpi].label} ${quotient(kpi, row, target)}${aim}`];
    });
    return [
      ["head", `${row.name}${row.channel ? `, ${row.channel}` : ""}, ${WINDOWS[window].text}`],
      ["", `Service level by ${row.formula}: ${formulaText(board, "service_level", row)}`],
      ...ratios,
      ["", past ? `${integer(past)} of ${integer(row.waiting)} waiting are past ${span(row.threshold_ms)}.` : ""],
      ["", LEVELS[row.verdict.level]],
      ["faint", asOf],
    ];
  }
}

const COUNTS = {
  offered: "contacts that began to wait in the window",
  answered: "contacts answered in the window",
  abandoned: "contacts that gave up waiting in the window",
};

function comparer({ by, ascending }) {
  if (by === "worst") return worstFirst;
  const sign = ascending ? 1 : -1;
  if (by === "name") return (a, b) => sign * byName(a, b);
  return (a, b) => {
    // No data is neither best nor worst: it goes last in both directions.
    if (a[by] == null || b[by] == null) return (a[by] == null) - (b[by] == null) || byName(a, b);
    return sign * (a[by] - b[by]) || byName(a, b);
  };
}

function queueRow(table, all) {
  const cells = {};
  const mark = chip("mark");
  const label = h("button", { type: "button", class: "name" }, "");
  const name = h("th", { scope: "row", role: "rowheader", class: "c-name" }, h("div", {}, mark, label));
  const cell = (kind, text) => {
    const node = h("td", { role: "cell", class: `c-${kind}`, data: { label: text } });
    cells[kind] = node;
    return node;
  };
  const figures = COLUMNS.map((kpi) => cell(kpi, KPIS[kpi].short ?? KPIS[kpi].label));
  const node = h("tr", { role: "row" }, name, cell("channel", "Channel"), figures[0], cell("target", "Target"), ...figures.slice(1), cell("spark", "Last hour"));
  Object.assign(node, { mark, label, figures: cells, row: null });
  label.tip = () => (node.row ? table.explainRow(node.row) : []);
  if (all) node.dataset.all = "";
  return node;
}

function fillRow(node, row, window, trend) {
  node.row = row;
  const { figures } = node;
  setChip(node.mark, row.verdict.level);
  setText(node.label, row.name);
  setText(figures.channel, row.channel ?? "");
  setText(figures.target, row.targets.service_level == null ? "" : `${Number((row.targets.service_level * 100).toFixed(1))} %`);
  for (const kpi of COLUMNS) fillFigure(figures[kpi], row, kpi, window);
  spark(figures.spark, trend?.offered);
}

function fillFigure(cell, row, kpi, window) {
  const target = row.targets[kpi];
  setFigure(cell, KPIS[kpi].show(row[kpi], target), judge(kpi, row[kpi], target).level);
  setData(cell, "kpi", kpi);
  setData(cell, "window", window);
  setData(cell, "scope", row.queue == null ? "all" : "queue");
  if (row.queue != null) {
    setData(cell, "queue", row.queue);
    setData(cell, "channel", row.channel);
  }
  setData(cell, "value", row[kpi]);
}
