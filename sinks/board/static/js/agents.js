// The agent list: who does what, for how long; by team and by state.

import { h, icon, keyed, setData, setIcon, setText } from "./dom.js";
import { STATES, WINDOWS, duration, integer, percent } from "./format.js";
import { judge, quotient, targetText } from "./kpi.js";
import { chip, setChip } from "./mark.js";

const ORDER = Object.keys(STATES);
// More rows than anybody reads; the page says what it leaves out.
const MOST_ROWS = 400;

export class Agents {
  constructor() {
    this.states = new Set();
    this.team = null;
    this.needle = "";
    this.sort = "state";
    this.build();
  }

  build() {
    this.note = h("p", { class: "note" });
    this.search = h("input", { id: "agent-filter", type: "search", placeholder: "Find an agent", "aria-label": "Find an agent", oninput: () => this.again(() => (this.needle = this.search.value.trim().toLowerCase())) });
    this.choice = h("select", { id: "agent-sort", onchange: () => this.again(() => (this.sort = this.choice.value)) }, h("option", { value: "state" }, "State, then longest"), h("option", { value: "longest" }, "Longest in state"), h("option", { value: "name" }, "Name"));
    this.filters = ORDER.map((state) => this.stateFilter(state));
    this.teams = h("ul", { class: "teams" });
    this.body = h("tbody", {});
    const heads = [["Agent", "agent"], ["State", "state"], ["Time in state", "time"], ["Contacts", "contacts"], ["Team", "team"]];
    this.table = h("table", { class: "agents", "aria-label": "Agents" }, h("thead", {}, h("tr", {}, ...heads.map(([text, kind]) => h("th", { scope: "col", class: `c-${kind}` }, text)))), this.body);
    this.left = h("p", { class: "note" });
    const side = h("aside", { "aria-label": "Filters" }, h("h3", {}, "State"), h("ul", { class: "filters" }, ...this.filters.map(({ item }) => item)), h("h3", {}, "Occupancy by team"), this.teams);
    this.node = h("div", { class: "page with-side" }, h("div", { class: "tools" }, h("h2", {}, "Agents"), this.note, h("label", { for: "agent-sort" }, "Sort ", this.choice), this.search), side, h("div", { class: "frame" }, this.table, this.left));
  }

  stateFilter(state) {
    const count = h("span", { class: "count" }, "0");
    const button = h("button", { type: "button", "aria-pressed": "false", data: { state }, onclick: () => this.again(() => this.toggle(state)) }, icon(state), h("span", {}, STATES[state]), count);
    return { state, count, button, item: h("li", {}, button) };
  }

  toggle(state) {
    if (!this.states.delete(state)) this.states.add(state);
    for (const { state: name, button } of this.filters) button.setAttribute("aria-pressed", String(this.states.has(name)));
  }

  again(change) {
    change();
    if (this.view) this.render(this.view);
  }

  render(view) {
    this.view = view;
    const { board } = view;
    const agents = Object.entries(board.agents ?? {}).map(([agent, entry]) => ({ agent, ...entry }));
    const inTeam = agents.filter(({ team }) => this.team === null || team === this.team);
    this.renderFilters(inTeam);
    this.renderTeams(view);
    const seen = inTeam.filter((one) => this.shows(one)).sort(ORDERS[this.sort]);
    const names = new Map(Object.entries(board.teams ?? {}).map(([id, entry]) => [id, entry.name || id]));
    const rows = seen.slice(0, MOST_ROWS);
    keyed(this.body, rows, ({ agent }) => agent, agentRow, (node, row) => fillAgent(node, row, names));
    setText(this.note, agents.length ? `${seen.length === agents.length ? "" : `${integer(seen.length)} of `}${integer(agents.length)} ${agents.length === 1 ? "agent" : "agents"}` : "No agent has been seen yet.");
    setText(this.left, seen.length > rows.length ? `${integer(seen.length - rows.length)} more; narrow the list by state, team or name.` : agents.length && !seen.length ? "No agent matches." : "");
  }

