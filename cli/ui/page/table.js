// The table of trials: a real one, of which only the rows in sight are in the page, so that ten thousand scroll like ten.
import { button, element, many, number_of, shown, state_mark } from "./base.js";
import { group_value, item_value, metric_of, parse_sort, value_of } from "./rows.js";

const ROW = 30, SPARE = 10, FIRST = 2; // height of a row in pixels (page.css); rows beyond sight; columns before the chosen

const labels = new Map([["duration_ms", "time"], ["started_ms", "began"], ["ended_ms", "ended"]]); // of columns that say a time, not milliseconds
const hold_words = { "any look": "which holds at every look", final: "which is final", "this look": "which holds for this look only" };

function cell_text(item, column) {
  if (!item.group) return shown(column.name, value_of(item.row, column.name));
  const metric = metric_of(item, column.name);
  const mean = group_value(item, column.name);
  if (!metric) return mean !== null ? shown(column.name, mean) : column.kind === "metric" ? so_far(item, column.name) : "";
  const low = number_of(metric.low), high = number_of(metric.high);
  if (low === null || low === undefined || !Number.isFinite(low)) return shown(column.name, mean);
  return `${shown(column.name, mean)} ± ${shown(column.name, (high - low) / 2)}`;
}

// No seed has come to its end: the mean of where they are.
function so_far(item, column) {
  const known = item.members.map((row) => value_of(row, column)).filter(Number.isFinite);
  return known.length ? `${shown(column, known.reduce((a, b) => a + b, 0) / known.length)} so far` : "";
}

function states_of(members) {
  const counts = {};
  for (const row of members) counts[row.state] = (counts[row.state] ?? 0) + 1;
  const names = Object.keys(counts);
  return names.length === 1 ? names[0] : names.map((s) => `${counts[s]} ${s}`).join(", ");
}

const ids_of = (item) => (item.group ? item.members.map((row) => row.id) : [item.row.id]);
const name_of = (row) => row.name ?? "";
const group_name = (item) => item.group.name ?? item.members[0].name ?? item.group.key;

