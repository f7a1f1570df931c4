// Who is logged in, and the way out.

import { setText } from "./dom.js";
import { timeOfDay } from "./format.js";

const ASK_MS = 3_600_000;
const byId = (id) => document.getElementById(id);

// Whoever is not, or no longer, logged in gets the page to log in at this same address.
export function loggedOut(answer) {
  if (answer.status === 401) location.reload();
  return answer.status === 401;
}

export async function showSession() {
  // A wall asks now and then, so that its log-in is renewed.
  setTimeout(showSession, ASK_MS);
  try {
    const answer = await fetch("api/session", { cache: "no-store" });
    if (!loggedOut(answer) && answer.ok) show(await answer.json());
  } catch {
    // The stream tells whether the board is there.
  }
}

function show({ access, name, sites, until, logout }) {
  const known = access !== "open";
  byId("me").hidden = !known;
  if (!known) return;
  setText(byId("me-name"), name);
  byId("me").setAttribute("aria-label", `Logged in as ${name}`);
  setText(byId("account-name"), name);
  const scope = sites === "*" ? "Every site" : sites.length ? `Sites: ${sites.join(", ")}` : "No site";
  setText(byId("account-scope"), until ? `${scope}. Until ${moment(until)}.` : `${scope}.`);
  const leave = byId("leave");
  leave.hidden = access === "proxy" && !logout;
  leave.onclick = () => (access === "proxy" ? location.assign(logout) : logOut());
}

function moment(ms) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const day = new Date(ms).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
  return `${day}, ${timeOfDay(ms, zone, false)}`;
}

async function logOut() {
  try {
    await fetch("logout", { method: "POST" });
  } catch {
    // Without an answer the cookie is still there, and the page that loads now shows it.
  }
  location.reload();
}
