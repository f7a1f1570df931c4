// Numbers as people read them. No data is a dash, never a zero.

export const NONE = "–";

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const integer = (n) => (n == null ? NONE : whole.format(n));

// One decimal; a figure that misses its target is never rounded into it.
export function percent(x, target) {
  if (x == null) return NONE;
  let text = (x * 100).toFixed(1);
  if (target != null && x !== target) {
    const shown = Number(text) / 100;
    const below = x < target;
    if (shown === target || shown < target !== below) {
      text = ((below ? Math.floor(x * 1000) : Math.ceil(x * 1000)) / 10).toFixed(1);
    }
  }
  return `${text} %`;
}

// 0:07, 12:34, 1:02:03. Whole seconds that have passed.
export function duration(ms) {
  if (ms == null) return NONE;
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60) % 60;
  const hours = Math.floor(s / 3600);
  return hours ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`;
}

// 20 s, 2 min, 1 h 30 min: a length somebody has set.
export function span(ms) {
  if (ms == null) return NONE;
  const s = ms / 1000;
  if (s < 120 || s % 60) return `${whole.format(s)} s`;
  const m = s / 60;
  return m < 120 ? `${m} min` : `${Math.floor(m / 60)} h${m % 60 ? ` ${m % 60} min` : ""}`;
}

// 4.31: a mean of answers. Points of a score: +12.3.
export const mean = (x) => (x == null ? NONE : x.toFixed(2));
export const points = (x) => (x == null ? NONE : `${x > 0 ? "+" : x < 0 ? "\u2212" : ""}${Math.abs(x).toFixed(1)}`);

export function age(ms) {
  if (ms == null) return NONE;
  return ms < 120_000 ? `${Math.floor(ms / 1000)} s` : `${Math.floor(ms / 60_000)} min`;
}

const clocks = new Map();

// Time of day at the site.
export function timeOfDay(ms, zone, seconds = true) {
  if (ms == null) return NONE;
  const key = `${zone}|${seconds}`;
  if (!clocks.has(key)) clocks.set(key, clockOf(zone, seconds));
  return clocks.get(key).format(ms);
}

function clockOf(zone, seconds) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) options.second = "2-digit";
  try {
    return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zone });
  } catch {
    // A zone this browser does not know: better UTC and said so than no clock.
    return new Intl.DateTimeFormat("en-GB", { ...options, timeZone: "UTC", timeZoneName: "short" });
  }
}

export const WINDOWS = {
  "5m": { label: "5 min", text: "last 5 minutes" },
  "15m": { label: "15 min", text: "last 15 minutes" },
  "30m": { label: "30 min", text: "last 30 minutes" },
  "60m": { label: "60 min", text: "last 60 minutes" },
  today: { label: "Today", text: "today" },
};

// Windows of the quality figures, which the store counts.
export const DAYS = {
  today: { label: "Today", text: "today" },
  "7d": { label: "7 days", text: "last 7 days" },
  "30d": { label: "30 days", text: "last 30 days" },
};

export const STATES = {
  talk: "Talking",
  hold: "On hold",
  wrap: "Wrap-up",
  busy: "Busy",
  ringing: "Ringing",
  available: "Available",
  not_ready: "Not ready",
  offline: "Offline",
};
