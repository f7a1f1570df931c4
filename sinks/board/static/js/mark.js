// A figure with its unit, and the mark that says how it stands: a shape and a word, then a colour.

import { h, icon, setData, setIcon, setText } from "./dom.js";
import { NONE } from "./format.js";
import { LEVELS } from "./kpi.js";

// How wide the text is in its own em, so that the style sheet can make any number fit its tile.
function ems(text) {
  const narrow = text.match(/[.,:]/g)?.length ?? 0;
  const unit = text.endsWith(" %");
  return (text.length - narrow - (unit ? 2 : 0)) * 0.63 + narrow * 0.31 + (unit ? 0.58 : 0);
}

export function numberInto(node, text) {
  if (node.shown === text) return;
  node.shown = text;
  const unit = text.endsWith(" %");
  if (text === NONE) node.replaceChildren(h("span", { "aria-hidden": "true" }, NONE), h("span", { class: "vh" }, "no data"));
  else node.replaceChildren(unit ? text.slice(0, -2) : text, ...(unit ? [h("small", {}, "%")] : []));
  node.parentElement.style.setProperty("--em", ems(text).toFixed(2));
}

// A figure in a table; a dash is read out as what it means.
export function setFigure(cell, text, level) {
  setText(cell, text);
  setData(cell, "level", level);
  if (text !== NONE) cell.removeAttribute("aria-label");
  else if (!cell.hasAttribute("aria-label")) cell.setAttribute("aria-label", "no data");
}

export function chip(kind = "chip") {
  return h("span", { class: kind, hidden: true }, icon("on"), h("span", {}));
}

export function setChip(node, level) {
  node.hidden = level === "none";
  setData(node, "level", level);
  if (node.hidden) return;
  setIcon(node.firstChild, level);
  setText(node.lastChild, LEVELS[level]);
}
