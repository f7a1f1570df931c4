// A figure with its unit, and the mark that says how it stands: a shape and a word, then a colour.

import { h, icon, setData, setIcon, setText } from "./dom.js";
import { LEVELS } from "./kpi.js";

export function numberInto(node, text) {
  if (node.shown === text) return;
  node.shown = text;
  const unit = text.endsWith(" %");
  node.replaceChildren(unit ? text.slice(0, -2) : text, ...(unit ? [h("small", {}, "%")] : []));
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
