// Chosen trials side by side: what differs first, then metrics, then the rest; and their curves together.
import { element, number_of, patch_children, shown } from "./base.js";
import { make_curves } from "./curves.js";
import { ask, paced } from "./link.js";
import * as place from "./place.js";
import { trial_link } from "./sweep.js";

// What tells one from the others, in a few words.
const label_of = (differs, k) => Object.entries(differs ?? {}).slice(0, 3).filter(([, list]) => list[k] !== null)
  .map(([key, list]) => `${key}=${shown(key, list[k])}`).join(" ");

function side_by_side(caption, ids, values, better) {
  const rows = Object.entries(values ?? {});
  if (!rows.length) return null;
  const head = (id) => element("th", { scope: "col" }, trial_link(id));
  const best_of = (key, list) => {
    const known = list.map(number_of).filter((v) => typeof v === "number" && Number.isFinite(v)), way = better?.get(key);
    return way && known.length > 1 ? (way === "high" ? Math.max(...known) : Math.min(...known)) : null;
  };
  return element("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, element("table", { class: "beside" },
    element("caption", {}, caption), element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Name"), ids.map(head))),
    element("tbody", {}, rows.map(([key, list]) => {
      const best = best_of(key, list);
      return element("tr", {}, element("th", { scope: "row" }, key), list.map((v) => element("td", {
        class: best !== null && number_of(v) === best ? "best" : null }, shown(key, v),
      best !== null && number_of(v) === best ? element("small", {}, "best") : null)));
    }))));
}

export function make_compare() {
  const ids = place.numbers("pick"), root = element("div"), curves = make_curves({ hot() {} });
  curves.element.id = "curves";
  curves.element.dataset.keep = true;

  const load = paced("compare", async (signal) => {
    if (!ids.length) {
      patch_children(root, [element("h1", {}, "Compare"), element("p", {}, "No trial is chosen.")]);
      return;
    }
    const data = await ask("/api/compare", { trials: ids.join(",") }, signal);
    const better = new Map((data.judged_by ?? []).map((o) => [o.name, o.goal === "maximize" ? "high" : "low"]));
    patch_children(root, [element("h1", {}, `${ids.length} trials side by side`),
      side_by_side("What differs", data.trials, data.differs) ?? element("p", {}, "Their configurations are the same."),
      side_by_side("Metrics", data.trials, data.metrics, better), side_by_side("Facts", data.trials, data.facts), curves.element].filter(Boolean));
    curves.show(data.trials.map((id, k) => ({ id, name: `#${id} ${data.names?.[k] ?? label_of(data.differs, k)}`, row: { id, values: {} } })));
  }, 400);

  load();
  return {
    element: root,
    placed: curves.placed,
    changed(event) {
      if (!event.all && !event.trials.some((id) => ids.includes(id))) return;
      load();
      curves.changed(event);
    },
    close() {
      load.close();
      curves.close();
    },
  };
}
