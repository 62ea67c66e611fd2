// Parallel coordinates: an axis under the other, a line per configuration. Each axis has
// two handles, "at least" and "at most": dragged, or moved by the arrow keys from value to
// value. What lies outside fades, here and among the dots; the best of the rest are listed.

const parallel = (() => {
  const ROW = 58, TOP = 34, SIDE = 14, MOST_AXES = 9, LISTED = 10;
  const shown = page.axes.slice(0, MOST_AXES);
  const ranges = shown.map((a) => [0, a.distinct.length - 1]); // places in `distinct`
  let width = 0, lines = [], handles = [];
  const place = element("div", { class: "live" });
  const count = element("output");
  const list = element("div", { class: "scroll", tabindex: 0 });

  const y_of = (k) => TOP + k * ROW;
  const x_of = (k, v) => SIDE + share_of(shown[k], v) * (width - 2 * SIDE);
  const text_of = (k, at) => `${short(shown[k].distinct[at])}${shown[k].unit ? ` ${shown[k].unit}` : ""}`;
  const is_whole = (k) => ranges[k][0] === 0 && ranges[k][1] === shown[k].distinct.length - 1;

  // A configuration without a value lies in the whole range alone.
  const within = (i) => shown.every((a, k) =>
    is_whole(k) || (a.places[i] >= ranges[k][0] && a.places[i] <= ranges[k][1]));

  function path_of(i) {
    let d = "";
    shown.forEach((a, k) => {
      if (a.values[i] !== null) d += `${d ? "L" : "M"}${x_of(k, a.values[i]).toFixed(1)} ${y_of(k)}`;
    });
    return d;
  }

  function write_list(rest) {
    const measures = page.measures.filter((m) => page.axes.includes(m));
    const heads = ["Configuration", ...measures.map((m) => m.name), "Seeds"];
    const style = heads.map((h, n) => `--h${n + 1}:${JSON.stringify(h)}`).join(";");
    const table = element("table", { class: "stack", style }, element("caption", {}, `The best ${Math.min(LISTED, rest.length)} within the ranges`),
      element("thead", {}, element("tr", {},
        ...heads.map((h, n) => element("th", { scope: "col", class: n ? "num" : null }, h)))),
      element("tbody", {}, ...rest.slice(0, LISTED).map((row) => element("tr", {},
        element("th", { scope: "row" }, row.name),
        ...measures.map((m) => element("td", { class: "num" }, short(m.values[row.i]))),
        element("td", { class: "num" }, row.seeds)))));
    list.replaceChildren(table);
    mark.find_rows(table);
    tables.make_sortable(table);
  }

  function update() {
    const rest = page.rows.filter((row) => within(row.i));
    const kept = new Set(rest.map((row) => row.i));
    for (const [i, line] of lines.entries()) line.classList.toggle("out", !kept.has(i));
    handles.forEach(({ e, k, end }) => {
      const at = ranges[k][end], x = x_of(k, shown[k].distinct[at]), s = end ? 1 : -1;
      e.setAttribute("d", `M${x} ${y_of(k) - 9}h${5 * s}v18h${-5 * s}z`);
      e.setAttribute("aria-valuenow", at);
      e.setAttribute("aria-valuetext", text_of(k, at));
    });
    count.textContent = `${rest.length} of ${page.rows.length} configurations`;
    write_list(rest);
    axes.only((i) => kept.has(i));
  }

  function move(k, end, at) {
    const last = shown[k].distinct.length - 1;
    at = Math.max(0, Math.min(last, at));
    ranges[k][end] = end ? Math.max(at, ranges[k][0]) : Math.min(at, ranges[k][1]);
    update();
  }

  // The value nearest to a place on the screen.
  function nearest(k, event) {
    const x = event.clientX - place.firstChild.getBoundingClientRect().left;
    let best = 0;
    shown[k].distinct.forEach((v, at) => {
      if (Math.abs(x_of(k, v) - x) < Math.abs(x_of(k, shown[k].distinct[best]) - x)) best = at;
    });
    return best;
  }

  function make_handle(k, end) {
    const a = shown[k], last = a.distinct.length - 1;
    const e = element("path", { class: "handle", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": last,
      "aria-label": `${a.label}, ${end ? "at most" : "at least"}` });
    const big = Math.max(1, Math.round(last / 10));
    e.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -big, PageUp: big,
        Home: -last, End: last };
      if (!(event.key in steps)) return;
      event.preventDefault();
      move(k, end, ranges[k][end] + steps[event.key]);
    });
    e.addEventListener("pointerdown", (event) => {
      e.setPointerCapture(event.pointerId);
      event.preventDefault();
      e.focus();
    });
    e.addEventListener("pointermove", (event) => {
      if (e.hasPointerCapture(event.pointerId)) move(k, end, nearest(k, event));
    });
    return e;
  }

  function draw(w) {
    width = w;
    const height = y_of(shown.length - 1) + 30;
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
      class: page.rows.length > 40 ? "many" : null,
      "aria-label": "Parallel coordinates: two handles per axis narrow the configurations" });
    lines = page.rows.map((row) => element("path", { class: "line", "data-c": row.i,
      d: path_of(row.i) }, element("title", {}, row.name)));
    svg.append(...[...lines].reverse());
    handles = [];
    shown.forEach((a, k) => {
      svg.append(element("line", { class: "rail", x1: SIDE, x2: width - SIDE, y1: y_of(k), y2: y_of(k) }),
        element("text", { class: "name", x: SIDE, y: y_of(k) - 15 }, a.name));
      const ticks = ticks_of(a, Math.max(2, Math.floor(width / 100)));
      const room = Math.floor(width / ticks.length / 7);
      for (const v of ticks) {
        const text = short(v).length > room ? `${short(v).slice(0, room - 1)}…` : short(v);
        const half = text.length * 3.5, x = Math.max(half, Math.min(width - half, x_of(k, v)));
        svg.append(element("text", { class: "tick", x, y: y_of(k) + 22, "text-anchor": "middle" }, text));
      }
      for (const end of [0, 1]) {
        const e = make_handle(k, end);
        handles.push({ e, k, end });
        svg.append(e);
      }
    });
    place.replaceChildren(svg);
    update();
    mark.again();
  }

  function reset() {
    ranges.forEach((r, k) => { r[0] = 0; r[1] = shown[k].distinct.length - 1; });
    update();
  }

  function make() {
    const button = element("button", { type: "button" }, "Take all ranges back");
    button.addEventListener("click", reset);
    count.setAttribute("role", "status");
    follow_width(place, draw);
    return element("figure", {},
      element("figcaption", {}, element("strong", { class: "fig" }, "Every configuration as a line"),
        element("span", { class: "takeaway" }, "Drag the handles of an axis, or move them by the arrow keys.")),
      place, element("p", { class: "choose" }, count, " ", button), list);
  }
  return { make };
})();
