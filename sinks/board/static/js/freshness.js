// How old the figures are, in words: of the clock, and of the last event of each source.

import { age, integer, timeOfDay } from "./format.js";
import { STALE_MS } from "./live.js";

// Sources with the age of their last event in real milliseconds, the newest first.
function heard({ board, moment }, dataAge) {
  return Object.entries(board.sources ?? {})
    .map(([name, ts]) => ({ name: name || "no source", ts, old: Math.max(0, dataAge + (board.at - ts) / (moment?.pace || 1)) }))
    .sort((a, b) => a.old - b.old);
}

// "last event 1 s ago"; of several sources also the one that has been silent longest.
export function lastEvent(live) {
  if (!live.board) return "";
  const sources = heard(live, live.age() ?? 0);
  if (!sources.length) return "";
  const quiet = sources.length > 1 ? `, ${sources.at(-1).name} ${age(sources.at(-1).old)}` : "";
  return `last event ${age(sources[0].old)}${quiet} ago`;
}

export function explainAge(live) {
  const { board } = live;
  if (!board) return [["head", "No figures yet"]];
  const zone = board.time_zone;
  return [
    ["head", `Figures as of ${timeOfDay(board.at, zone)} (${zone})`],
    ["", `Older than ${STALE_MS / 1000} s they are marked as old.`],
    ...heard(live, live.age() ?? 0).map(({ name, ts, old }) => ["sum", `${name}: last event ${timeOfDay(ts, zone)}, ${age(old)} ago`]),
    ["", `${integer(board.late)} late, ${integer(board.dead_lettered)} dead-lettered, ${integer(board.inconsistent)} inconsistent events.`],
  ];
}
