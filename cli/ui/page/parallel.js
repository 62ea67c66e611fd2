// Parallel coordinates: a line per trial over its parameters and metrics. Ranges of the axes narrow the table and the curves.
import { button, element, many, short } from "./base.js";
import { colour, ticks } from "./chart.js";
import * as place from "./place.js";
import { compare, in_range, value_of } from "./rows.js";

const SIDE = 20, GAP = 64, TOP = 34, MOST_AXES = 8, NEAR = 6, CROWD = 300; // pixels; axes; lines

// What an axis knows: the values in their order, and where each lies from 0 to 1.
function axis_of(name, rows, old) {
  const values = rows.map((row) => value_of(row, name));
  if (old?.values.length === values.length && values.every((v, k) => Object.is(v, old.values[k]))) return old;
  const distinct = [...new Set(values.filter((v) => v !== null && !Number.isNaN(v)))].sort(compare);
  const numbers = distinct.length > 0 && distinct.every((v) => typeof v === "number" && Number.isFinite(v));
  const low = distinct[0], high = distinct.at(-1), log = numbers && low > 0 && high >= 8 * low;
  const index = new Map(distinct.map((v, k) => [v, k]));
  const share = (v) => {
    if (!index.has(v)) return null;
    if (!numbers) return (index.get(v) + 0.5) / distinct.length;
    if (high === low) return 0.5;
    return log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low);
  };
  return { name, values, distinct, numbers, log, low, high, share, shares: values.map(share) };
}

function marks_of(axis, room) {
  if (!axis.distinct.length) return [];
  if (!axis.numbers || axis.distinct.length <= 6) return axis.distinct;
  if (!axis.log) return [axis.low, ...ticks(axis.low, axis.high, room), axis.high];
  const out = [axis.low, axis.high];
  for (let p = Math.ceil(Math.log10(axis.low)); p <= Math.log10(axis.high); p++) out.push(Number(`1e${p}`));
  return out;
}

// A place on an axis for values that no trial has.
function share_between(axis, v) {
  if (!axis.numbers) return axis.share(v);
  return axis.log ? Math.log(v / axis.low) / Math.log(axis.high / axis.low) : (v - axis.low) / (axis.high - axis.low || 1);
}

