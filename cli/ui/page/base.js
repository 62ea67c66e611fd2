// Helpers of all parts: elements, numbers and times as people read them, what is said aloud.

// element("button", {type: "button", class: "quiet"}, "text", child, ...); null children are left out
export function element(tag, attributes = {}, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== undefined && value !== false) e.setAttribute(name, value === true ? "" : value);
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

export function button(text, attributes, act) {
  const e = element("button", { type: "button", ...attributes }, text);
  if (act) e.addEventListener("click", act);
  return e;
}

// Makes `old` like `fresh` where they differ, and leaves all else alone: focus, selection, scroll and open details
// survive. An element with data-keep belongs to a part of its own and is not entered.
function patch(old, fresh) {
  for (const { name } of [...old.attributes])
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of [...fresh.attributes]) {
    if (old.getAttribute(name) === value || name === "open") continue;
    if (name === "style") old.style.cssText = value; // the policy lets scripts set styles, and no attribute
    else old.setAttribute(name, value);
  }
  if (!old.hasAttribute("data-keep")) patch_children(old, [...fresh.childNodes]);
}

export function patch_children(parent, wanted) {
  const alike = (a, b) => a && a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.id === b.id;
  wanted.forEach((fresh, k) => {
    const old = parent.childNodes[k];
    if (old === fresh) return;
    if (!alike(old, fresh)) {
      const later = fresh.id ? [...parent.childNodes].slice(k + 1).find((c) => alike(c, fresh)) : null;
      parent.insertBefore(later ?? fresh, old ?? null);
      if (later) patch(later, fresh);
    } else if (fresh.nodeType === Node.ELEMENT_NODE) {
      patch(old, fresh);
    } else if (old.data !== fresh.data) {
      old.data = fresh.data;
    }
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

// ---- numbers ----

// JSON has no word for these; the server sends them as texts.
const words = new Map([["NaN", NaN], ["Infinity", Infinity], ["-Infinity", -Infinity]]);
export const number_of = (v) => (words.has(v) ? words.get(v) : v);

export function short(v) {
  if (v === null || v === undefined) return "–";
  if (typeof v === "boolean") return v ? "true" : "false";
  if (typeof v === "object") return JSON.stringify(v);
  if (typeof v !== "number") return String(v);
  if (!Number.isFinite(v)) return Number.isNaN(v) ? "NaN" : v > 0 ? "∞" : "−∞";
  const size = Math.abs(v);
  if (Number.isInteger(v) && size < 1e7) return String(v);
  return size !== 0 && (size < 1e-3 || size >= 1e7) ? v.toExponential(2).replace("e+", "e") : String(Number(v.toPrecision(4)));
}

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let k = 0;
  for (; n >= 1024 && k < units.length - 1; k++) n /= 1024;
  return `${Number(n.toPrecision(3))} ${units[k]}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 60) return `${Number(seconds.toPrecision(2))} s`;
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const at = parts.findIndex(([size]) => seconds >= size);
  const big = Math.floor(seconds / parts[at][0]), rest = Math.floor((seconds % parts[at][0]) / parts[at + 1][0]);
  return `${big} ${parts[at][1]}${rest ? ` ${rest} ${parts[at + 1][1]}` : ""}`;
}

export const dollars = (v) => `$${v >= 0.01 ? v.toFixed(2) : Number(v.toPrecision(2))}`;

export function moment(ms) {
  if (!ms) return "–";
  const two = (n) => String(n).padStart(2, "0"), d = new Date(ms);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`;
}

export const ago = (ms) => (ms ? `${duration(Math.max(0, (Date.now() - ms) / 1000))} ago` : "–");
export const many = (n, one, more = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : more}`;

// A column's value as people read it: by the end of its name where that tells a unit.
export function shown(name, v) {
  v = number_of(v);
  if (typeof v === "number" && Number.isFinite(v)) {
    if (/_bytes$/.test(name)) return bytes(v);
    if (/^(started|ended|created)_ms$/.test(name)) return moment(v);
    if (name === "duration_ms") return duration(v / 1000);
  }
  return short(v);
}

// ---- states ----

const kinds = { running: "go", complete: "good", waiting: "rest", preempted: "rest", spared: "rest", cancelled: "rest",
  pruned: "cut", failed: "bad", oom: "bad", nan: "bad", timeout: "bad", stale: "bad" };
export const state_mark = (state) => element("span", { class: `state ${kinds[state] ?? "rest"}` }, state ?? "–");

export function counts_bar(counts) {
  const all = Object.values(counts).reduce((a, b) => a + b, 0);
  const text = Object.entries(counts).map(([state, n]) => `${n} ${state}`).join(", ");
  const bar = element("span", { class: "bar", role: "img", "aria-label": text || "no trials", title: text });
  for (const [state, n] of Object.entries(counts)) {
    const part = element("span", { class: kinds[state] ?? "rest" });
    part.style.flexGrow = n / all;
    bar.append(part);
  }
  return bar;
}

// ---- what is said ----

let said_at = 0, to_say = null, timer = 0;
// Aloud, and at most every five seconds: the newest counts.
export function say(text) {
  to_say = text;
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    said_at = performance.now();
    document.getElementById("said").textContent = to_say;
  }, Math.max(0, said_at + 5000 - performance.now()));
}

// A failure, until the next success of the same kind takes it back; kind null: of any.
let trouble_of = null;
export function trouble(kind, text) {
  const e = document.getElementById("trouble");
  if (text === null && kind !== null && trouble_of !== kind) return;
  trouble_of = text === null ? null : kind;
  e.hidden = text === null;
  e.textContent = text ?? "";
}

// A field that tells every change, and a settled one after `ms` without.
export function settled(act, ms = 200) {
  let wait = 0;
  return (...args) => {
    clearTimeout(wait);
    wait = setTimeout(() => act(...args), ms);
  };
}

// ---- shapes of pages ----

export const facts = (pairs) => element("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value, more]) =>
  element("div", {}, element("dt", {}, name), element("dd", {}, value, more ? element("small", {}, more) : null))));

// A plain table: headings as texts ("!" in front: numbers), rows as lists of texts or nodes; the first is the row's name.
export function plain_table(caption, headings, rows) {
  const right = headings.map((h) => h.startsWith("!"));
  const head = headings.map((h, k) => element("th", { scope: "col", class: right[k] ? "num" : null }, h.replace(/^!/, "")));
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element("table", {}, element("caption", {}, caption), element("thead", {}, element("tr", {}, head)),
      element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((c, k) =>
        element(k ? "td" : "th", { scope: k ? null : "row", class: right[k] ? "num" : null }, c ?? "–")))))));
}
