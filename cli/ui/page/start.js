// Which view is shown, the way back, light and dark, the keys, and the events of the server handed to whoever is shown.
import { button, element, trouble } from "./base.js";
import { forget_colours } from "./chart.js";
import { make_compare } from "./compare.js";
import { ask, listen } from "./link.js";
import { make_overview } from "./overview.js";
import * as place from "./place.js";
import { make_trial } from "./trial.js";
import { make_trials } from "./trials.js";

const main = document.getElementById("main"), crumbs = document.getElementById("crumbs");
const views = { "": make_overview, trials: make_trials, trial: make_trial, compare: make_compare };
// What a view is of: another of these is another view, all else is the same one changed.
const identity = { "": [], trials: ["sweep", "experiment"], trial: ["trial"], compare: ["pick"] };
let view = null, shown = null;

function write_title(text, data) {
  const parts = [element("a", { href: "#" }, "All")];
  if (data?.sweep) parts.push(element("a", { href: place.elsewhere({ view: "trials", sweep: data.sweep }) }, data.sweep_name ?? `sweep ${data.sweep}`));
  if (place.get("view") === "compare") parts.push(element("a", { href: place.address({ view: "trials" }) }, "Trials"));
  if (text) parts.push(element("span", { "aria-current": "page" }, text));
  crumbs.replaceChildren(...parts.flatMap((p, k) => (k ? [" / ", p] : [p])));
  document.title = text ? `${text} - peftlab` : "peftlab";
}

function show() {
  const name = Object.hasOwn(views, place.get("view")) ? place.get("view") : "";
  const key = JSON.stringify([name, ...identity[name].map((n) => place.get(n))]);
  if (key === shown) return false;
  view?.close();
  trouble(null, null);
  const first = shown === null;
  shown = key;
  const made = (view = views[name]((text, data) => view === made && write_title(text, data)));
  main.replaceChildren(made.element);
  write_title(name === "compare" ? "compare" : name === "trial" ? `trial ${place.get("trial")}` : name === "trials" ? main.querySelector("h1").textContent : "");
  if (!first) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  return true;
}

// ---- the addresses that MLflow's clients print: #/experiments/1/runs/ID ----

async function go_where_printed() {
  const [, experiment, run] = location.hash.match(/^#\/experiments\/(\d+)(?:\/runs\/[0-9a-f]{16}([0-9a-f]{16}))?/) ?? [];
  if (!experiment) return;
  const there = run ? await ask(`/api/run/${BigInt(`0x${run}`)}`).catch(() => ({})) : {};
  if (there.trial) location.replace(place.elsewhere({ view: "trial", trial: there.trial }));
  else location.replace(place.elsewhere(+experiment ? { view: "trials", experiment } : {}));
}
addEventListener("hashchange", go_where_printed);

// ---- light and dark ----

const THEME = "peftlab-theme", next_theme = { "": "dark", dark: "light", light: "" };
const words = { "": "system", dark: "dark", light: "light" };
const theme_button = button("", { title: "Light, dark, or as the system says" }, () => set_theme(next_theme[localStorage.getItem(THEME) ?? ""]));
function set_theme(name) {
  if (name) localStorage.setItem(THEME, name);
  else localStorage.removeItem(THEME);
  document.documentElement.dataset.theme = name;
  theme_button.textContent = `Colours: ${words[name]}`;
  forget_colours();
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forget_colours);

// ---- keys ----

const help = [["/", "to the filter"], ["j k", "down and up the rows"], ["x", "choose the row"], ["Enter", "open the trial, unfold the seeds"],
  ["+ - 0", "in a chart: zoom in, out, all"], ["g", "to all sweeps"], ["?", "these keys"]];

function show_help() {
  const dialog = element("dialog", { "aria-labelledby": "h-keys" }, element("h2", { id: "h-keys" }, "Keys"),
    element("dl", { class: "keys" }, help.map(([key, text]) => [element("dt", {}, element("kbd", {}, key)), element("dd", {}, text)])),
    element("p", {}, button("Close", { class: "main" }, () => dialog.close())));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

const keys = {
  "/": () => view.find?.(), j: () => view.table?.move(1), k: () => view.table?.move(-1), x: () => view.table?.toggle_pick(),
  g: () => { location.hash = "#"; }, "?": show_help,
};
// Enter on a row itself; on what stands in it the browser knows what to do.
const row_keys = { Enter: () => view.table?.open(), ArrowDown: keys.j, ArrowUp: keys.k };

addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
  if (e.key === "Escape" && e.target.matches?.("#filter")) return e.target.blur();
  if (e.target.matches?.("input:not([type=checkbox]):not([type=range]), textarea, select")) return;
  const act = keys[e.key] ?? (e.target.matches?.("tr[data-id]") ? row_keys[e.key] : null);
  if (!act) return;
  e.preventDefault();
  act();
});

// ---- begin ----

const live = element("span", { class: "live", title: "Whether changes come by themselves" }, "connecting");
document.getElementById("tools").append(live, button("Keys", { title: "What keys do (?)" }, show_help), theme_button);
document.querySelector(".mark").href = "#";
document.querySelector(".skip").addEventListener("click", (e) => {
  e.preventDefault();
  main.focus();
});
set_theme(localStorage.getItem(THEME) ?? "");
place.on_change((changed) => show() || view.placed(changed));
show();
go_where_printed();
listen((event) => view.changed(event), (state) => {
  live.textContent = state;
  live.dataset.state = state;
});
