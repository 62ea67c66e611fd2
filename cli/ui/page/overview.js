// All of the store: its sweeps, newest first, and its experiments.
import { ago, counts_bar, element, many, patch_children, plain_table, say } from "./base.js";
import { ask, paced } from "./link.js";
import * as place from "./place.js";

const link = (changes, text) => element("a", { href: place.elsewhere({ view: "trials", ...changes }) }, text);

function sweep_row(sweep, names) {
  const open = ["running", "waiting", "preempted"].some((s) => sweep.counts[s]);
  return [link({ sweep: sweep.id }, sweep.name), names.get(sweep.experiment) ?? "–", counts_bar(sweep.counts),
    many(Object.values(sweep.counts).reduce((a, b) => a + b, 0), "trial"),
    sweep.stopped ? "stopped" : sweep.counts.running ? "runs" : open ? "waits" : "done", ago(sweep.last_ms)];
}

export function make_overview() {
  const root = element("div");

  const load = paced("overview", async (signal) => {
    const data = await ask("/api/overview", {}, signal);
    const names = new Map(data.experiments.map((e) => [e.id, e.name]));
    const newest = (list) => [...list].sort((a, b) => (b.last_ms ?? 0) - (a.last_ms ?? 0));
    const running = data.sweeps.reduce((n, s) => n + (s.counts.running ?? 0), 0);
    const fresh = [element("h1", {}, "Sweeps and experiments"),
      element("p", { class: "sub" }, `${many(data.sweeps.length, "sweep")}, ${many(data.experiments.reduce((n, e) => n + e.trials, 0), "trial")}, `
        + `${running} running`)];
    if (data.sweeps.length)
      fresh.push(plain_table("Sweeps", ["Sweep", "Experiment", "States", "Trials", "Now", "Last word"],
        newest(data.sweeps).map((s) => sweep_row(s, names))));
    if (data.experiments.length)
      fresh.push(plain_table("Experiments", ["Experiment", "!Trials", "!Sweeps", "Last word"],
        newest(data.experiments).map((e) => [link({ experiment: e.id }, e.name), String(e.trials), String(e.sweeps), ago(e.last_ms)])));
    else
      fresh.push(element("p", {}, "Nothing is in this store yet. ", element("code", {}, "peftlab sweep run FILE"),
        " fills it, and so does any program that logs to this address as to an MLflow server."));
    patch_children(root, fresh);
    say(`${running} trials running`);
  }, 500);

  load();
  return { element: root, title: "all", crumbs: [], placed() {}, changed: () => load(), close: load.close };
}
