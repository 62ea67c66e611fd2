// A trial: what it was, what it did, what it made, what it cost so far; its curves and its log as they come.
import { actions } from "./act.js";
import { bytes, dollars, duration, element, facts, many, moment, number_of, patch_children, plain_table, short, shown, state_mark } from "./base.js";
import { make_curves } from "./curves.js";
import { ask, paced } from "./link.js";
import { make_log } from "./log.js";
import * as place from "./place.js";

// {a: {b: 1}} as [["a.b", 1]]
function flat(tree, prefix = "") {
  return Object.entries(tree ?? {}).flatMap(([k, v]) =>
    (v !== null && typeof v === "object" && !Array.isArray(v) && Object.keys(v).length ? flat(v, `${prefix}${k}.`) : [[prefix + k, v]]));
}

const pairs = (caption, tree) => plain_table(caption, ["Name", "Value"], flat(tree).sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([k, v]) => [k, shown(k, v)]));

const more = (id, open, summary, ...children) => {
  const e = element("details", { id }, element("summary", {}, summary), children);
  e.open = open;
  return e;
};

// Of "mem/..._bytes" these are no categories but sums of them, or of all that the process has.
const SUMS = /^(peak|planned|predicted|allocated|shared|host|total)/;

function memory_of(data) {
  const parts = Object.entries(data.memory ?? {}).map(([name, n]) => ({ name, bytes: number_of(n) }))
    .filter((p) => p.bytes > 0 && !SUMS.test(p.name)).sort((a, b) => b.bytes - a.bytes), all = parts.reduce((n, p) => n + p.bytes, 0);
  if (!parts.length) return null;
  const bar = element("span", { class: "bar memory", role: "img", "aria-label": parts.map((p) => `${p.name} ${bytes(p.bytes)}`).join(", ") });
  const key = element("ul", { class: "key" });
  parts.forEach((p, k) => {
    const piece = element("span", { class: `p${(k % 8) + 1}`, title: `${p.name}: ${bytes(p.bytes)}` });
    piece.style.flexGrow = p.bytes / all;
    bar.append(piece);
    key.append(element("li", {}, element("span", { class: `swatch p${(k % 8) + 1}` }), `${p.name} ${bytes(p.bytes)}`));
  });
  return element("section", { id: "memory", "aria-labelledby": "h-memory" }, element("h2", { id: "h-memory" }, "Memory by category"), bar, key);
}

function head_facts(data) {
  const run = data.runs?.at(-1), cost = data.cost, memory = data.memory ?? {};
  const ms = run?.started_ms && !run.ended_ms ? Date.now() - run.started_ms : data.duration_ms ?? 0;
  const peak = memory.peak_device ?? memory.peak_rss ?? memory.peak;
  return facts([["State", state_mark(data.state), data.reason], ["Seed", String(data.seed)],
    data.sweep ? ["Sweep", element("a", { href: place.elsewhere({ view: "trials", sweep: data.sweep }) }, data.sweep_name ?? `#${data.sweep}`)] : null,
    data.experiment ? ["Experiment", element("a", { href: place.elsewhere({ view: "trials", experiment: data.experiment }) }, data.experiment_name ?? `#${data.experiment}`)] : null,
    data.method ? ["Method", data.method] : null, ["Attempts", String(data.attempts ?? data.runs?.length ?? 0)],
    run?.started_ms ? ["Began", moment(run.started_ms)] : null,
    ["Time so far", duration(ms / 1000), data.predicted_s ? `predicted ${duration(data.predicted_s)}` : null],
    ["Cost so far", cost ? dollars(cost.usd) : "–", cost ? `${short(cost.hours)} ${cost.of} at ${dollars(cost.usd_per_hour)}, a price that is ${cost.price}` : null],
    peak ? ["Peak memory", bytes(peak), data.predicted_bytes > 0 ? `predicted ${bytes(data.predicted_bytes)}` : null] : null]);
}

function metrics_of(data) {
  const series = new Map((data.series ?? []).map((s) => [s.key, s])), rows = Object.entries(data.metrics ?? {});
  for (const key of series.keys()) if (!(key in (data.metrics ?? {}))) rows.push([key, null]);
  return plain_table("Metrics", ["Metric", "!Value", "!Lowest", "!Highest", "!Points", "!Last step"], rows.map(([key, v]) => {
    const s = series.get(key);
    return [key, shown(key, v), ...(s ? [short(s.min), short(s.max), String(s.points), String(s.last_step)] : ["–", "–", "–", "–"])];
  }));
}

