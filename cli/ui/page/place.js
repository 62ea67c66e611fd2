// What is looked at stands in the address, behind "#": a reload, a bookmark or a colleague sees the same.
//
// view: "" (all), "trials", "trial", "compare"; experiment, sweep, trial: numbers; q: the filter; sort: "column:asc";
// cols: columns in order; flat: no seed groups; open: unfolded groups, by their first trials; summary: which value of a series the table has;
// pick: chosen trials; key: metric of the curves; smooth, log, most, colour, zoom: of the curves; axes, brush: of the
// parallel coordinates ("rank~8~32;eval/loss~~0.4": an end that is not set is empty).

const listeners = new Set();
let now = read();

function read() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

export const get = (name, preset = "") => now[name] ?? preset;
export const list = (name, sign = ",") => (now[name] ? now[name].split(sign) : []);
export const numbers = (name) => list(name).map(Number).filter(Number.isFinite);
// Names hold commas now and then; within a list they are escaped. Who typed a "%" by hand means it.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
export const names = (name) => list(name).map(decoded);
const escaped = (v) => String(v).replace(/[%,;~]/g, (c) => `%${c.charCodeAt(0).toString(16)}`);
export const join_names = (all) => all.map(escaped).join(",");

// The address of the same place with some things changed; null or "" takes one out.
export function address(changes, from = now) {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...from, ...changes }))
    if (value !== null && value !== "" && value !== undefined) all.set(name, value);
  return "#" + all.toString().replaceAll("%2C", ",").replaceAll("%2F", "/").replaceAll("%3A", ":").replaceAll("%7E", "~")
    .replaceAll("%3B", ";");
}

// The address of another place; of this one only what belongs to both stays.
export const elsewhere = (changes) => address(changes, {});

function tell(before) {
  const changed = new Set([...Object.keys(before), ...Object.keys(now)].filter((k) => before[k] !== now[k]));
  if (changed.size) listeners.forEach((l) => l(changed));
}

export function set(changes) {
  const to = address(changes);
  if (to === address({})) return;
  const before = now;
  history.replaceState(history.state, "", to);
  now = read();
  tell(before);
}

export const on_change = (listener) => listeners.add(listener);

function moved() {
  const before = now;
  now = read();
  tell(before);
}
addEventListener("hashchange", moved);

// ---- ranges of the parallel coordinates ----

export function ranges() {
  const out = new Map();
  for (const part of list("brush", ";")) {
    const [name, low = "", high = ""] = part.split("~").map(decoded);
    out.set(name, [low, high]);
  }
  return out;
}
export const join_ranges = (all) => [...all].filter(([, [low, high]]) => low !== "" || high !== "")
  .map((r) => r.flat().map(escaped).join("~")).join(";");
