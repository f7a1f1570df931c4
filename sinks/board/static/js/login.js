// Logging in: a token typed, or behind the # of a link, is exchanged for a cookie that scripts
// cannot read. The token is taken out of the address before anything else.

const root = document.body.dataset.root;
const said = document.getElementById("said");
const field = document.getElementById("token");
const enter = document.getElementById("enter");
const show = document.getElementById("show");

const linked = new URLSearchParams(location.hash.slice(1));
const token = linked.get("token");
if (token) history.replaceState(null, "", location.pathname + location.search);

// Where to go: the page that was asked for and answered with this one; from the log-in's own
// address the board, or what a link names of it. Never another origin.
function onwards() {
  const board = new URL(root || ".", location.href);
  const own = new URL("login", board);
  if (location.pathname !== own.pathname) return location.href;
  const to = new URL(linked.get("to") ?? "", board);
  return to.origin === location.origin ? to.href : board.href;
}

function go() {
  const to = onwards();
  // The same address with another fragment would not be loaded.
  if (to.split("#")[0] === location.href.split("#")[0]) location.reload();
  else location.replace(to);
}

function tell(text) {
  said.textContent = text;
  field.setAttribute("aria-invalid", String(Boolean(text)));
}

async function exchange(secret) {
  enter.disabled = true;
  tell("");
  try {
    const answer = await fetch(`${root}login`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token: secret }),
      cache: "no-store",
    });
    if (answer.ok) return go();
    const wait = Number(answer.headers.get("Retry-After"));
    if (answer.status === 401) tell("This token is not known, or no longer.");
    else if (answer.status === 429) tell(`Too many wrong tokens. Wait ${wait || 60} seconds.`);
    else tell((await answer.json().catch(() => ({}))).error ?? "The board does not answer.");
  } catch {
    tell("The board does not answer.");
  }
  enter.disabled = false;
  field.select();
}

document.getElementById("login").addEventListener("submit", (event) => {
  event.preventDefault();
  if (field.value.trim()) exchange(field.value.trim());
  else tell("Type the token.");
});

show.addEventListener("click", () => {
  const shown = field.type === "password";
  field.type = shown ? "text" : "password";
  show.textContent = shown ? "Hide" : "Show";
  show.setAttribute("aria-pressed", String(shown));
});

// Who comes by a link in a mail or from another site has not sent the cookie with it; from here it
// is sent, so whoever is logged in goes straight on.
async function isIn() {
  try {
    const answer = await fetch(`${root}api/session`, { cache: "no-store" });
    return answer.ok;
  } catch {
    return false;
  }
}

if (token) exchange(token);
else if (await isIn()) go();
