// Curves of a metric over steps: which trials, fetched sparsely, grown by what is new, smoothed, coloured, and told in numbers.
import { button, element, many, number_of, settled, short } from "./base.js";
import { colour, make_chart } from "./chart.js";
import { ask, paced } from "./link.js";
import * as place from "./place.js";
import { value_of } from "./rows.js";

const CHUNK = 250, PALETTE = 8, IN_NUMBERS = 50, IN_LEGEND = 12, RAW_MOST = 20, SAMPLED = 40;
const mosts = [20, 100, 300, 1000];
const points_for = (count) => (count > 200 ? 120 : count > 50 ? 240 : 600);

// Exponential mean without the pull of its beginning; what is no number is passed over.
export function smooth(ys, weight) {
  if (!(weight > 0)) return ys;
  let mean = 0, power = 1;
  return ys.map((y) => {
    if (!Number.isFinite(y)) return y;
    mean = mean * weight + (1 - weight) * y;
    power *= weight;
    return mean / (1 - power);
  });
}

// ---- the points ----

// Series by trial: {xs, ys, attempts}. An attempt more is another series.
function make_cache() {
  let spec = "", all = new Map();
  const dirty = new Set(), grown = new Set();

  function put(series, fresh, points) {
    const old = all.get(series.trial), after = fresh || !old ? -Infinity : old.xs.at(-1) ?? -Infinity;
    const added = series.points.filter(([x]) => x > after);
    const xs = added.map(([x]) => x), ys = added.map(([, y]) => number_of(y) ?? NaN);
    if (after === -Infinity) all.set(series.trial, { xs, ys, attempts: old?.attempts, origin: {} });
    else if (xs.length) all.set(series.trial, { ...old, xs: old.xs.concat(xs), ys: old.ys.concat(ys), smoothed: null });
    // What was only added to gets sparser again by being fetched anew, so that a long run does not fill the tab.
    if (all.get(series.trial).xs.length > 2.5 * points) grown.add(series.trial);
  }

  async function fetch_part(ids, fields, fresh, points, signal) {
    for (let k = 0; k < ids.length; k += CHUNK) {
      const part = ids.slice(k, k + CHUNK);
      const after = fresh ? null : Math.min(...part.map((id) => all.get(id)?.xs.at(-1) ?? -1));
      // Before it is asked: what changes while the answer is on its way is not in it.
      const was = part.filter((id) => dirty.delete(id));
      const answer = await ask("/api/curves", { ...fields, trials: part.join(","), points, after }, signal).catch((e) => {
        was.forEach((id) => dirty.add(id));
        throw e;
      });
      const there = new Set(answer.series.map((s) => s.trial));
      if (fresh) part.forEach((id) => grown.delete(id));
      answer.series.forEach((s) => put(s, fresh, points));
      if (fresh) part.filter((id) => !there.has(id)).forEach((id) => all.set(id, { xs: [], ys: [] }));
    }
  }

  // Brings what is wanted up to date: whole where nothing is known, else what is new. Of very many curves a sample comes
  // first (shown() is told), then all that they are.
  async function load(trials, fields, signal, shown) {
    const points = points_for(trials.length), asked = JSON.stringify([fields, points]);
    if (asked !== spec) {
      const old = all, quick = trials.length > SAMPLED;
      all = new Map();
      try {
        await fetch_part(trials.map((t) => t.id), { ...fields, quick: quick ? 1 : null }, true, points, signal);
      } catch (e) {
        all = old;
        throw e;
      }
      spec = asked;
      if (quick) {
        trials.forEach((t) => grown.add(t.id));
        shown();
      }
    }
    const again = trials.filter((t) => !all.has(t.id) || grown.has(t.id) || (all.get(t.id).attempts ?? t.attempts) !== t.attempts);
    await fetch_part(again.map((t) => t.id), fields, true, points, signal);
    await fetch_part(trials.map((t) => t.id).filter((id) => dirty.has(id)), fields, false, points, signal);
    for (const t of trials) if (all.has(t.id)) all.get(t.id).attempts = t.attempts;
    if (all.size > 2 * trials.length + 200) {
      const wanted = new Set(trials.map((t) => t.id));
      for (const id of all.keys()) if (!wanted.has(id)) all.delete(id);
    }
  }

  return { load, get: (id) => all.get(id), changed: (ids) => ids.forEach((id) => dirty.add(id)),
    changed_all: () => all.forEach((_, id) => dirty.add(id)) };
}

// ---- colours ----

const palette = (k) => colour(`c${(k % PALETTE) + 1}`);

