// Lines on a canvas: hundreds of them, zoomed by dragging or by keys, the nearest named under the pointer.
import { element, short } from "./base.js";

const LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 26, HEIGHT = 320, NEAR = 40; // pixels

// Colours of the style sheet as a canvas needs them, "rgb(0, 114, 178)"; asked again when light and dark change.
let known = null;
const probe = element("span", { hidden: true });
export function colour(name) {
  known ??= new Map();
  if (!known.has(name)) {
    document.body.append(probe);
    probe.style.color = `var(--${name})`;
    known.set(name, getComputedStyle(probe).color);
  }
  return known.get(name);
}
export function forget_colours() {
  known = null;
  document.dispatchEvent(new Event("colours"));
}

// Round numbers from low to high, some `most` of them.
export function ticks(low, high, most) {
  if (!(high > low)) return Number.isFinite(low) ? [low] : [];
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((d) => d * power).find((s) => s >= rough), out = [];
  for (let k = Math.ceil(low / step); k * step <= high * (1 + 1e-12); k++) out.push(Number((k * step).toPrecision(12)));
  return out;
}

function log_ticks(low, high) {
  const out = [];
  for (let p = Math.floor(Math.log10(low)); p <= Math.ceil(Math.log10(high)); p++)
    for (const d of high / low > 1000 ? [1] : [1, 2, 5]) out.push(Number(`${d}e${p}`));
  const inside = out.filter((v) => v >= low && v <= high);
  return inside.length > 1 ? inside : ticks(low, high, 4).filter((v) => v > 0);
}

