// The page: which site, view and window the address names, what the connection says of itself, and
// the second that passes between two messages.

import { Agents, count } from "./agents.js";
import { h, setData, setText } from "./dom.js";
import { DAYS, WINDOWS, age, integer, percent, timeOfDay } from "./format.js";
import { explainAge, lastEvent } from "./freshness.js";
import { LEVELS } from "./kpi.js";
import { Live } from "./live.js";
import { Quality } from "./quality.js";
import { Queues } from "./queues.js";
import { loggedOut, showSession } from "./session.js";
import { refreshTip, watchTips } from "./tip.js";
import { Wall, overall } from "./wall.js";

const TICK_MS = 250;
const SITES_MS = 10_000;
const PATIENCE_MS = 1200;
const ANNOUNCE_MS = 30_000;

const byId = (id) => document.getElementById(id);
const VIEWS = { wall: Wall, queues: Queues, agents: Agents, quality: Quality };
const made = {};
const live = new Live(render);
const began = performance.now();

const state = { site: "", view: "wall", window: "30m", days: "7d" };
let sites = [];
let version = null;
let announced = { state: "", level: "", at: -Infinity };

function readAddress() {
  const query = new URLSearchParams(location.search);
  state.site = query.get("site") ?? "";
  state.window = query.get("window") in WINDOWS ? query.get("window") : "30m";
  state.days = query.get("days") in DAYS ? query.get("days") : "7d";
  const view = location.hash.slice(1);
  state.view = view in VIEWS ? view : "wall";
  document.documentElement.toggleAttribute("data-kiosk", query.has("kiosk"));
}

function writeAddress(change) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) query.set(name, value);
  history.replaceState(null, "", `?${query}${location.hash}`);
  readAddress();
  follow();
}

// Make page and connection what the address says.
function follow() {
  document.documentElement.dataset.view = state.view;
  made[state.view] ??= new VIEWS[state.view]();
  const main = byId("main");
  if (main.firstElementChild !== made[state.view].node) main.replaceChildren(made[state.view].node);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${state.view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const input of byId("windows").querySelectorAll("input")) input.checked = input.value === state.window;
  const site = siteShown();
  if (site) live.open(site, state.view);
  render();
}

const siteShown = () => state.site || sites[0]?.site || "";

async function askSites() {
  try {
    const answer = await fetch("api/sites", { cache: "no-store" });
    if (loggedOut(answer)) return;
    if (answer.ok) sites = await answer.json();
    renewed(answer.headers.get("X-Board-Version"));
    fillSites();
    if (!live.address && siteShown()) follow();
  } catch {
    // The stream's own state tells whether the board is there.
  }
  setTimeout(askSites, live.address && live.state() !== "lost" ? SITES_MS : 1000);
}

// A wall may run for months; after an upgrade it must not read new figures with an old script.
function renewed(now) {
  version ??= now;
  if (now && now !== version) location.reload();
}

function fillSites() {
  const choice = byId("site");
  const known = JSON.stringify(sites.map(({ site, name }) => [site, name]));
  choice.hidden = sites.length < 2;
  byId("site-name").classList.toggle("vh", !choice.hidden);
  if (choice.known !== known) {
    choice.known = known;
    choice.replaceChildren(...sites.map(({ site, name }) => h("option", { value: site }, name)));
  }
  choice.value = siteShown();
}

function render() {
  const { board } = live;
  const now = live.siteNow();
  showState(now);
  // Never the figures of another site under this one's name.
  byId("main").classList.toggle("empty", !board);
  if (!board) return;
  setText(byId("site-name"), board.name || board.site);
  const asOf = `As of ${timeOfDay(board.at, board.time_zone)}, ${age(live.age())} old.`;
  const { window, days } = state;
  made[state.view].render({ board, window, days, now, asOf, choose: (name) => writeAddress({ days: name }), pace: live.moment?.pace ?? 1 });
  count(byId("main"), now);
  const { row, verdict } = overall(board, state.window, now);
  const stale = live.state() === "live" ? "" : "(old) ";
  document.title = `${stale}${integer(row.waiting)} waiting, ${percent(row.service_level)} · ${board.name || board.site}`;
  announce(verdict.level, row);
}