// From the first colour to the last over blue, green and yellow, evenly bright steps for the eye.
function ramp(share) {
  const stops = [colour("ramp1"), colour("ramp2"), colour("ramp3")].map((c) => c.match(/\d+/g).map(Number));
  const at = Math.min(1, Math.max(0, share)) * 2, k = Math.min(1, Math.floor(at)), f = at - k;
  return `rgb(${stops[k].map((v, i) => Math.round(v + (stops[k + 1][i] - v) * f)).join(",")})`;
}

// {colour_of(trial), legend: [[colour, text]]}
function paint(trials, by) {
  if (!by) {
    const at = new Map(trials.map((t, k) => [t.id, k]));
    return { colour_of: (t) => palette(at.get(t.id)),
      legend: trials.length <= IN_LEGEND ? trials.map((t, k) => [palette(k), t.name]) : [] };
  }
  const values = new Map(trials.map((t) => [t.id, value_of(t.row, by)]));
  const distinct = [...new Set([...values.values()].filter((v) => v !== null))];
  const numbers = distinct.length > 3 && distinct.every((v) => typeof v === "number" && Number.isFinite(v));
  distinct.sort(numbers ? (a, b) => a - b : undefined);
  if (!numbers || distinct.length <= PALETTE) {
    const of = (v) => (v === null ? colour("muted") : numbers ? ramp(distinct.indexOf(v) / (distinct.length - 1)) : palette(distinct.indexOf(v)));
    return { colour_of: (t) => of(values.get(t.id)), legend: distinct.slice(0, IN_LEGEND).map((v) => [of(v), `${by} ${short(v)}`]) };
  }
  const low = distinct[0], high = distinct.at(-1), log = low > 0 && high / low >= 30;
  const share = (v) => (log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low));
  return { colour_of: (t) => (values.get(t.id) === null ? colour("muted") : ramp(share(values.get(t.id)))),
    legend: [0, 0.5, 1].map((s) => [ramp(s), `${by} ${short(log ? low * (high / low) ** s : low + s * (high - low))}`]) };
}

// ---- the figure ----

function read_zoom() {
  const [x0, x1, y0 = "", y1 = ""] = place.list("zoom", "~");
  return x1 === undefined ? null : { x0: Number(x0), x1: x1 === "" ? Infinity : Number(x1), y0: y0 === "" ? NaN : Number(y0), y1: y1 === "" ? NaN : Number(y1) };
}
const digits = (v) => (Number.isFinite(v) ? Number(v.toPrecision(6)) : "");
const tell_zoom = (z) => place.set({ zoom: z && [z.x0, z.x1, ...(Number.isFinite(z.y0) ? [z.y0, z.y1] : [])].map(digits).join("~") });

