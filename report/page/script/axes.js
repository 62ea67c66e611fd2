// Two measures or parameters of choice against each other, a dot per configuration.

const axes = (() => {
  const HEIGHT = 400, LEFT = 64, RIGHT = 20, TOP = 12, BOTTOM = 52;
  let width = 0, within = () => true;
  const place = element("div", { class: "live" });
  const select = {};

  function options(chosen) {
    return page.axes.map((a, k) => element("option", { value: k, selected: k === chosen }, a.name));
  }

  function x_of(axis, v) { return LEFT + 8 + share_of(axis, v) * (width - LEFT - RIGHT - 16); }
  function y_of(axis, v) { return HEIGHT - BOTTOM - 8 - share_of(axis, v) * (HEIGHT - TOP - BOTTOM - 16); }

  function draw_frame(svg, x, y) {
    for (const v of ticks_of(x, Math.max(2, Math.floor(width / 90))))
      svg.append(element("line", { class: "grid", x1: x_of(x, v), x2: x_of(x, v), y1: TOP, y2: HEIGHT - BOTTOM }),
        element("text", { class: "tick", x: x_of(x, v), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, short(v)));
    for (const v of ticks_of(y, 8))
      svg.append(element("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y_of(y, v), y2: y_of(y, v) }),
        element("text", { class: "tick", x: LEFT - 6, y: y_of(y, v) + 4, "text-anchor": "end" }, short(v).slice(0, 9)));
    svg.append(element("text", { x: (LEFT + width) / 2, y: HEIGHT - 12, "text-anchor": "middle" }, x.name),
      element("text", { x: -(TOP + HEIGHT - BOTTOM) / 2, y: 12, transform: "rotate(-90)", "text-anchor": "middle" },
        y.name));
  }

  function draw() {
    const x = page.axes[select.x.value], y = page.axes[select.y.value];
    const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img",
      "aria-label": `${y.name} against ${x.name}, a dot per configuration; the table below has the best in numbers` });
    draw_frame(svg, x, y);
    for (const row of page.rows) {
      const a = x.values[row.i], b = y.values[row.i];
      if (a === null || b === null) continue;
      svg.append(element("circle", { class: within(row.i) ? "dot" : "dot out", "data-c": row.i, cx: x_of(x, a),
        cy: y_of(y, b), r: row.chosen ? 5 : 3.5 },
      element("title", {}, `${row.name}: ${y.label} ${short(b)}, ${x.label} ${short(a)}`)));
    }
    place.replaceChildren(svg);
    mark.again();
  }

  function make() {
    const first = page.axes.indexOf(page.measures[0]);
    select.y = element("select", { id: "axis-y" }, ...options(Math.max(first, 0)));
    select.x = element("select", { id: "axis-x" }, ...options(page.axes.length > 1 ? (first === 0 ? 1 : 0) : 0));
    for (const s of Object.values(select)) s.addEventListener("change", draw);
    follow_width(place, (w) => { width = w; draw(); });
    return element("figure", {},
      element("figcaption", {}, element("strong", { class: "fig" }, "Two axes of choice"),
        element("span", { class: "takeaway" }, "Larger dots are what stands for its group elsewhere on this page.")),
      element("p", { class: "choose" }, element("label", {}, "Up ", select.y), " ",
        element("label", {}, "To the right ", select.x)),
      place);
  }

  const only = (test) => { within = test; if (width) draw(); };
  return { make, only };
})();
