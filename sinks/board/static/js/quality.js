// What customers say, and whether they come back: five figures of the site, then queues and teams.
// The store counts them and the sink brings them, so they have an age of their own.

import { h, icon, keyed, setData, setText } from "./dom.js";
import { DAYS, age, integer, mean, percent, points, timeOfDay } from "./format.js";
import { numberInto, setFigure } from "./mark.js";

// The sink asks every minute, a large store is asked less often.
const OLD_MS = 300_000;
const DAY_MS = 86_400_000;

const CARDS = [
  {
    kpi: "csat",
    label: "Satisfaction",
    short: "CSAT",
    show: percent,
    n: "csat_n",
    formula: "answers of 4 and 5 / answers, of 1 to 5",
    foot: (f) => `${answers(f.csat_n)} · mean ${mean(f.csat_mean)}`,
    sum: (f) => `${integer(f.csat_top)} / ${integer(f.csat_n)}`,
  },
  {
    kpi: "nps",
    label: "Recommendation",
    short: "NPS",
    show: points,
    n: "nps_n",
    formula: "100 × (promoters 9–10 − detractors 0–6) / answers, of 0 to 10",
    foot: (f) => answers(f.nps_n),
    sum: (f) => `100 × (${integer(f.nps_promoters)} − ${integer(f.nps_detractors)}) / ${integer(f.nps_n)}`,
  },
  {
    kpi: "ces",
    label: "Effort",
    short: "CES",
    show: mean,
    n: "ces_n",
    formula: "mean of the answers, of 1 to 7; 7 is least effort",
    foot: (f) => `${answers(f.ces_n)} · easy ${percent(f.ces_easy_share)}`,
    sum: (f) => `${integer(f.ces_sum)} / ${integer(f.ces_n)}`,
  },
  {
    kpi: "fcr_declared",
    label: "Resolved, declared",
    short: "FCR declared",
    show: percent,
    n: "declared_n",
    formula: "contacts said to be resolved / contacts of which it was said, by the customer or else by the help desk",
    foot: (f) => contacts(f.declared_n),
    sum: (f) => `${integer(f.declared_resolved)} / ${integer(f.declared_n)}`,
  },
  {
    kpi: "fcr_repeat",
    label: "No repeat contact",
    short: "FCR by repeat",
    show: percent,
    n: "repeat_n",
    formula: "handled contacts whose customer has not come back within the repeat window / handled contacts of known customers",
    foot: (f) => contacts(f.repeat_n),
    sum: (f) => `(${integer(f.repeat_n)} − ${integer(f.repeat_repeated)}) / ${integer(f.repeat_n)}`,
    open: (f) => f.repeat_provisional,
  },
];

const counted = (n, one, many) => `${integer(n)} ${n === 1 ? one : many}`;
const answers = (n) => counted(n, "answer", "answers");
const contacts = (n) => counted(n, "contact", "contacts");

export class Quality {
  constructor() {
    this.note = h("p", { class: "note" });
    this.choices = Object.entries(DAYS).map(([name, { label, text }]) => this.choice(name, label, text));
    this.old = h("p", { class: "q-old", hidden: true }, icon("warn"), h("span", {}));
    this.cards = CARDS.map((card) => this.card(card));
    this.queues = table("Queues", ["Queue", "Channel"]);
    this.teams = table("Teams", ["Team"]);
    this.left = h("p", { class: "note" });
    const days = h("fieldset", { class: "q-days" }, h("legend", { class: "vh" }, "Time of the figures"), ...this.choices.map(({ node }) => node));
    this.node = h(
      "div",
      { class: "page quality" },
      h("div", { class: "tools" }, h("h2", {}, "Quality"), this.note, days),
      this.old,
      h("div", { class: "q-cards" }, ...this.cards.map(({ node }) => node)),
      this.queues.node,
      this.teams.node,
      this.left,
    );
  }

  choice(name, label, text) {
    const button = h("button", { type: "button", title: text, data: { days: name }, onclick: () => this.view?.choose(name) }, label);
    return { name, button, node: button };
  }

  card(card) {
    const value = h("data", {});
    const foot = h("p", { class: "foot" });
    const open = h("p", { class: "q-open" });
    const node = h("section", { class: "tile", tabindex: "0", data: { tile: card.kpi } }, h("h3", {}, card.label, h("span", {}, card.short)), h("div", { class: "n" }, value), foot, card.open ? open : null);
    node.tip = () => this.explain(card);
    return { ...card, node, value, footNode: foot, openNode: open };
  }

  render(view) {
    this.view = view;
    const { board, days } = view;
    const said = board.quality?.windows?.[days];
    for (const { name, button } of this.choices) button.setAttribute("aria-pressed", String(name === days));
    this.renderAge(said);
    const all = said?.all ?? {};
    for (const card of this.cards) fillCard(card, all, Boolean(said));
    const names = board.queue_names ?? {};
    const queues = Object.entries(said?.queues ?? {}).flatMap(([queue, channels]) => Object.entries(channels).map(([channel, figures]) => ({ key: `${queue}\u0000${channel}`, heads: [queue ? (names[queue] ?? queue) : "No queue known", channel], figures })));
    fillTable(this.queues, queues);
    const teams = Object.entries(said?.teams ?? {}).map(([team, figures]) => ({ key: `t${team}`, heads: [board.team_names?.[team] || team || "No team"], figures }));
    fillTable(this.teams, teams);
    setText(this.left, [all.unmatched ? `${answers(all.unmatched)} about contacts the store does not know count for the site only.` : "", said?.left_out ? `${integer(said.left_out)} queues and teams with few contacts are left out; the store has them.` : ""].filter(Boolean).join(" "));
  }

