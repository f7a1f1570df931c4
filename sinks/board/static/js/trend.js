// The last hour by the minute: what became of contacts, and how many waited. Plain SVG, redrawn when
// the figures or the size change.

import { h, s, setText } from "./dom.js";
import { integer, timeOfDay } from "./format.js";

const GAP = 1;

export class Trend {
  constructor() {
    this.node = h("div", { class: "trend" });
    this.drawn = "";
    new ResizeObserver(() => this.last && this.draw(...this.last)).observe(this.node);
  }

  draw(trend, zone) {
    this.last = [trend, zone];
    const { clientWidth: width, clientHeight: height } = this.node;
    const stamp = `${width}x${height} ${zone} ${JSON.stringify(trend)}`;
    if (!width || stamp === this.drawn) return;
    this.drawn = stamp;
    const em = parseFloat(getComputedStyle(this.node).fontSize);
    const axis = 1.5 * em;
    const most = Math.max(...bars(trend.all), ...trend.all.waiting.map((n) => n ?? 0));
    const box = { left: 0, right: width - (0.7 + 0.65 * integer(most).length) * em, foot: axis };
    // Booked by arrival, a centre cannot say how many waited.
    const waited = trend.all.waiting.some((n) => n != null);
    const upper = { ...box, top: 0.7 * em, bottom: (height - axis) * (waited ? 0.6 : 1) };
    const lower = { ...box, top: (height - axis) * 0.6 + 2.1 * em, bottom: height - axis };
    this.node.replaceChildren(
      s("svg", { width, height, "aria-hidden": "true", focusable: "false" }, hatch(em / 4), ...contacts(trend, upper), ...(waited ? waiting(trend, lower, em) : []), ...times(trend, zone, box, height)),
    );
  }
}

const bars = (all) => all.answered.map((answered, i) => (answered ?? 0) + (all.abandoned[i] ?? 0));

function hatch(width) {
  const size = { width, height: width };
  return s("defs", {}, s("pattern", { id: "hatch", ...size, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, s("rect", { ...size, class: "hatch-back" }), s("rect", { ...size, width: width * 0.45, class: "hatch-line" })));
}

function contacts({ all }, { left, right, top, bottom }) {
  const steps = all.offered.length;
  const ends = bars(all);
  const most = Math.max(1, ...ends);
  const wide = (right - left) / steps;
  const tall = (bottom - top) / most;
  const drawn = [rule(left, right, top, most)];
  for (let i = 0; i < steps; i += 1) {
    let y = bottom;
    const layers = [
      ["in-time", all.answered_in[i]],
      ["late", all.answered[i] - all.answered_in[i]],
      ["gave-up", all.abandoned[i]],
    ];
    for (const [kind, count] of layers) {
      if (count > 0) {
        y -= count * tall;
        drawn.push(s("rect", { class: kind, x: left + i * wide, y, width: Math.max(1, wide - GAP), height: Math.max(0.5, count * tall) }));
      }
    }
  }
  drawn.push(s("line", { class: "base", x1: left, x2: right, y1: bottom, y2: bottom }));
  return drawn.flat();
}

function waiting({ all }, { left, right, top, bottom }, em) {
  const most = Math.max(1, ...all.waiting.map((n) => n ?? 0));
  const wide = (right - left) / all.waiting.length;
  let path = "";
  all.waiting.forEach((count, i) => {
    const y = bottom - ((count ?? 0) / most) * (bottom - top);
    path += `${i ? "L" : "M"}${left + i * wide} ${y}H${left + (i + 1) * wide}`;
  });
  return [
    s("text", { class: "name", x: left, y: top - 0.75 * em }, "Waiting"),
    ...rule(left, right, top, most),
    s("path", { class: "waiting-area", d: `${path}V${bottom}H${left}Z` }),
    s("path", { class: "waiting", d: path }),
    s("line", { class: "base", x1: left, x2: right, y1: bottom, y2: bottom }),
  ];
}

function rule(left, right, y, value) {
  return [
    s("line", { class: "rule", x1: left, x2: right, y1: y, y2: y }),
    s("text", { class: "scale", x: right + 5, y: y, "dominant-baseline": "middle" }, integer(value)),
  ];
}

function times({ start, step_ms: step, all }, zone, { left, right }, height) {
  const steps = all.offered.length;
  const marks = [];
  for (let i = 0; i < steps; i += 1) {
    const at = start + i * step;
    if (at % (15 * step) === 0) {
      const x = left + (i / steps) * (right - left);
      if (x > right - 40) continue;
      marks.push(s("line", { class: "tick", x1: x, x2: x, y1: 0, y2: height }));
      marks.push(s("text", { class: "time", x: x + 4, y: height - 4 }, timeOfDay(at, zone, false)));
    }
  }
  return marks;
}

export function trendWords({ all }) {
  const sum = (name) => all[name].reduce((total, n) => total + (n ?? 0), 0);
  return `${integer(sum("offered"))} offered, ${integer(sum("answered"))} answered, of these ${integer(sum("answered_in"))} in time, ${integer(sum("abandoned"))} abandoned`;
}

// Twenty bars of three minutes for a table row.
const BARS = 20;

export function spark(cell, offered) {
  const stamp = offered ? offered.join() : "";
  if (cell.drawn === stamp) return;
  cell.drawn = stamp;
  if (!offered) {
    setText(cell, "");
    return;
  }
  const each = Math.max(1, Math.round(offered.length / BARS));
  const sums = [];
  for (let i = 0; i < offered.length; i += each) sums.push(offered.slice(i, i + each).reduce((a, b) => a + (b ?? 0), 0));
  const most = Math.max(1, ...sums);
  const bars = sums.map((n, i) => s("rect", { x: i * 4, width: 3, y: 18 - (n ? Math.max(1.5, (n / most) * 18) : 0.75), height: n ? Math.max(1.5, (n / most) * 18) : 0.75 }));
  const total = sums.reduce((a, b) => a + b, 0);
  cell.replaceChildren(s("svg", { class: "spark", viewBox: `0 0 ${sums.length * 4} 18`, preserveAspectRatio: "none", role: "img", "aria-label": `${integer(total)} offered in the last hour` }, ...bars));
}
