// The trials of a sweep or an experiment: state, table, curves, parallel coordinates, all of one selection.
import { button, element, many, say, settled } from "./base.js";
import { choose_columns } from "./columns.js";
import { make_curves } from "./curves.js";
import { ask, paced } from "./link.js";
import { make_parallel } from "./parallel.js";
import * as place from "./place.js";
import { columns_of, filtered, items_of, parse_sort, within } from "./rows.js";
import { make_sweep } from "./sweep.js";
import { make_table } from "./table.js";

const MOST = 10000, FEW = 100; // trials that the page has; that are asked for one by one
const ids_text = (set) => [...set].join(",");

export function make_trials(on_title) {
  const sweep = Number(place.get("sweep")) || 0, experiment = Number(place.get("experiment")) || 0;
  const state = sweep ? make_sweep(sweep, (name) => rename(name)) : null;
  const heading = element("h1", {}, sweep ? `Sweep ${sweep}` : experiment ? `Experiment ${experiment}` : "All trials");
  const search = element("input", { type: "search", id: "filter", autocomplete: "off", spellcheck: "false", value: place.get("q"),
    placeholder: "lora rank>=8 state=running", "aria-label": "Filter the trials: words, or comparisons such as rank>=8" });
  const flat = element("input", { type: "checkbox", checked: place.get("flat") !== "1" });
  const count = element("output", { class: "note" }), look = element("p", { class: "note" }), picked_bar = element("span", { class: "picked" });
  const table = make_table("Trials", "Table of trials", { sort, unfold, pick, hot, href: (id) => place.elsewhere({ view: "trial", trial: id }) });
  const curves = make_curves({ hot }), parallel = make_parallel({ hot });
  let answer = null, picked = new Set(place.numbers("pick")), states = new Map();

  const toolbar = element("p", { class: "row tools" }, element("label", {}, "Filter ", search), count,
    element("label", {}, flat, " seeds together"), button("Columns…", {}, () => answer && choose_columns(answer)), picked_bar);
  const root = element("div", { class: "trials-view" }, heading, state?.element, element("div", { class: "board" },
    element("section", { class: "list", "aria-labelledby": "h-trials" }, element("h2", { id: "h-trials" }, "Trials"), toolbar, table.element, look),
    element("div", { class: "pictures" }, curves.element, parallel.element)));

  function rename(name) {
    heading.textContent = name;
    on_title(name);
  }

  // ---- what is shown ----

  let pending = null; // trials that changed since the last answer; null: all is to be asked for
  const scope = { sweep: sweep || null, experiment: experiment || null };

  async function ask_all(signal) {
    const large = answer && answer.total > MOST;
    const fresh = await ask("/api/trials", { ...scope, limit: MOST, summary: place.get("summary"), q: large ? place.get("q") : null,
      sort: large ? place.get("sort") : null }, signal);
    tell_changes(fresh);
    answer = fresh;
  }

  // New numbers of trials that go on as they did: their rows alone. False where more than that changed: a state, on which
  // means of groups hang, a trial or a metric that is new, a trial that is gone.
  async function ask_some(ids, signal) {
    if (ids.size > FEW) return false;
    const fresh = await ask("/api/trials", { ...scope, ids: ids_text(ids), summary: place.get("summary") }, signal);
    const at = new Map(answer.rows.map((row, k) => [row.id, k])), there = new Set(fresh.rows.map((row) => row.id));
    if ([...ids].some((id) => at.has(id) && !there.has(id))) return false; // deleted
    if (fresh.columns.length !== answer.columns.length || fresh.rows.some((row) => answer.rows[at.get(row.id)]?.state !== row.state))
      return false;
    for (const row of fresh.rows) answer.rows[at.get(row.id)] = row;
    return true;
  }

  const load = paced("trials", async (signal) => {
    const ids = pending;
    pending = new Set();
    try {
      if (!ids || !(await ask_some(ids, signal))) await ask_all(signal);
    } catch (e) {
      pending = null;
      throw e;
    }
    show();
  });

  // Aloud: how many trials came to which state since the last look.
  function tell_changes(fresh) {
    const came = {};
    for (const row of fresh.rows)
      if (states.size && states.get(row.id) !== row.state) came[row.state] = (came[row.state] ?? 0) + 1;
    states = new Map(fresh.rows.map((row) => [row.id, row.state]));
    const text = Object.entries(came).map(([word, n]) => `${many(n, "trial")} now ${word}`).join(", ");
    if (text) say(text);
  }

  function show() {
    if (!answer) return;
    const found = filtered(answer.rows, place.get("q")), rows = within(found, place.ranges());
    const columns = columns_of(answer, place.names("cols"));
    const items = items_of(answer, rows, { sort: place.get("sort"), flat: place.get("flat") === "1", unfolded: new Set(place.numbers("open")) });
    table.show({ items, columns, sort: place.get("sort"), picked });
    parallel.show(answer, found);
    const order = items.flatMap((i) => (i.group ? (i.unfolded ? [] : i.members) : [i.row]));
    const chosen = picked.size ? order.filter((row) => picked.has(row.id)) : order;
    curves.show(chosen.map((row) => ({ id: row.id, name: `#${row.id} ${row.name ?? ""}`, attempts: row.values.attempts, row })), answer.varying);
    const of = answer.total > answer.rows.length ? `${many(answer.total, "trial")}, the first ${answer.rows.length} here` : many(answer.total, "trial");
    count.textContent = rows.length === answer.rows.length ? of : `${rows.length} of ${of}`;
    look.textContent = [look_of(), Object.keys(answer.constant ?? {}).length ? `The same for all: ${Object.entries(answer.constant)
      .slice(0, 30).map(([k, v]) => `${k} ${typeof v === "object" ? JSON.stringify(v) : v}`).join(", ")}` : null].filter(Boolean).join(" ");
    write_picked();
  }

  // How far the intervals go: that they hold at every look, or not.
  function look_of() {
    const holds = new Set(answer.groups.filter((g) => g.n > 1).flatMap((g) => Object.values(g.metrics ?? {}).map((m) => m.holds)));
    return holds.has("this look") ? "Intervals of groups that still change hold for this look only, not for the best of many looks." : null;
  }

  function write_picked() {
    const n = picked.size;
    picked_bar.replaceChildren(...(n ? [element("a", { class: "button", href: place.address({ view: "compare" }) },
      `Compare ${n}`), button(`Choose none of ${n}`, {}, () => pick([...picked], false))] : []));
  }

  // ---- what is done ----

  function sort(column) {
    const now = parse_sort(place.get("sort")), first = column.better === "high" ? -1 : 1;
    const next = now?.column !== column.name ? first : now.direction === first ? -first : 0;
    place.set({ sort: next ? `${column.name}:${next < 0 ? "desc" : "asc"}` : null });
  }

  function unfold(id) {
    const open = new Set(place.numbers("open"));
    if (!open.delete(id)) open.add(id);
    place.set({ open: ids_text(open) });
  }

  function pick(ids, yes) {
    const next = new Set(picked);
    ids.forEach((id) => (yes ? next.add(id) : next.delete(id)));
    place.set({ pick: ids_text(next) });
  }

  function hot(id) {
    table.hot(id);
    curves.hot(id);
    parallel.hot(id);
  }

  search.addEventListener("input", settled(() => place.set({ q: search.value.trim() }), 120));
  flat.addEventListener("change", () => place.set({ flat: flat.checked ? null : "1" }));
  load();
  if (experiment && !sweep)
    ask("/api/overview").then((all) => rename(all.experiments.find((e) => e.id === experiment)?.name ?? `Experiment ${experiment}`), () => {});

  return {
    element: root, table,
    placed(changed) {
      picked = new Set(place.numbers("pick"));
      if (document.activeElement !== search) search.value = place.get("q");
      flat.checked = place.get("flat") !== "1";
      const large = answer?.total > MOST && (changed.has("q") || changed.has("sort"));
      if (changed.has("summary") || large) {
        pending = null;
        load(true);
      }
      const pictures = ["key", "zoom", "smooth", "log", "colour", "most"];
      if ([...changed].some((n) => !pictures.includes(n))) show();
      curves.placed(changed);
    },
    changed(event) {
      if (event.all) pending = null;
      event.trials.forEach((id) => pending?.add(id));
      if (!pending || pending.size) load();
      curves.changed(event);
      state?.changed(event);
    },
    find: () => search.focus(),
    close() {
      load.close();
      curves.close();
      parallel.close();
      state?.close();
    },
  };
}