const SAYING = {
  connecting: ["Connecting", () => "to the board. Nothing has come yet."],
  waiting: ["Waiting for the first figures", () => (siteShown() ? `of ${siteShown()}.` : "")],
  lost: ["Connection lost", (old, at) => `Figures are ${old} old, from ${at}. Connecting again.`],
  stale: ["Figures are old", (old, at) => `They are from ${at}, ${old} ago. The board waits for the pipeline.`],
  live: ["", () => ""],
};

function showState(now) {
  const { board } = live;
  const name = !live.address && performance.now() - began > PATIENCE_MS ? "waiting" : live.state();
  const ageMs = live.age();
  const old = age(ageMs);
  const zone = board?.time_zone ?? "UTC";
  setData(document.body, "state", name);
  setData(byId("age"), "age", ageMs == null ? "" : Math.round(ageMs));
  setText(byId("age-text"), ageMs == null ? "no data" : `${old} old`);
  setText(byId("event-text"), lastEvent(live));
  if (board) setText(byId("clock"), timeOfDay(name === "live" ? now : board.at, zone));
  const [head, text] = SAYING[name];
  const early = name === "connecting" && performance.now() - began < PATIENCE_MS;
  if (byId("banner").hidden !== (name === "live" || early)) {
    byId("banner").hidden = !byId("banner").hidden;
    keepClear();
  }
  setText(byId("banner-head"), head);
  setText(byId("banner-text"), text(old, timeOfDay(board?.at, zone)));
}

// What sticks to the top must not hide heads of tables or what the keyboard comes to.
function keepClear() {
  const stuck = byId("top").offsetHeight || byId("age").parentElement.offsetHeight + byId("banner").offsetHeight;
  document.documentElement.style.setProperty("--stuck", `${stuck}px`);
}

// Spoken, and therefore rarely: when the state of the data or of the service level changes.
function announce(level, row) {
  const name = live.state();
  const here = performance.now();
  if (name !== announced.state) {
    if (announced.state || name !== "live") setText(byId("announce"), name === "live" ? "Figures are live again." : SAYING[name][0]);
    announced = { ...announced, state: name };
  } else if (level !== announced.level && here - announced.at > ANNOUNCE_MS) {
    setText(byId("announce"), level === "none" ? "" : `${LEVELS[level]}: service level ${percent(row.service_level)}, ${integer(row.waiting)} waiting.`);
    announced = { ...announced, level, at: here };
  }
}

function begin() {
  const windows = byId("windows");
  for (const [name, { label, text }] of Object.entries(WINDOWS)) {
    const input = h("input", { type: "radio", name: "window", id: `w-${name}`, value: name, "aria-label": text, onchange: () => writeAddress({ window: name }) });
    windows.append(input, h("label", { for: `w-${name}`, title: text }, label));
  }
  byId("site").addEventListener("change", ({ target }) => writeAddress({ site: target.value }));
  const theme = byId("theme");
  const named = (choice) => theme.setAttribute("aria-label", `Theme: ${choice}`);
  named(document.documentElement.dataset.choice);
  theme.tip = () => [["", theme.getAttribute("aria-label")]];
  theme.addEventListener("click", () => {
    named(window.callboardTheme.next());
    refreshTip();
  });
  byId("age").tip = () => explainAge(live);
  byId("skip").addEventListener("click", (event) => {
    // The address keeps naming the view.
    event.preventDefault();
    byId("main").focus();
  });
  addEventListener("hashchange", () => {
    readAddress();
    follow();
  });
  watchTips();
  const sized = new ResizeObserver(keepClear);
  for (const node of [document.body, byId("top")]) sized.observe(node);
  readAddress();
  follow();
  askSites();
  showSession();
  let second = 0;
  setInterval(() => {
    showState(live.siteNow());
    const due = Math.floor(live.siteNow() / 1000);
    if (due !== second) {
      second = due;
      render();
      refreshTip();
    }
  }, TICK_MS);
}

begin();