// on: {sort(column), unfold(id of the first trial of a group), pick(ids, yes), hot(id or null), href(id)}
export function make_table(caption, label, on) {
  const columns_of_table = element("colgroup"), head = element("tr", { "aria-rowindex": 1 });
  const above = element("tr", { class: "space", "aria-hidden": "true" }, element("td"));
  const below = element("tr", { class: "space", "aria-hidden": "true" }, element("td"));
  const body = element("tbody", {}, above, below);
  const table = element("table", { class: "trials" }, element("caption", { class: "unseen" }, caption), columns_of_table,
    element("thead", {}, head), body);
  const scroller = element("div", { class: "window", tabindex: 0, role: "region", "aria-label": label }, table);
  const made = new Map(); // the rows in sight by the items' ids
  let items = [], columns = [], picked = new Set(), sort = null, current = null, hot = null, last_pick = null, frame = 0;

  // ---- headings ----

  function heading(column) {
    const mine = sort?.column === column.name, right = column.numbers;
    const arrow = column.better === "high" ? "highest first" : column.better === "low" ? "lowest first" : "";
    return element("th", { scope: "col", class: right ? "num" : null, title: arrow ? `${column.name}: ${arrow} is best` : column.name,
      "aria-sort": mine ? (sort.direction < 0 ? "descending" : "ascending") : null },
    button(column.label ?? labels.get(column.name) ?? column.name, { class: "sort", "data-column": column.name }));
  }

  function write_head() {
    const focused = document.activeElement?.dataset?.column;
    head.replaceChildren(element("th", { scope: "col", class: "pick" }, element("span", { class: "unseen" }, "Chosen")),
      heading({ name: "name", label: "Trial" }), ...columns.map(heading));
    if (focused) [...head.querySelectorAll("button")].find((b) => b.dataset.column === focused)?.focus();
  }

  // Columns grow with what stands in them, and shrink only where there are others.
  let widths = [], widths_of = "";
  function write_widths(names) {
    const sample = items.slice(0, 60), letters = (text) => Math.ceil(text.length * 7.1) + 22;
    const text_of = (i, column) => (column.name === "state" ? `● ${i.group ? states_of(i.members) : i.row.state}` : cell_text(i, column));
    const wide = (column) => Math.max(column.name === "state" ? 112 : 56, Math.min(250, Math.max(letters(column.name) + 8,
      ...sample.map((i) => letters(text_of(i, column))))));
    const longest = Math.max(8, ...sample.map((i) => (i.group ? group_name(i).length + 10 : name_of(i.row).length + 8)));
    const now = [34, Math.min(scroller.clientWidth < 500 ? 120 : 200, longest * 7.1), ...columns.map(wide)];
    const old = widths_of === names ? widths : [];
    widths_of = names;
    if (old.length && now.every((w, k) => w <= old[k])) return;
    widths = now.map((w, k) => Math.max(w, old[k] ?? 0));
    columns_of_table.replaceChildren(...widths.map((w) => {
      const c = element("col");
      c.style.width = `${w}px`;
      return c;
    }));
    table.style.width = `${widths.reduce((a, b) => a + b, 0)}px`;
  }

  // ---- rows ----

  function make_row(item) {
    const box = element("input", { type: "checkbox" });
    const tr = element("tr", { tabindex: -1, "data-id": item.id }, element("td", { class: "pick" }, box),
      element("th", { scope: "row" }));
    const name = tr.cells[1];
    name.append(item.group ? element("button", { type: "button", class: "fold" }) : element("a", { href: on.href(item.row.id) }), " ",
      element("span", { class: "what" }));
    return tr;
  }

  function write_text(e, text) {
    if (e.textContent !== text) e.textContent = text;
  }

  function write_name(tr, item) {
    const e = tr.cells[1].firstChild;
    if (item.group) {
      const all = item.group.n, here = item.members.length;
      write_text(e, here === all ? many(all, "seed") : `${here} of ${many(all, "seed")}`);
      e.setAttribute("aria-expanded", item.unfolded);
    } else {
      write_text(e, `#${item.row.id}`);
    }
    const what = item.group ? group_name(item) : item.level ? `seed ${item.row.seed}` : name_of(item.row);
    write_text(tr.cells[1].lastChild, what);
    tr.cells[1].title = what;
  }

  function write_cell(td, item, column) {
    if (column.name === "state") {
      const state = item.group ? states_of(item.members) : item.row.state;
      if (td.textContent !== state) td.replaceChildren(state_mark(state));
      return;
    }
    const text = cell_text(item, column);
    if (td.textContent !== text) {
      td.textContent = text;
      td.title = text.length > 12 ? text : "";
    }
    const metric = metric_of(item, column.name);
    if (metric) td.title = `mean of ${many(metric.n, "seed")}; 95 % interval ${shown(column.name, metric.low)} to ${shown(column.name, metric.high)}, ${hold_words[metric.holds] ?? ""}`;
  }

  function write_row(tr, item, index) {
    const ids = ids_of(item), box = tr.cells[0].firstChild, chosen = ids.filter((id) => picked.has(id)).length;
    tr.className = `${item.group ? "group" : item.level ? "seed" : "one"}${hot !== null && ids.includes(hot) ? " hot" : ""}`;
    tr.setAttribute("aria-rowindex", index + 2);
    tr.tabIndex = item.id === current ? 0 : -1;
    box.checked = chosen === ids.length;
    box.indeterminate = chosen > 0 && chosen < ids.length;
    box.setAttribute("aria-label", item.group ? `choose all of ${group_name(item)}` : `choose trial ${item.row.id}`);
    write_name(tr, item);
    while (tr.cells.length > columns.length + FIRST) tr.lastChild.remove();
    columns.forEach((column, k) => {
      const td = tr.cells[k + FIRST] ?? tr.appendChild(element("td"));
      td.className = column.numbers ? "num" : "";
      write_cell(td, item, column);
    });
  }

  // The rows in sight; those that are there already are only brought up to date, so that focus stays.
  function write_rows() {
    frame = 0;
    const first = Math.max(0, Math.floor(scroller.scrollTop / ROW) - SPARE);
    const last = Math.min(items.length, first + Math.ceil(scroller.clientHeight / ROW) + 2 * SPARE);
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    const wanted = [], seen = new Set();
    for (let k = first; k < last; k++) {
      const item = items[k], tr = made.get(item.id) ?? make_row(item);
      made.set(item.id, tr);
      seen.add(item.id);
      write_row(tr, item, k);
      wanted.push(tr);
    }
    for (const id of [...made.keys()]) if (!seen.has(id)) made.delete(id);
    above.firstChild.style.height = `${first * ROW}px`;
    below.firstChild.style.height = `${(items.length - last) * ROW}px`;
    const there = [...body.children].slice(1, -1);
    if (there.length !== wanted.length || there.some((tr, k) => tr !== wanted[k])) {
      body.replaceChildren(above, ...wanted, below);
      if (focused && body.contains(focused)) focused.focus({ preventScroll: true });
    }
  }

  const soon = () => { frame ||= requestAnimationFrame(write_rows); };

  // ---- what is done with it ----

  const index_of = (id) => items.findIndex((i) => i.id === id);

  function go(index) {
    if (!items.length) return;
    index = Math.max(0, Math.min(items.length - 1, index));
    current = items[index].id;
    const top = index * ROW, room = scroller.clientHeight - ROW * 2;
    if (top < scroller.scrollTop) scroller.scrollTop = top;
    else if (top > scroller.scrollTop + room) scroller.scrollTop = top - room;
    write_rows();
    made.get(current)?.focus({ preventScroll: true });
    on.hot(items[index].row?.id ?? null);
  }

  function pick(item, yes, shift) {
    const at = index_of(item.id), from = shift ? index_of(last_pick) : -1;
    const range = from < 0 ? [item] : items.slice(Math.min(at, from), Math.max(at, from) + 1);
    last_pick = item.id;
    on.pick(range.flatMap(ids_of), yes);
  }

  const item_at = (e) => items[index_of(e.target.closest?.("tr[data-id]")?.dataset.id)];
  let shifted = false;
  body.addEventListener("click", (e) => {
    shifted = e.shiftKey;
    const item = item_at(e);
    if (item?.group && e.target.closest("button.fold")) on.unfold(item.group.ids[0]);
  });
  body.addEventListener("change", (e) => {
    const item = item_at(e);
    if (item) pick(item, e.target.checked, shifted);
  });
  body.addEventListener("focusin", (e) => {
    const id = e.target.closest("tr[data-id]")?.dataset.id;
    if (id && id !== current) {
      current = id;
      soon();
    }
  });
  body.addEventListener("pointerover", (e) => on.hot(item_at(e)?.row?.id ?? null));
  body.addEventListener("pointerleave", () => on.hot(null));
  head.addEventListener("click", (e) => {
    const name = e.target.closest("button")?.dataset.column;
    if (name) on.sort(columns.find((c) => c.name === name) ?? { name, better: null });
  });
  scroller.addEventListener("scroll", soon, { passive: true });
  new ResizeObserver(soon).observe(scroller);

  let head_is = "";
  function show(next) {
    ({ items, picked } = next);
    columns = next.columns;
    for (const c of columns)
      c.numbers = items.slice(0, 40).some((i) => typeof number_of(item_value(i, c.name)) === "number");
    sort = parse_sort(next.sort);
    const names = JSON.stringify(columns.map((c) => [c.name, c.numbers]));
    if (head_is !== names + next.sort) write_head();
    head_is = names + next.sort;
    write_widths(`${names}${scroller.clientWidth < 500}`);
    table.setAttribute("aria-rowcount", items.length + 1);
    if (current === null || index_of(current) < 0) current = items[0]?.id ?? null;
    write_rows();
  }

  return {
    element: scroller, show,
    hot(id) {
      if (hot === id) return;
      hot = id;
      soon();
    },
    move: (by) => go(body.contains(document.activeElement) ? index_of(current) + by : Math.max(0, index_of(current))),
    toggle_pick() {
      const item = items[index_of(current)];
      if (item) pick(item, !ids_of(item).every((id) => picked.has(id)), false);
    },
    open() {
      const item = items[index_of(current)];
      if (item?.group) on.unfold(item.group.ids[0]);
      else if (item) location.hash = on.href(item.row.id);
    },
  };
}