// on: {hot(id or null)}
export function make_parallel(on) {
  const canvas = element("canvas", { role: "img" }), box = element("div", { class: "parallel", "data-keep": true }, canvas);
  const count = element("output", {}), reset = button("Take all ranges back", {}, () => place.set({ brush: null }));
  const choice = element("details", { class: "choose" }, element("summary", {}, "Axes"), element("ul"));
  const figure = element("section", { class: "coordinates", "aria-labelledby": "h-parallel" },
    element("h2", { id: "h-parallel" }, "Parallel coordinates"),
    element("p", { class: "note" }, "A line is a trial. Drag along an axis or move its handles (arrow keys): what is outside leaves the table and the curves."),
    box, element("p", { class: "row" }, count, reset, choice));
  let rows = [], axes = [], width = 0, hot = null, frame = 0, handles = [], drag = null, brushed = null;

  const y_of = (k) => TOP + k * GAP;
  const x_of = (share) => SIDE + share * (width - 2 * SIDE);

  function lines(c, list) {
    c.beginPath();
    for (const i of list) {
      let open = false;
      for (let k = 0; k < axes.length; k++) {
        const share = axes[k].shares[i];
        if (share === null) continue;
        if (open) c.lineTo(x_of(share), y_of(k));
        else c.moveTo(x_of(share), y_of(k));
        open = true;
      }
    }
    c.stroke();
  }

  function draw_axes(c) {
    c.textAlign = "center";
    axes.forEach((axis, k) => {
      c.strokeStyle = colour("muted");
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(SIDE, y_of(k) + 0.5);
      c.lineTo(width - SIDE, y_of(k) + 0.5);
      c.stroke();
      let last = -Infinity;
      const marks = marks_of(axis, width / 110).map((v) => [v, x_of(share_between(axis, v) ?? 0)]).sort((a, b) => a[1] - b[1]);
      for (const [v, x] of marks) {
        let text = short(v);
        if (text.length > 14) text = `${text.slice(0, 13)}…`;
        const half = text.length * 3.4;
        if (x - half < last + 6) continue;
        last = x + half;
        write(c, text, Math.max(half + 2, Math.min(width - half - 2, x)), y_of(k) + 19, colour("muted"));
      }
      c.textAlign = "left";
      write(c, axis.name, SIDE - 14, y_of(k) - 17, colour("ink"));
      c.textAlign = "center";
    });
  }

  // Readable on top of lines.
  function write(c, text, x, y, ink) {
    c.strokeStyle = colour("paper");
    c.lineWidth = 4;
    c.strokeText(text, x, y);
    c.fillStyle = ink;
    c.fillText(text, x, y);
  }

  function draw() {
    frame = 0;
    width = box.clientWidth;
    if (!width) return;
    const height = axes.length ? y_of(axes.length - 1) + 34 : 40, ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
    const c = canvas.getContext("2d"), ranges = place.ranges();
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.font = "12px system-ui, sans-serif";
    c.lineJoin = "round";
    const inside = (i) => axes.every((a) => !ranges.has(a.name) || in_range(a.values[i], ranges.get(a.name)));
    const kept = [], out = [];
    rows.forEach((_, i) => (inside(i) ? kept : out).push(i));
    c.strokeStyle = colour("grid");
    c.globalAlpha = out.length > CROWD ? 0.35 : 0.7;
    if (ranges.size) lines(c, out);
    c.strokeStyle = colour("accent");
    c.globalAlpha = kept.length > CROWD ? 0.25 : 0.55;
    lines(c, kept);
    c.globalAlpha = 1;
    const at = hot === null ? -1 : rows.findIndex((row) => row.id === hot);
    if (at >= 0) {
      c.strokeStyle = colour("hot");
      c.lineWidth = 3;
      lines(c, [at]);
      c.lineWidth = 1;
    }
    draw_axes(c);
    place_handles(ranges);
    const all = `${kept.length} of ${many(rows.length, "trial")}`;
    if (count.textContent !== all) count.textContent = all;
    canvas.setAttribute("aria-label", `Parallel coordinates over ${axes.map((a) => a.name).join(", ")}; ${all} within the ranges, which the table has`);
    reset.hidden = !ranges.size;
  }

  const soon = () => { frame ||= requestAnimationFrame(draw); };

  // ---- ranges ----

  // The index of an end of a range among the axis' values.
  function end_at(axis, range, end) {
    const last = axis.distinct.length - 1, bound = range?.[end] ?? "";
    if (bound === "") return end ? last : 0;
    const inside = axis.distinct.map((v, k) => [v, k]).filter(([v]) => in_range(v, end ? ["", bound] : [bound, ""]));
    return inside.length ? inside.at(end ? -1 : 0)[1] : end ? 0 : last;
  }

  function set_range(axis, low, high) {
    const all = place.ranges(), last = axis.distinct.length - 1;
    const range = [low <= 0 ? "" : String(axis.distinct[low]), high >= last ? "" : String(axis.distinct[high])];
    if (range.every((v) => v === "")) all.delete(axis.name);
    else all.set(axis.name, range);
    place.set({ brush: place.join_ranges(all) });
  }

  function move(axis, end, to) {
    const range = place.ranges().get(axis.name), other = end_at(axis, range, 1 - end);
    to = Math.max(0, Math.min(axis.distinct.length - 1, to));
    set_range(axis, end ? other : Math.min(to, other), end ? Math.max(to, other) : other);
  }

  function make_handle(axis, end) {
    const e = element("div", { class: `handle ${end ? "high" : "low"}`, role: "slider", tabindex: 0, "aria-valuemin": 0,
      "aria-label": `${axis.name}, ${end ? "at most" : "at least"}` });
    e.addEventListener("keydown", (event) => {
      const now = end_at(axis_now(axis.name), place.ranges().get(axis.name), end), last = axis_now(axis.name).distinct.length - 1;
      const big = Math.max(1, Math.round(last / 10));
      const to = { ArrowLeft: now - 1, ArrowDown: now - 1, ArrowRight: now + 1, ArrowUp: now + 1, PageDown: now - big,
        PageUp: now + big, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      move(axis_now(axis.name), end, to);
    });
    return e;
  }

  const axis_now = (name) => axes.find((a) => a.name === name);

  function place_handles(ranges) {
    handles.forEach(({ e, name, k, end }) => {
      const axis = axes[k], at = end_at(axis, ranges.get(name), end), share = axis.share(axis.distinct[at]) ?? end;
      const edge = axis.numbers && axis.distinct.length > 1 ? share : (at + end) / Math.max(1, axis.distinct.length);
      e.style.left = `${x_of(edge)}px`;
      e.style.top = `${y_of(k)}px`;
      e.setAttribute("aria-valuemax", Math.max(0, axis.distinct.length - 1));
      e.setAttribute("aria-valuenow", at);
      e.setAttribute("aria-valuetext", short(axis.distinct[at] ?? null));
    });
  }

  function make_handles() {
    handles.forEach(({ e }) => e.remove());
    handles = axes.flatMap((axis, k) => [0, 1].map((end) => ({ e: make_handle(axis, end), name: axis.name, k, end })));
    box.append(...handles.map(({ e }) => e));
  }

  // ---- pointer: a handle is moved, a range is drawn, a line is pointed at ----

  function nearest_value(axis, x) {
    let best = 0;
    axis.distinct.forEach((v, k) => {
      if (Math.abs(x_of(axis.share(v)) - x) < Math.abs(x_of(axis.share(axis.distinct[best])) - x)) best = k;
    });
    return best;
  }

  const spot = (e) => {
    const r = canvas.getBoundingClientRect();
    return { x: e.clientX - r.left, y: e.clientY - r.top };
  };
  const rail_at = (y) => axes.findIndex((_, k) => Math.abs(y - y_of(k)) < 13);

  box.addEventListener("pointerdown", (e) => {
    const p = spot(e), held = handles.find((h) => h.e === e.target), k = held ? held.k : rail_at(p.y);
    if (e.button !== 0 || k < 0 || !axes[k].distinct.length) return;
    e.preventDefault();
    drag = { k, end: held?.end, from: nearest_value(axes[k], p.x), moved: false };
    held?.e.focus();
    box.setPointerCapture(e.pointerId);
  });
  box.addEventListener("pointermove", (e) => {
    const p = spot(e);
    if (!drag) return point_at(p);
    const axis = axes[drag.k], to = nearest_value(axis, p.x);
    drag.moved = true;
    if (drag.end !== undefined) move(axis, drag.end, to);
    else set_range(axis, Math.min(drag.from, to), Math.max(drag.from, to));
  });
  box.addEventListener("pointerup", () => {
    if (drag && !drag.moved && drag.end === undefined) set_range(axes[drag.k], 0, Infinity);
    drag = null;
  });
  box.addEventListener("pointercancel", () => { drag = null; });
  box.addEventListener("pointerleave", () => !drag && on.hot(null));

  // The line next to the pointer, between the two axes it is between.
  function point_at({ x, y }) {
    const k = Math.floor((y - TOP) / GAP), f = (y - y_of(k)) / GAP;
    let best = null, least = NEAR;
    if (k >= 0 && k + 1 < axes.length)
      rows.forEach((row, i) => {
        const a = axes[k].shares[i], b = axes[k + 1].shares[i];
        if (a === null || b === null) return;
        const far = Math.abs(x_of(a + (b - a) * f) - x);
        if (far < least) [best, least] = [row.id, far];
      });
    on.hot(best);
  }

  // ---- which axes ----

  function defaults(answer) {
    const objectives = (answer.objectives ?? []).map((o) => o.name);
    const metrics = answer.columns.filter((c) => c.kind === "metric" && (objectives.includes(c.name) || c.main)).map((c) => c.name);
    metrics.sort((a, b) => objectives.includes(b) - objectives.includes(a));
    return [...answer.varying.filter((n) => n !== "seed").slice(0, 6), ...metrics.slice(0, 2)].slice(0, MOST_AXES);
  }

  function write_choice(answer, names) {
    const all = answer.columns.filter((c) => c.varies || c.kind === "metric").map((c) => c.name);
    const text = JSON.stringify([all, names]);
    if (choice.is === text) return;
    choice.is = text;
    choice.lastChild.replaceChildren(...all.map((name) => {
      const tick = element("input", { type: "checkbox", checked: names.includes(name) });
      tick.addEventListener("change", () => place.set({ axes: place.join_names(tick.checked ? [...names, name]
        : names.filter((n) => n !== name)) }));
      return element("li", {}, element("label", {}, tick, " ", name));
    }));
  }

  new ResizeObserver(soon).observe(box);
  document.addEventListener("colours", soon);

  return {
    element: figure,
    // rows: those that the filter lets through, whatever the ranges say
    show(answer, list) {
      const moved = list.length !== rows.length || list.some((row, k) => row.id !== rows[k].id);
      rows = list;
      const known = new Set(answer.columns.map((c) => c.name)), chosen = place.names("axes").filter((n) => known.has(n));
      const names = chosen.length ? chosen : defaults(answer);
      // An axis with a range stays, chosen or not: what narrows is seen.
      for (const name of place.ranges().keys()) if (known.has(name) && !names.includes(name)) names.push(name);
      const same = axes.map((a) => a.name).join() === names.join(), before = axes, brush = place.get("brush");
      axes = names.map((n) => axis_of(n, rows, before.find((a) => a.name === n)));
      figure.hidden = axes.length < 2 || rows.length < 2;
      if (!same) make_handles();
      write_choice(answer, names);
      if (moved || brush !== brushed || !same || axes.some((a, k) => a !== before[k])) soon();
      brushed = brush;
    },
    hot(id) {
      if (hot === id) return;
      hot = id;
      soon();
    },
    close: () => document.removeEventListener("colours", soon),
  };
}
