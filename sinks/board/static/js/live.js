// The connection: one EventSource for one site and view, the board it describes, and how old it is.
//
// An EventSource can hang on a dead line without an error, and gives up for good on an answer that
// is no stream. So a watchdog opens a new one whenever the heartbeat, sent each second, is missing.

const SILENCE_MS = 3500;
const REOPEN_MS = 2000;
export const STALE_MS = 5000;

export class Live {
  constructor(onChange) {
    this.board = null;
    this.onChange = onChange;
    this.connected = false;
    this.heard = -Infinity;
    this.opened = performance.now();
    this.moment = null;
    this.offsets = [];
    this.source = null;
    this.address = "";
    setInterval(() => this.watch(), 500);
    document.addEventListener("visibilitychange", () => this.watch());
    addEventListener("online", () => this.reopen());
    // A page kept for the back button would keep its connection, and browsers allow six to a host.
    addEventListener("pagehide", () => this.source?.close());
    addEventListener("pageshow", ({ persisted }) => persisted && this.reopen());
  }

  open(site, view) {
    const address = `stream?${new URLSearchParams({ site, view })}`;
    if (address === this.address) return;
    if (this.board && this.board.site !== site) this.forget();
    this.address = address;
    this.reopen();
  }

  forget() {
    this.board = null;
    this.moment = null;
    this.offsets = [];
  }

  reopen() {
    if (!this.address) return;
    this.source?.close();
    this.opened = performance.now();
    const source = new EventSource(this.address);
    this.source = source;
    const on = (name, take) =>
      source.addEventListener(name, (event) => {
        // What a closed source still had in its queue belongs to another view.
        if (source === this.source) this.take(JSON.parse(event.data), take);
      });
    on("board", (data) => {
      this.board = data;
    });
    on("change", (data) => {
      if (this.board) change(this.board, data);
    });
    on("beat", () => {});
    // The server wants to see again who this is; the figures stay meanwhile.
    source.addEventListener("again", () => source === this.source && this.reopen());
    source.addEventListener("error", () => {
      if (source === this.source) this.lost();
    });
  }

  take(data, apply) {
    const here = performance.now();
    apply(data);
    this.heard = here;
    this.connected = true;
    // A board that has just started has no figures yet; ours go on ageing.
    const aged = data.age_ms ?? this.age();
    this.moment = { now: data.now, pace: data.pace, age: aged, here };
    // The least delayed of the last messages tells the server's clock best.
    this.offsets.push(data.now - here * data.pace);
    if (this.offsets.length > 20) this.offsets.shift();
    this.onChange();
  }

  watch() {
    const here = performance.now();
    if (this.connected && here - this.heard > SILENCE_MS) this.lost();
    if (!this.connected && here - this.opened > REOPEN_MS) this.reopen();
  }

  lost() {
    if (!this.connected) return;
    this.connected = false;
    this.onChange();
  }

  // Milliseconds since the figures were true; null while there are none.
  age() {
    if (!this.board || this.moment?.age == null) return null;
    return this.moment.age + performance.now() - this.moment.here;
  }

  // connecting (nothing yet), live, stale (the line is there, the figures are old), lost.
  state() {
    const age = this.age();
    if (age === null) return this.connected ? "waiting" : "connecting";
    if (!this.connected) return "lost";
    return age > STALE_MS ? "stale" : "live";
  }

  // The site's time now. It stands still while the figures do: a wait that counts on without news
  // would be a guess.
  siteNow() {
    if (!this.board) return 0;
    if (this.state() !== "live") return this.board.at;
    return Math.max(...this.offsets) + performance.now() * this.moment.pace;
  }
}

// Operations are [path, value] or, for what is gone, [path].
export function change(board, { at, ops }) {
  board.at = at;
  for (const [path, ...value] of ops) {
    const last = path[path.length - 1];
    let node = board;
    for (const key of path.slice(0, -1)) node = node[key] ??= {};
    if (value.length) node[last] = value[0];
    else delete node[last];
  }
}