// The first place of xs that is not below x.
function at_or_after(xs, x) {
  let low = 0, high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

// Series whose `origin` stays the same only grow at their ends: then only the ends are drawn.
// on: {zoom({x0, x1 (Infinity: to the end, which grows), y0, y1 (NaN: as it comes)} or null), hot(id or null)}. Series: {id, name, xs, ys, raw (ys before smoothing, or null), colour,
// origin}.
export function make_chart(label, on) {
  const lines = element("canvas", { role: "img", "aria-label": label }), over = element("canvas", { "aria-hidden": "true" });
  const tip = element("output", { class: "tip", "aria-hidden": "true" });
  const box = element("div", { class: "chart", tabindex: 0, role: "group", "data-keep": true,
    "aria-label": `${label}: plus and minus zoom, arrows move, 0 shows all` }, lines, over, tip);
  let series = [], zoom = null, log = false, hot = null, range = null, width = 0, frame = 0, drag = null;
  let pointed = null; // {s, x, y} under the pointer
  let drawn = null; // of the last whole drawing: what it was of, and how much of each series it had

  // ---- scales ----

  function y_range(x0, x1) {
    let low = Infinity, high = -Infinity;
    for (const s of series) {
      const last = Math.min(s.xs.length, at_or_after(s.xs, x1) + 1);
      for (let k = Math.max(0, at_or_after(s.xs, x0) - 1); k < last; k++) {
        const y = s.ys[k];
        if (!Number.isFinite(y) || (log && y <= 0)) continue;
        if (y < low) low = y;
        if (y > high) high = y;
      }
    }
    if (low > high) return [0, 1];
    if (log) return low === high ? [low / 2, high * 2] : [low, high];
    const air = (high - low) * 0.04 || Math.abs(high) * 0.05 || 1;
    return [low - air, high + air];
  }

  function measure() {
    let x0 = Infinity, x1 = -Infinity;
    for (const s of series) {
      if (!s.xs.length) continue;
      x0 = Math.min(x0, s.xs[0]);
      x1 = Math.max(x1, s.xs.at(-1));
    }
    const whole = x0 <= x1 ? [x0, x1 > x0 ? x1 : x0 + 1] : [0, 1];
    const [a, b] = zoom ? [zoom.x0, Number.isFinite(zoom.x1) ? zoom.x1 : Math.max(whole[1], zoom.x0 + 1)] : whole;
    const [c, d] = zoom && zoom.y1 > zoom.y0 && !(log && zoom.y0 <= 0) ? [zoom.y0, zoom.y1] : y_range(a, b);
    range = { x0: a, x1: b, y0: c, y1: d, whole };
  }

  const x_of = (x) => LEFT + ((x - range.x0) / (range.x1 - range.x0)) * (width - LEFT - RIGHT);
  const x_at = (px) => range.x0 + ((px - LEFT) / (width - LEFT - RIGHT)) * (range.x1 - range.x0);
  const share = (y) => (log ? Math.log(y / range.y0) / Math.log(range.y1 / range.y0) : (y - range.y0) / (range.y1 - range.y0));
  const y_of = (y) => HEIGHT - BOTTOM - share(y) * (HEIGHT - TOP - BOTTOM);
  function y_at(py) {
    const s = (HEIGHT - BOTTOM - py) / (HEIGHT - TOP - BOTTOM);
    return log ? range.y0 * (range.y1 / range.y0) ** s : range.y0 + s * (range.y1 - range.y0);
  }

  // ---- drawing ----

  function size(canvas) {
    const ratio = devicePixelRatio || 1, w = Math.round(width * ratio), h = Math.round(HEIGHT * ratio);
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
    }
    const c = canvas.getContext("2d");
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, width, HEIGHT);
    return c;
  }

  function draw_frame(c) {
    c.font = "12px system-ui, sans-serif";
    c.fillStyle = colour("muted");
    c.strokeStyle = colour("grid");
    c.lineWidth = 1;
    c.beginPath();
    c.textAlign = "center";
    for (const v of ticks(range.x0, range.x1, Math.max(2, width / 90))) {
      const x = Math.round(x_of(v)) + 0.5;
      c.moveTo(x, TOP);
      c.lineTo(x, HEIGHT - BOTTOM);
      c.fillText(short(v), x, HEIGHT - 8);
    }
    c.textAlign = "right";
    for (const v of log ? log_ticks(range.y0, range.y1) : ticks(range.y0, range.y1, 6)) {
      const y = Math.round(y_of(v)) + 0.5;
      c.moveTo(LEFT, y);
      c.lineTo(width - RIGHT, y);
      c.fillText(short(v), LEFT - 6, y + 4);
    }
    c.stroke();
  }

  // Of what the drawing is; while this stays the same, what is there stays right.
  const sight = () => JSON.stringify([range.x0, range.x1, range.y0, range.y1, width, devicePixelRatio, log, colour("ink"), series.length]);

  // Only the ends that are new. False: that would not be the whole truth.
  function draw_ends() {
    const same = (s, k) => drawn.series[k].origin === s.origin && drawn.series[k].colour === s.colour && !s.raw === !drawn.series[k].raw;
    if (!drawn || drawn.sight !== sight() || !series.every(same)) return false;
    const c = lines.getContext("2d");
    clipped(c, () => series.forEach((s, k) => {
      const from = drawn.series[k].xs.length;
      if (s.xs.length > from) draw_line(c, s, Math.max(0, from - 1));
    }));
    drawn.series = series;
    return true;
  }

  function draw_line(c, s, from = 0) {
    const crowd = series.length > 40, part = (all) => (from ? all.slice(from) : all);
    c.strokeStyle = c.fillStyle = s.colour;
    if (s.raw) {
      c.globalAlpha = 0.22;
      c.lineWidth = 1;
      trace(c, part(s.xs), part(s.raw));
    }
    c.globalAlpha = crowd ? 0.55 : 0.95;
    c.lineWidth = crowd ? 1 : 1.6;
    trace(c, part(s.xs), part(s.ys));
    if (!from) dot(c, s);
  }

  // A line's part in sight. Where several points fall on a pixel, its first, lowest, highest and last stand for all.
  function trace(c, xs, ys) {
    const first = Math.max(0, at_or_after(xs, range.x0) - 1), last = Math.min(xs.length, at_or_after(xs, range.x1) + 1);
    const dense = last - first > 3 * width;
    let open = false, column = NaN, low = 0, high = 0, end = 0;
    c.beginPath();
    for (let k = first; k < last; k++) {
      const v = ys[k];
      if (!Number.isFinite(v) || (log && v <= 0)) {
        open = false;
        continue;
      }
      const x = x_of(xs[k]), y = y_of(v);
      if (dense && open && Math.floor(x) === column) {
        low = Math.min(low, y);
        high = Math.max(high, y);
        end = y;
        continue;
      }
      if (dense && open && low !== high) {
        c.lineTo(column, low);
        c.lineTo(column, high);
        c.lineTo(column, end);
      }
      if (open) c.lineTo(x, y);
      else c.moveTo(x, y);
      open = true;
      column = Math.floor(x);
      low = high = end = y;
    }
    c.stroke();
  }

  // One point is no line.
  function dot(c, s) {
    if (s.xs.length !== 1 || !Number.isFinite(s.ys[0])) return;
    c.beginPath();
    c.arc(x_of(s.xs[0]), y_of(s.ys[0]), 3, 0, 7);
    c.fill();
  }

  function clipped(c, draw) {
    c.save();
    c.beginPath();
    c.rect(LEFT, TOP - 2, width - LEFT - RIGHT, HEIGHT - TOP - BOTTOM + 4);
    c.clip();
    c.lineJoin = "round";
    draw();
    c.restore();
  }

  function draw() {
    frame = 0;
    width = box.clientWidth;
    if (!width) return;
    measure();
    if (draw_ends()) return draw_over();
    const c = size(lines);
    draw_frame(c);
    clipped(c, () => series.forEach((s) => draw_line(c, s)));
    drawn = { sight: sight(), series };
    if (!series.some((s) => s.xs.length)) {
      c.fillStyle = colour("muted");
      c.textAlign = "center";
      c.fillText("no values yet", (LEFT + width) / 2, HEIGHT / 2);
    }
    draw_over();
  }

  const soon = () => { frame ||= requestAnimationFrame(draw); };

  function draw_over(point = pointed) {
    pointed = point;
    const c = size(over), s = series.find((one) => one.id === hot);
    clipped(c, () => {
      if (s) {
        c.strokeStyle = c.fillStyle = s.colour;
        c.lineWidth = 3;
        trace(c, s.xs, s.ys);
        dot(c, s);
      }
      if (drag?.to) {
        c.fillStyle = colour("accent");
        c.globalAlpha = 0.18;
        const flat = drag.flat;
        c.fillRect(drag.x, flat ? TOP : drag.y, drag.to.x - drag.x, flat ? HEIGHT - TOP - BOTTOM : drag.to.y - drag.y);
      } else if (point) {
        c.fillStyle = colour("ink");
        c.beginPath();
        c.arc(x_of(point.x), y_of(point.y), 3.5, 0, 7);
        c.fill();
      }
    });
    tip.hidden = !point;
    if (!point) return;
    tip.textContent = `${point.s.name}: step ${short(point.x)}, ${short(point.y)}`;
    const left = x_of(point.x), wide = tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(width - wide, left - wide / 2))}px`;
    tip.style.top = `${Math.max(0, y_of(point.y) - 34)}px`;
  }

  // ---- pointer ----

  function nearest(px, py) {
    let best = null, least = NEAR * NEAR;
    const x = x_at(px);
    for (const s of series) {
      const at = at_or_after(s.xs, x);
      for (const k of [at - 1, at]) {
        if (k < 0 || k >= s.xs.length || !Number.isFinite(s.ys[k])) continue;
        const dx = x_of(s.xs[k]) - px, dy = y_of(s.ys[k]) - py, far = dx * dx + dy * dy;
        if (far < least) {
          least = far;
          best = { s, x: s.xs[k], y: s.ys[k] };
        }
      }
    }
    return best;
  }

  const place_of = (e) => {
    const r = over.getBoundingClientRect();
    return { x: e.clientX - r.left, y: e.clientY - r.top };
  };

  over.addEventListener("pointerdown", (e) => {
    if (e.button !== 0 || !range) return;
    drag = place_of(e);
    pointed = null;
    over.setPointerCapture(e.pointerId);
  });
  over.addEventListener("pointermove", (e) => {
    if (!range) return;
    const p = place_of(e);
    if (drag) {
      drag.to = p;
      drag.flat = Math.abs(p.y - drag.y) < 16;
      draw_over();
      return;
    }
    const point = nearest(p.x, p.y);
    hot = point?.s.id ?? null;
    on.hot(hot);
    draw_over(point);
  });
  over.addEventListener("pointerup", () => {
    const d = drag;
    drag = null;
    if (!d?.to || Math.abs(d.to.x - d.x) < 6) return draw_over();
    const [x0, x1] = [d.x, d.to.x].map(x_at).sort((a, b) => a - b);
    const [y0, y1] = d.flat ? [NaN, NaN] : [d.y, d.to.y].map(y_at).sort((a, b) => a - b);
    const open = Math.max(d.x, d.to.x) >= width - RIGHT - 2; // dragged to the end: what comes belongs to it
    on.zoom({ x0: Math.max(x0, range.whole[0]), x1: open ? Infinity : x1, y0, y1 });
  });
  over.addEventListener("pointercancel", () => {
    drag = null;
    draw_over();
  });
  over.addEventListener("pointerleave", () => {
    if (drag) return;
    hot = null;
    on.hot(null);
    draw_over(null);
  });
  over.addEventListener("dblclick", () => on.zoom(null));

  // ---- keys ----

  function about_middle(by, shift) {
    const half = ((range.x1 - range.x0) / 2) * by, middle = (range.x0 + range.x1) / 2 + shift * (range.x1 - range.x0);
    const [low, high] = range.whole;
    if (by > 1 && middle - half <= low && middle + half >= high) return on.zoom(null);
    const x0 = Math.max(low, middle - half), x1 = Math.min(Math.max(high, range.x1), middle + half);
    if (x1 > x0) on.zoom({ x0, x1, y0: NaN, y1: NaN });
  }

  const keys = { "+": () => about_middle(0.5, 0), "=": () => about_middle(0.5, 0), "-": () => about_middle(2, 0),
    ArrowLeft: () => zoom && about_middle(1, -0.2), ArrowRight: () => zoom && about_middle(1, 0.2),
    0: () => on.zoom(null), Escape: () => on.zoom(null) };
  box.addEventListener("keydown", (e) => {
    if (!(e.key in keys) || !range || e.ctrlKey || e.metaKey || e.altKey) return;
    e.preventDefault();
    keys[e.key]();
  });

  new ResizeObserver(soon).observe(box);
  document.addEventListener("colours", soon);

  return {
    element: box,
    show(next) {
      ({ series, zoom, log } = next);
      lines.setAttribute("aria-label", next.label ?? label);
      soon();
    },
    hot(id) {
      if (hot === id || drag) return;
      hot = id;
      if (range) draw_over();
    },
    close: () => document.removeEventListener("colours", soon),
  };
}
