// The state of a sweep: what runs, waits, was pruned and why, what is spent and left, its rungs, and what can be done to it.
import { actions } from "./act.js";
import { counts_bar, dollars, duration, element, facts, many, moment, number_of, patch_children, plain_table, short, state_mark } from "./base.js";
import { ask, paced } from "./link.js";
import * as place from "./place.js";

const MOST = 100; // waiting trials that are listed

export const trial_link = (id, text) => element("a", { href: place.elsewhere({ view: "trial", trial: id }) }, text ?? `#${id}`);

// Eight heights for a run's values so far.
function sparkline(curve) {
  const values = (curve ?? []).map((v) => number_of(Array.isArray(v) ? v.at(-1) : v)), known = values.filter(Number.isFinite);
  if (known.length < 2) return "";
  const low = Math.min(...known), high = Math.max(...known);
  return values.map((v) => (Number.isFinite(v) ? "▁▂▃▄▅▆▇█"[Math.round((7 * (v - low)) / (high - low || 1))] : " ")).join("");
}

function best_of(data) {
  const best = data.best, metric = data.metric?.name;
  if (!best) return null;
  const rows = best.rows ? `${many(best.rows, "row")}, one run` : many(best.n, "seed");
  const interval = number_of(best.low) === null || best.low === undefined ? `${rows}: no interval yet`
    : `95 % interval ${short(number_of(best.low))} to ${short(number_of(best.high))} (${rows}), which holds at every look`;
  return [`Best ${metric ?? ""} so far`, short(number_of(best.mean)), `${best.label}; ${interval}`];
}

function budget_of(data) {
  return (data.budget ?? []).map((b) => [`Budget: ${b.limit ?? b.unit}`, `${short(b.used)} of ${short(b.max)} ${b.unit ?? ""}`,
    `${short(Math.max(0, b.max - b.used))} left`]);
}

function used_of(data) {
  const used = data.used;
  if (!used) return null;
  const hours = used.gpu_hours > 0 ? `${short(used.gpu_hours)} GPU hours` : `${short(used.core_hours)} core hours`;
  return ["Spent so far", dollars(used.usd), `${hours}, at a price that is ${used.price}`];
}

function running_table(data) {
  if (!data.running?.length) return null;
  return plain_table("Running", ["Trial", "What", "!Step", "Metric", "!Value", "Curve", "!Since", "!Left"], data.running.map((r) => [
    trial_link(r.trial), r.label ?? "", r.step === undefined || r.step === null ? "–" : `${r.step}${r.steps ? ` of ${r.steps}` : ""}`, r.key ?? "–",
    short(number_of(r.value)), element("span", { class: "spark", "aria-hidden": "true" }, sparkline(r.curve)), duration(r.running_s),
    duration(r.seconds_left)]));
}

function reasons(data, more) {
  const out = [];
  if (data.early?.length)
    out.push(more("early", `${many(data.early.length, "trial")} ended early, and why`, () => plain_table("Ended early", ["Trial", "State", "!Step", "When", "Why"],
      data.early.map((t) => [trial_link(t.id), state_mark(t.state), short(t.step), moment(t.ended_ms), t.reason ?? "–"]))));
  if (data.waits?.length)
    out.push(more("waits", `${many(data.waits.length, "trial")} waiting`, () => plain_table("Waiting", ["Trial", "State", "!Attempts", "!Predicted"],
      data.waits.slice(0, MOST).map((t) => [trial_link(t.id), state_mark(t.state), short(t.attempts), duration(t.predicted_s)]))));
  if (data.rungs?.length)
    out.push(more("rungs", "Rungs", () => plain_table("Rungs", ["!Step", "!Sent there", "!Arrived", "!Went on"],
      data.rungs.map((r) => [r.step, r.sent, r.arrived, r.went_on].map(short)))));
  if (data.file) out.push(more("file", "The sweep file", () => element("pre", { tabindex: 0 }, JSON.stringify(data.file, null, 2))));
  return out;
}

export function make_sweep(id, on_name) {
  const root = element("section", { class: "sweep", "aria-label": "State of the sweep" });
  const unfolded = new Set(["acts"]);

  // What is folded is made when it is looked at.
  function more(id, summary, children) {
    const e = element("details", { id }, element("summary", {}, summary), unfolded.has(id) ? children() : null);
    e.open = unfolded.has(id);
    return e;
  }
  root.addEventListener("toggle", (e) => {
    if (e.target.open === unfolded.has(e.target.id)) return;
    if (e.target.open) unfolded.add(e.target.id);
    else unfolded.delete(e.target.id);
    load(true);
  }, true);

  const load = paced("sweep", async (signal) => {
    const data = await ask(`/api/sweep/${id}`, {}, signal), states = data.states ?? {};
    on_name(data.name);
    const open = (states.waiting ?? 0) + (states.preempted ?? 0) + (states.running ?? 0) + (states.stale ?? 0);
    const now = data.stopped ? "stopped" : data.controller ? "runs" : open ? "nobody is at it" : "done";
    const left = data.seconds_left === null || data.seconds_left === undefined ? null : ["Time left", duration(data.seconds_left)];
    const given = { stop: { sweep: String(id) }, resume: { sweep: String(id) }, retry: { sweep: String(id) },
      report: { sweep: String(id), output: "report.html" }, note_sweep: { sweep: String(id) }, advise: data.file?.model ? { model: data.file.model } : {} };
    if (data.stopped || !open) delete given.stop;
    if (!open || data.controller) delete given.resume;
    if (!["failed", "oom", "nan", "timeout"].some((s) => states[s])) delete given.retry;
    patch_children(root, [counts_bar(states),
      facts([["Now", now, data.why || null], ...Object.entries(states).map(([state, n]) => [state, String(n)]), left, used_of(data),
        ...budget_of(data), best_of(data)]),
      data.note ? element("p", { class: "notice" }, data.note) : null, running_table(data), ...reasons(data, more), more("acts", "Stop, resume, report: the commands", () => actions(given))].filter(Boolean));
  }, 1000);

  load();
  return { element: root, changed(event) { if (event.all || event.sweeps.includes(id) || event.trials.length) load(); }, close: load.close };
}