  shows({ agent, state, reason = "" }) {
    if (this.states.size ? !this.states.has(state) : state === "offline") return false;
    return !this.needle || `${agent} ${reason}`.toLowerCase().includes(this.needle);
  }

  renderFilters(agents) {
    const counts = Object.fromEntries(ORDER.map((state) => [state, 0]));
    for (const { state } of agents) counts[state] = (counts[state] ?? 0) + 1;
    for (const { state, count, button } of this.filters) {
      setText(count, integer(counts[state]));
      setData(button, "none", counts[state] ? "" : "1");
    }
  }

  renderTeams({ board, window, asOf }) {
    const teams = Object.entries(board.teams ?? {}).map(([id, entry]) => ({ id, ...entry, figures: entry.windows[window] }));
    const all = { id: null, name: "All teams", agents: board.all.agents, figures: board.all.windows[window], occupancy_target: null };
    keyed(
      this.teams,
      [all, ...teams],
      ({ id }) => String(id === null ? "" : `t${id}`),
      ({ id }) => this.teamItem(id),
      (node, team) => fillTeam(node, team, { chosen: this.team, window, asOf, board }),
    );
  }

  teamItem(id) {
    const name = h("span", { class: "label" });
    const share = h("span", { class: "count" });
    const mark = chip("mark");
    const button = h("button", { type: "button", onclick: () => this.again(() => (this.team = id)) }, name, mark, share);
    return Object.assign(h("li", {}, button), { button, label: name, share, mark });
  }
}

function fillTeam(node, team, { chosen, window, asOf, board }) {
  const { occupancy } = team.figures;
  const { level } = judge("occupancy", occupancy, team.occupancy_target);
  setText(node.label, team.name || team.id || "No team");
  setText(node.share, percent(occupancy));
  setChip(node.mark, level);
  node.button.setAttribute("aria-pressed", String(chosen === team.id));
  const target = team.occupancy_target ? `Target ${targetText("occupancy", team.occupancy_target)}` : "";
  node.button.tip = () => [
    ["head", `${team.name || team.id || "No team"}: occupancy, ${WINDOWS[window].text}`],
    ["", board.formulas.occupancy],
    ["sum", quotient("occupancy", team.figures, null)],
    ["", target],
    ["faint", asOf],
  ];
}

const stateOf = ({ state }) => ORDER.indexOf(state);
const byAgent = (a, b) => a.agent.localeCompare(b.agent, "en", { numeric: true });

const ORDERS = {
  state: (a, b) => stateOf(a) - stateOf(b) || a.since - b.since || byAgent(a, b),
  longest: (a, b) => a.since - b.since || byAgent(a, b),
  name: byAgent,
};

function agentRow({ agent }) {
  const symbol = icon("talk");
  const word = h("span", {});
  const reason = h("span", { class: "reason" });
  const cells = { time: h("td", { class: "c-time" }), contacts: h("td", { class: "c-contacts" }), team: h("td", { class: "c-team" }) };
  const node = h("tr", {}, h("th", { scope: "row", class: "c-agent", title: agent }, h("span", {}, agent)), h("td", { class: "c-state" }, symbol, word, reason), ...Object.values(cells));
  return Object.assign(node, { symbol, word, reason, figures: cells });
}

function fillAgent(node, row, names) {
  const { symbol, word, reason, figures } = node;
  setData(node, "agent", row.agent);
  setData(node, "state", row.state);
  setIcon(symbol, row.state);
  setText(word, STATES[row.state] ?? row.state);
  setData(figures.time, "since", row.since);
  setText(reason, row.reason ?? "");
  setText(figures.contacts, row.contacts?.length ? integer(row.contacts.length) : "");
  const team = names.get(row.team) ?? row.team ?? "";
  setText(figures.team, team);
  figures.team.title = team;
}

// Every `data-since` below `node` shows how long ago that was.
export function count(node, now) {
  for (const cell of node.querySelectorAll("[data-since]")) setText(cell, duration(now - Number(cell.dataset.since)));
}
