// The server: asked, told, and listened to.
import { trouble } from "./base.js";

// The token of this start of the server comes in the address and goes out of it at once.
const TOKEN = "peftlab-token";
const given = new URLSearchParams(location.search).get("token");
if (given) {
  sessionStorage.setItem(TOKEN, given);
  history.replaceState(null, "", location.pathname + location.hash);
}

async function fetch_json(path, options) {
  const answer = await fetch(path, options);
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => null);
  throw new Error(body?.error?.message ?? `${answer.status} ${answer.statusText}`);
}

export function with_fields(path, fields) {
  const all = new URLSearchParams();
  for (const [name, value] of Object.entries(fields))
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== null && one !== undefined && one !== "") all.append(name, one);
  const text = all.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
  return text ? `${path}?${text}` : path;
}

export async function ask(path, fields = {}, signal) {
  const answer = await fetch_json(with_fields(path, fields), { signal });
  if (first === null) oldest = Math.min(oldest, answer.change ?? Infinity);
  else if (answer.change < first) look_at_all();
  return answer;
}
export const tell = (path, body) => fetch_json(path, { method: "POST", body: JSON.stringify(body),
  headers: { "Content-Type": "application/json", "X-Peftlab-Token": sessionStorage.getItem(TOKEN) ?? "" } });

// A loader: `work(signal)` runs once at a time; asked meanwhile it runs once more afterwards, and rests longer the longer
// it took, so that a slow server is not asked faster than it answers. run(true): what runs is given up for the new.
export function paced(kind, work, least = 50) {
  let current = null, again = false, timer = 0, closed = false;
  async function run(at_once = false) {
    if (closed) return;
    if (at_once) {
      current?.abort();
      clearTimeout(timer);
      timer = 0;
    } else if (current || timer) {
      again = true;
      return;
    }
    const mine = (current = new AbortController()), begin = performance.now();
    again = false;
    try {
      await work(mine.signal);
      trouble(kind, null);
    } catch (e) {
      if (e.name !== "AbortError") trouble(kind, `${kind}: ${e.message}`);
      if (e.name !== "AbortError" && !/fetch|network/i.test(e.message)) console.warn(e);
    }
    if (current !== mine) return;
    current = null;
    timer = setTimeout(() => {
      timer = 0;
      if (again) run();
    }, Math.max(least, performance.now() - begin));
  }
  run.close = () => {
    closed = true;
    current?.abort();
    clearTimeout(timer);
  };
  return run;
}

// ---- events ----

// first: the number that the stream began with. An answer that is older may lack what the stream will not tell any more.
const listeners = new Set(), watchers = new Set();
let source = null, last = 0, lost = false, first = null, oldest = Infinity;

function state(word) {
  watchers.forEach((w) => w(word));
}

function look_at_all() {
  listeners.forEach((l) => l({ change: last, all: true, trials: [], sweeps: [] }));
}

// A tab that nobody sees lets go of its connection (a browser has six for a server); seen again it looks at everything.
function connect() {
  if (document.hidden || source) return;
  source = new EventSource("/api/events");
  source.addEventListener("open", () => {
    state("live");
    if (lost) look_at_all();
    lost = false;
  });
  source.addEventListener("error", () => {
    lost = true;
    state("reconnecting");
    if (source?.readyState === EventSource.CLOSED) {
      source = null;
      setTimeout(connect, 2000);
    }
  });
  source.addEventListener("change", (event) => {
    const data = JSON.parse(event.data);
    if (data.change < last || oldest < data.change) data.all = true; // last: another store or another start of the server
    first ??= data.change;
    oldest = Infinity;
    last = data.change;
    listeners.forEach((l) => l(data));
  });
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    source?.close();
    source = null;
    state("resting");
  } else {
    lost = true;
    connect();
  }
});

export function listen(on_change, on_state) {
  listeners.add(on_change);
  if (on_state) watchers.add(on_state);
  connect();
}