// on: {hot(id or null)}
export function make_curves(on) {
  const cache = make_cache(), select = { key: element("select"), most: element("select"), colour: element("select") };
  const slider = element("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: place.get("smooth", "0"), list: null });
  const log = element("input", { type: "checkbox", checked: place.get("log") === "1" });
  const whole = button("Show all steps", {}, () => tell_zoom(null)), legend = element("ul", { class: "key" });
  const note = element("p", { class: "note" }), numbers = element("details", {}, element("summary", {}, "The curves in numbers"));
  const chart = make_chart("Curves by step", { zoom: tell_zoom, hot: (id) => on.hot(id) });
  let trials = [], total = 0, keys = [], keys_for = "", closed = false;

  const figure = element("section", { class: "curves", "aria-labelledby": "h-curves" }, element("h2", { id: "h-curves" }, "Curves"),
    element("p", { class: "row" }, element("label", {}, "Metric ", select.key), element("label", {}, "Colour ", select.colour),
      element("label", {}, "Smoothing ", slider), element("label", {}, log, " logarithmic"),
      element("label", {}, "At most ", select.most), whole), chart.element, legend, note, numbers);

  const key_now = () => place.get("key") || keys[0]?.key || "";
  const wanted = () => trials.slice(0, Number(place.get("most")) || mosts[1]);

  function options(e, list, chosen) {
    const text = JSON.stringify([list, chosen]);
    if (e.is === text) return;
    e.is = text;
    e.replaceChildren(...list.map(([value, name]) => element("option", { value, selected: value === chosen }, name ?? value)));
    e.value = chosen;
  }

  const load = paced("curves", async (signal) => {
    const list = wanted(), ids = list.map((t) => t.id);
    if (!ids.length) return draw();
    // Again each time: a program may come to a metric late.
    const few = ids.slice(0, CHUNK).join(","), asked = ask("/api/keys", { trials: few }, signal).then((a) => { keys = a.keys; });
    if (few !== keys_for || !keys.length) await asked;
    keys_for = few;
    const key = key_now();
    if (!key) return draw();
    const z = read_zoom();
    await Promise.all([asked, cache.load(list, { key, from: z && Math.floor(z.x0), to: z && Number.isFinite(z.x1) ? Math.ceil(z.x1) : null },
      signal, draw)]);
    draw();
  });

  function series_of(list, weight) {
    return list.map((t) => {
      const s = cache.get(t.id);
      if (!s?.xs.length) return null;
      if (s.weight !== weight) Object.assign(s, { weight, origin: {}, smoothed: null });
      s.smoothed ??= smooth(s.ys, weight);
      return { id: t.id, name: t.name, xs: s.xs, ys: s.smoothed, raw: weight > 0 && list.length <= RAW_MOST ? s.ys : null,
        origin: s.origin, t };
    }).filter(Boolean);
  }

  function draw() {
    if (closed) return;
    const list = wanted(), key = key_now(), by = place.get("colour");
    const series = series_of(list, Number(place.get("smooth", "0")));
    const paints = paint(series.map((s) => s.t), by);
    for (const s of series) s.colour = paints.colour_of(s.t);
    const words = `${key} by step: ${many(series.length, "curve")}`;
    chart.show({ series, zoom: read_zoom(), log: log.checked, label: `${words}; the same in numbers below` });
    options(select.key, keys.map((k) => [k.key]), key);
    const swatch = ([c, text]) => {
      const dot = element("span", { class: "swatch" });
      dot.style.backgroundColor = c;
      return element("li", {}, dot, text);
    };
    const of = JSON.stringify(paints.legend);
    if (legend.is !== of) legend.replaceChildren(...paints.legend.map(swatch));
    legend.is = of;
    whole.hidden = !place.get("zoom");
    for (const e of [figure.children[1], chart.element, numbers]) e.hidden = !key;
    if (!key) {
      note.textContent = trials.length ? "None of these trials has a curve." : "";
      return;
    }
    note.textContent = `${many(series.length, "curve")}${total > list.length ? ` of the first ${list.length} of ${many(total, "trial")} of the table` : ""}. `
      + "Drag to zoom, point at a line to see whose it is.";
    if (numbers.open) write_numbers(series, key);
  }

  function write_numbers(series, key) {
    const rows = series.slice(0, IN_NUMBERS).map((s) => {
      const finite = (s.raw ?? s.ys).filter(Number.isFinite);
      return element("tr", {}, element("th", { scope: "row" }, s.name), [s.xs.at(-1), s.ys.at(-1), Math.min(...finite), Math.max(...finite)]
        .map((v) => element("td", { class: "num" }, finite.length ? short(v) : "–")));
    });
    numbers.replaceChildren(numbers.firstChild, element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The curves in numbers" },
      element("table", {}, element("caption", {}, `${key}${series.length > IN_NUMBERS ? `, the first ${IN_NUMBERS}` : ""}`),
        element("thead", {}, element("tr", {}, ["Trial", "Last step", "Last value", "Lowest", "Highest"].map((h, k) =>
          element("th", { scope: "col", class: k ? "num" : null }, h)))), element("tbody", {}, rows))));
  }

  select.key.addEventListener("change", () => place.set({ key: select.key.value, zoom: null }));
  select.most.addEventListener("change", () => place.set({ most: select.most.value }));
  select.colour.addEventListener("change", () => place.set({ colour: select.colour.value }));
  slider.addEventListener("input", settled(() => place.set({ smooth: slider.value === "0" ? null : slider.value }), 30));
  log.addEventListener("change", () => place.set({ log: log.checked ? "1" : null }));
  numbers.addEventListener("toggle", draw);
  document.addEventListener("colours", draw);

  return {
    element: figure,
    hot: chart.hot,
    // list: [{id, name, attempts, row}] in the table's order; columns: names that curves may be coloured by.
    show(list, columns = []) {
      const before = wanted().map((t) => t.id).join();
      trials = list;
      total = list.length;
      options(select.most, mosts.filter((n) => n <= mosts[1] || mosts.some((m) => m < n && m < total) || String(n) === place.get("most")).map((n) => [String(n), `${n} curves`]), place.get("most") || String(mosts[1]));
      options(select.colour, [["", "by trial"], ...columns.map((c) => [c, `by ${c}`])], place.get("colour"));
      if (wanted().map((t) => t.id).join() !== before) load();
    },
    placed(changed) {
      slider.value = place.get("smooth", "0");
      log.checked = place.get("log") === "1";
      if (["key", "zoom", "most"].some((n) => changed.has(n))) load(true);
      if (["smooth", "log", "colour", "zoom"].some((n) => changed.has(n))) draw();
    },
    changed(event) {
      if (event.all) cache.changed_all();
      else cache.changed(event.trials);
      const mine = new Set(wanted().map((t) => t.id));
      if (event.all || event.trials.some((id) => mine.has(id))) load();
    },
    close() {
      closed = true;
      load.close();
      chart.close();
      document.removeEventListener("colours", draw);
    },
  };
}