function parts_of(data) {
  const runs = data.runs ?? [], environment = runs.at(-1)?.environment ?? data.environment;
  const artifact = (a) => [a.href ? element("a", { href: a.href, download: "" }, a.name) : a.name, bytes(a.bytes ?? 0), moment(a.at_ms),
    element("code", {}, (a.sha256 ?? "").slice(0, 12))];
  return [memory_of(data), more("metrics", true, "Metrics", metrics_of(data)),
    more("configuration", true, "Configuration", pairs("Configuration", data.config)),
    data.logged?.length ? more("logged", true, "Logged by its program", plain_table("Logged by its program", ["Name", "Value"],
      data.logged.map((p) => [p.key, shown(p.key, p.value)]))) : null,
    data.inputs?.length ? more("inputs", true, many(data.inputs.length, "data set"), plain_table("Data sets",
      ["Name", "For", "Digest", "From"], data.inputs.map((d) => [d.name, d.context ?? "–", element("code", {}, d.digest), d.source ?? "–"]))) : null,
    environment ? more("environment", false, "Environment", pairs("Environment", environment)) : null,
    data.artifacts?.length ? more("artifacts", true, many(data.artifacts.length, "artifact"),
      plain_table("Artifacts", ["Name", "!Size", "Made", "SHA-256"], data.artifacts.map(artifact))) : null,
    runs.length ? more("attempts", runs.length > 1, many(runs.length, "attempt"), plain_table("Attempts",
      ["!Attempt", "State", "Began", "!Time", "Reason", "Folder"], runs.map((r) => [String(r.attempt), state_mark(r.state), moment(r.started_ms),
        duration((r.duration_ms ?? 0) / 1000), r.reason ?? "–", r.run_dir ?? "–"]))) : null,
    data.events?.length ? more("events", false, many(data.events.length, "event"), plain_table("Events", ["When", "What", "Text"],
      data.events.map((e) => [moment(e.at_ms), e.kind, e.text ?? ""]))) : null].filter(Boolean);
}

function tags_of(data) {
  const tags = Array.isArray(data.tags) ? data.tags.map((t) => [t.key, t.value]) : Object.entries(data.tags ?? {});
  return [data.note ? element("p", { class: "notice" }, data.note) : null,
    tags.length ? element("p", {}, tags.map(([k, v]) => element("span", { class: "pill" }, v === null || v === "" ? k : `${k}: ${v}`))) : null];
}

export function make_trial(on_title) {
  const id = Number(place.get("trial")), root = element("div");
  const curves = make_curves({ hot() {} });
  curves.element.id = "curves";
  curves.element.dataset.keep = true;
  let log = null, data = null;

  const load = paced("trial", async (signal) => {
    data = await ask(`/api/trial/${id}`, {}, signal);
    const args = { trial: String(id) }, given = { clone: args, seeds: args, note: args, tag: { trials: String(id) }, retire: args };
    if (!["running", "waiting", "preempted"].includes(data.state)) delete given.retire;
    if (!data.sweep) for (const verb of ["clone", "seeds", "retire"]) delete given[verb];
    if (!log && data.logs?.length) log = make_log(id);
    log?.names(data.logs);
    const name = data.name ?? data.label ?? "";
    patch_children(root, [element("h1", {}, `Trial ${id}`), element("p", { class: "sub" }, name), head_facts(data),
      ...tags_of(data), more("acts", false, "Clone, add seeds, note: the commands", actions(given)), curves.element, ...parts_of(data),
      log?.element].filter(Boolean));
    curves.show([{ id, name: `#${id} ${name}`, attempts: data.attempts, row: { id, values: {} } }]);
    on_title(`trial ${id}`, data);
  }, 400);

  load();
  return {
    element: root,
    placed: curves.placed,
    changed(event) {
      if (!event.all && !event.trials.includes(id)) return;
      load();
      log?.changed();
      curves.changed(event);
    },
    close() {
      load.close();
      log?.close();
      curves.close();
    },
  };
}
