// What the page knows of itself: its configurations, and small helpers for all parts.
"use strict";

// element("button", {type: "button", class: "sort"}, "text", child, ...)
function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "circle", "line", "text", "g", "title", "rect"].includes(tag);
  const e = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null && value !== false) e.setAttribute(name, value === true ? "" : value);
  e.append(...children);
  return e;
}

// A number with as many digits as a picture needs.
function short(v) {
  if (v === null) return "–";
  if (typeof v !== "number") return String(v);
  return String(Number(v.toPrecision(4)));
}

// An axis is a measure or a parameter: its values by configuration, the distinct ones in
// order, and the place of each among them (-1: no value).
function axis_of(label, unit, values) {
  const known = values.filter((v) => v !== null);
  const numbers = known.length > 0 && known.every((v) => typeof v === "number");
  if (!numbers) values = values.map((v) => (v === null ? null : String(v)));
  const distinct = [...new Set(values.filter((v) => v !== null))];
  distinct.sort(numbers ? (a, b) => a - b : undefined);
  const log = numbers && distinct[0] > 0 && distinct.at(-1) >= 8 * distinct[0];
  const index = new Map(distinct.map((v, at) => [v, at]));
  const places = values.map((v) => (v === null ? -1 : index.get(v)));
  return { label, unit, values, numbers, distinct, places, log, name: unit ? `${label}, ${unit}` : label };
}

// {rows: [{i, name, group, chosen, seeds}], axes, best: "highest" or "lowest"}
const page = (() => {
  const block = document.getElementById("report-data");
  const data = block ? JSON.parse(block.content.textContent).configurations : null;
  if (!data) return { rows: [], axes: [], measures: [], best: "highest" };
  const first = 4, parameters = data.parameters.length;
  const rows = data.rows.map((r, i) => {
    const group = data.groups[r[0]], name = r[1] ? `${group} (${r[1]})` : group;
    return { i, name, group, chosen: r[2], seeds: r[3] };
  });
  const column = (k) => data.rows.map((r) => r[k]);
  const measures = data.measures.map((m, k) => axis_of(m.name, m.unit, column(first + parameters + k)));
  const others = data.parameters.map((key, k) => axis_of(key, "", column(first + k)));
  const useful = (a) => a.distinct.length > 1 && (a.numbers || a.distinct.length <= 40);
  return { rows, measures, axes: [...measures, ...others].filter(useful), best: data.best, leftOut: data.left_out };
})();