  renderAge(said) {
    const { board, days, pace } = this.view;
    const old = said ? Math.max(0, board.at - said.at) / pace : null;
    const stale = old == null || old > OLD_MS;
    setData(this.node, "old", stale ? "1" : "");
    setText(this.note, said ? `${DAYS[days].text} · counted by the store at ${moment(said.at, board)}, ${longAge(old)} ago` : DAYS[days].text);
    this.old.hidden = !stale;
    setText(this.old.lastChild, said ? `These figures are ${longAge(old)} old. The store does not answer, or is behind.` : "The store has not said anything about this time yet.");
  }

  explain({ label, short, formula, sum, kpi, show, open }) {
    if (!this.view) return [];
    const { board, days } = this.view;
    const said = board.quality?.windows?.[days];
    const all = said?.all;
    return [
      ["head", `${label} (${short}), ${DAYS[days].text}`],
      ["", `= ${formula}`],
      ["sum", all ? `${sum(all)} = ${all[kpi] == null ? "no data" : show(all[kpi])}` : ""],
      ["", open && all?.repeat_n ? `${integer(all.repeat_resolved)} resolved, ${integer(all.repeat_repeated)} repeated, ${integer(all.repeat_provisional)} open: their repeat window lasts, so the figure may still fall.` : ""],
      ["", open && all?.fcr_repeat_final != null ? `Of contacts whose window has passed: ${percent(all.fcr_repeat_final)}` : ""],
      ["faint", said ? `As of ${moment(said.at, board)}.` : ""],
    ];
  }
}

// With the day, once it is another than the site's.
function moment(ms, board) {
  const time = timeOfDay(ms, board.time_zone);
  return board.at - ms < DAY_MS / 2 ? time : `${new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: board.time_zone }).format(ms)} ${time}`;
}

function longAge(ms) {
  const hours = Math.floor(ms / 3_600_000);
  if (hours < 2) return age(ms);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} days`;
}

function fillCard({ kpi, show, foot, open, node, value, footNode, openNode }, figures, known) {
  numberInto(value, show(figures[kpi]));
  setData(value, "kpi", kpi);
  setData(value, "value", figures[kpi]);
  setText(footNode, known ? foot(figures) : "no data");
  if (!open) return;
  const provisional = known ? open(figures) : 0;
  setData(node, "provisional", provisional ? "1" : "");
  setText(openNode, provisional ? `Provisional: ${integer(provisional)} open` : "");
}

function table(title, heads) {
  const body = h("tbody", { role: "rowgroup" });
  const columns = CARDS.map(({ short }) => h("th", { scope: "col", role: "columnheader" }, short));
  const names = heads.map((text, i) => h("th", { scope: "col", role: "columnheader", class: i ? "c-channel" : "c-name" }, text));
  const made = h("table", { role: "table", class: "q-table", "aria-label": title }, h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...names, ...columns)), body);
  const node = h("div", { class: "frame" }, made);
  return { node, body, heads };
}

function fillTable({ node, body, heads }, rows) {
  node.hidden = !rows.length;
  rows.sort((a, b) => b.figures.repeat_n + b.figures.declared_n + b.figures.csat_n - a.figures.repeat_n - a.figures.declared_n - a.figures.csat_n || a.heads[0].localeCompare(b.heads[0], "en", { numeric: true }));
  keyed(body, rows, ({ key }) => key, () => tableRow(heads), fillRow);
}

function tableRow(heads) {
  const names = heads.map((_, i) => (i ? h("td", { role: "cell", class: "c-channel" }) : h("th", { scope: "row", role: "rowheader", class: "c-name" })));
  const figures = CARDS.map(({ kpi, short }) => {
    const value = h("span", { class: "q-v" });
    const n = h("span", { class: "q-n" });
    return { kpi, value, n, cell: h("td", { role: "cell", data: { label: short } }, value, n) };
  });
  const node = h("tr", { role: "row" }, ...names, ...figures.map(({ cell }) => cell));
  return Object.assign(node, { names, figures });
}

function fillRow(node, { key, heads, figures }) {
  setData(node, "key", key);
  node.names.forEach((cell, i) => setText(cell, heads[i]));
  node.figures.forEach(({ kpi, value, n, cell }, i) => {
    const card = CARDS[i];
    const text = card.show(figures[kpi]);
    const provisional = card.open?.(figures);
    setFigure(value, text, "none");
    setData(cell, "provisional", provisional ? "1" : "");
    setData(cell, "kpi", kpi);
    setData(cell, "value", figures[kpi]);
    setText(n, `n ${integer(figures[card.n])}${provisional ? `, ${integer(provisional)} open` : ""}`);
  });
}
