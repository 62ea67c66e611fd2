// Tables: a button in each heading sorts (up, down, as it came), a field above filters.

const tables = (() => {
  const FEWEST_TO_SORT = 3, FEWEST_TO_FILTER = 8;
  const units = {
    B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40,
    ms: 1e-3, s: 1, min: 60, h: 3600, d: 86400, "%": 1, k: 1e3, M: 1e6, G: 1e9,
  };
  const times = ["s", "min", "h", "d"];
  const number = /([-+−]?)\$?([\d,]*\.?\d+(?:e[-+]?\d+)?)\s*(TiB|GiB|MiB|KiB|B|ms|min|h|d|s|%|k|M|G)?(?![\w])/y;

  // "38.5 MiB", "4 min 10 s", "≈ $0.0012", "0.61 to 0.66" (its beginning); null: none.
  function value_of(text) {
    text = text.trim().replace(/^(≈|<|>|at least|at most)\s*/, "").replace(/^USD\s*/, "");
    let sum = null, at = 0;
    for (;;) {
      number.lastIndex = at;
      const m = number.exec(text);
      if (!m || (sum !== null && !times.includes(m[3]))) return sum;
      const v = Number(m[2].replaceAll(",", "")) * (units[m[3]] ?? 1);
      sum = (sum ?? 0) + (m[1] === "-" || m[1] === "−" ? -v : v);
      if (!times.includes(m[3])) return sum;
      at = number.lastIndex + /^\s*/.exec(text.slice(number.lastIndex))[0].length;
    }
  }

  const missing = (text) => text === "" || text === "–" || text === "-";

  function compare(rows, column) {
    const text = new Map(rows.map((tr) => [tr, tr.cells[column].textContent.trim()]));
    const known = [...text.values()].filter((t) => !missing(t));
    const values = new Map(rows.map((tr) => [tr, value_of(text.get(tr))]));
    const numbers = known.length > 0 && known.every((t) => value_of(t) !== null);
    return (a, b) => {
      const none = missing(text.get(a)) - missing(text.get(b));
      if (none || missing(text.get(a))) return { none, order: 0 };
      const order = numbers ? values.get(a) - values.get(b)
        : text.get(a).localeCompare(text.get(b), "en", { numeric: true });
      return { none: 0, order };
    };
  }

  function sort(table, column, direction) {
    const body = table.tBodies[0], rows = [...body.rows];
    const by = compare(rows, column);
    rows.sort((a, b) => {
      if (direction === "none") return a.place - b.place;
      const { none, order } = by(a, b);
      return none || (direction === "ascending" ? order : -order) || a.place - b.place;
    });
    body.append(...rows);
    [...table.tHead.rows[0].cells].forEach((th, k) => {
      if (k === column && direction !== "none") th.setAttribute("aria-sort", direction);
      else th.removeAttribute("aria-sort");
    });
  }

  function make_sortable(table) {
    [...table.tBodies[0].rows].forEach((tr, k) => { tr.place = k; });
    [...table.tHead.rows[0].cells].forEach((th, k) => {
      if (!th.textContent.trim()) return;
      const button = element("button", { type: "button", class: "sort" }, ...th.childNodes);
      th.replaceChildren(button);
      button.addEventListener("click", () => {
        const next = { ascending: "descending", descending: "none" };
        sort(table, k, next[th.getAttribute("aria-sort")] ?? "ascending");
      });
    });
    // Orders by radio buttons are for pages without a script.
    const field = table.closest("fieldset.sorted");
    if (field) {
      field.classList.add("scripted");
      field.querySelector("input").checked = true;
    }
  }

  function name_of(table) {
    return table.caption?.textContent || table.closest("details")?.querySelector("summary")?.textContent ||
      table.closest("section")?.querySelector("h2")?.textContent || "this table";
  }

  // Every word has to be somewhere in the row.
  function make_filter(table) {
    const input = element("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    const count = element("output");
    input.setAttribute("aria-label", `Filter the rows of: ${name_of(table)}`);
    const rows = () => [...table.tBodies[0].rows];
    input.addEventListener("input", () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const tr of rows()) {
        const text = [...tr.cells].map((c) => c.textContent).join(" ").toLowerCase();
        tr.hidden = !words.every((w) => text.includes(w));
        shown += !tr.hidden;
      }
      count.textContent = words.length ? `${shown} of ${rows().length} rows` : "";
    });
    const place = table.closest(".scroll") ?? table;
    place.before(element("div", { class: "filter" }, element("label", {}, "Filter ", input), " ", count));
  }

  function start() {
    for (const table of document.querySelectorAll("main table")) {
      const rows = table.tBodies[0]?.rows.length ?? 0;
      const plain = table.tHead?.rows.length === 1 && !table.querySelector("[colspan], [rowspan]");
      if (!plain || rows < FEWEST_TO_SORT) continue;
      make_sortable(table);
      if (rows >= FEWEST_TO_FILTER) make_filter(table);
    }
  }
  return { start, make_sortable };
})();
