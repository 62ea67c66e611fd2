// Which trials a table has, in which order: the answer of /api/trials, filtered, within the ranges, sorted, and seeds of one
// configuration under one heading. Nothing here touches the page.
import { number_of, short } from "./base.js";

const direct = new Set(["id", "name", "state", "seed"]);
const own = (tree, name) => (tree && Object.hasOwn(tree, name) ? tree[name] : undefined); // a name may be "constructor"
export function value_of(row, column) {
  return number_of((direct.has(column) ? row[column] : own(row.values, column)) ?? null);
}

// ---- the filter ----

const comparisons = {
  "=": (a, b, same) => same, "!=": (a, b, same) => !same,
  "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};

// "lora rank>=8 state=running": words that are somewhere in the row, and comparisons of a column; all must hold.
function parse_filter(text) {
  return text.trim().split(/\s+/).filter(Boolean).map((word) => {
    const m = /^([^<>=!]+)(<=|>=|!=|=|<|>)(.*)$/.exec(word);
    if (!m) {
      const low = word.toLowerCase();
      return (row) => row_text(row).includes(low);
    }
    const [, column, sign, wanted] = m, number = wanted !== "" && Number.isFinite(Number(wanted)) ? Number(wanted) : null;
    return (row) => {
      const v = value_of(row, column) ?? own(row.tags, column) ?? null;
      if (v === null) return false;
      const numbers = number !== null && typeof v === "number";
      const same = numbers ? v === number : String(v).toLowerCase() === wanted.toLowerCase();
      if (!numbers && sign !== "=" && sign !== "!=") return false;
      return comparisons[sign](v, number, same);
    };
  });
}

// What a word is looked for in; kept with the row, which is new with each answer.
function row_text(row) {
  row.text ??= [row.id, row.name, row.state, row.note, ...Object.entries(row.values).filter(([, v]) => typeof v !== "number")
    .map(([, v]) => short(v)), ...Object.entries(row.tags ?? {}).flat()].join(" ").toLowerCase();
  return row.text;
}

// ---- ranges of the parallel coordinates ----

// An end is a number, or a text in the order that an axis has them in; "" is open.
export function in_range(v, [low, high]) {
  if (v === null || Number.isNaN(v)) return false;
  if (typeof v === "number") return (low === "" || v >= Number(low)) && (high === "" || v <= Number(high));
  return (low === "" || compare(v, low) >= 0) && (high === "" || compare(v, high) <= 0);
}

export function filtered(rows, query) {
  const tests = parse_filter(query);
  return tests.length ? rows.filter((row) => tests.every((t) => t(row))) : rows;
}

export function within(rows, ranges) {
  const all = [...ranges];
  return all.length ? rows.filter((row) => all.every(([name, range]) => in_range(value_of(row, name), range))) : rows;
}

// ---- the order ----

const texts = new Intl.Collator("en", { numeric: true });
export function compare(a, b) {
  const none = (v) => v === null || v === undefined || Number.isNaN(v);
  if (none(a) || none(b)) return none(a) - none(b) || 0;
  if (typeof a === "number" && typeof b === "number") return a - b;
  return texts.compare(String(a), String(b));
}

// The same, turned round but for what is missing, which stays last.
export function ordered(list, key_of, direction) {
  const keyed = list.map((item, k) => [item, key_of(item), k]);
  const none = ([, v]) => v === null || v === undefined || Number.isNaN(v);
  keyed.sort((a, b) => none(a) - none(b) || (none(a) ? 0 : direction * compare(a[1], b[1])) || a[2] - b[2]);
  return keyed.map(([item]) => item);
}

export function parse_sort(text) {
  const at = text.lastIndexOf(":");
  return at < 0 ? null : { column: text.slice(0, at), direction: text.slice(at + 1) === "desc" ? -1 : 1 };
}

// ---- groups ----

export const metric_of = (item, column) => own(item.group?.metrics, column);

// A group's value in a column: the mean of a metric or a time, what its trials share of anything else; null where they differ.
export function group_value(item, column) {
  const metric = metric_of(item, column);
  if (metric) return number_of(metric.mean);
  if (column === "duration_ms") {
    const known = item.members.map((row) => value_of(row, column)).filter((v) => v !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) / known.length : null;
  }
  const first = value_of(item.members[0], column);
  return item.members.every((row) => value_of(row, column) === first) ? first : null;
}

export const item_value = (item, column) => (item.group ? group_value(item, column) : value_of(item.row, column));

const trial_item = (row, level) => ({ id: `t${row.id}`, row, level });

// The table's items: {id, row, level} of a trial, {id, group, members, unfolded} of the seeds of one configuration.
export function items_of(answer, rows, { sort, flat, unfolded }) {
  const order = parse_sort(sort);
  const sorted = (list) => (order ? ordered(list, (i) => item_value(i, order.column), order.direction) : list);
  const groups = new Map(flat ? [] : answer.groups.filter((g) => g.n > 1).map((g) => [g.key, g]));
  const heads = new Map(), top = [];
  for (const row of rows) {
    const group = groups.get(row.group);
    if (!group) {
      top.push(trial_item(row, 0));
    } else if (heads.has(row.group)) {
      heads.get(row.group).members.push(row);
    } else {
      const head = { id: `g${group.ids[0]}`, group, members: [row], unfolded: unfolded.has(group.ids[0]) };
      heads.set(row.group, head);
      top.push(head);
    }
  }
  return sorted(top).flatMap((item) =>
    (item.unfolded ? [item, ...sorted(item.members.map((row) => trial_item(row, 1)))] : [item]));
}

// ---- columns ----

const MOST_VARYING = 8, MOST_METRICS = 6;

// What the table has unless somebody chose: what varies first, then what trials are judged by, then state and time.
function default_columns(answer) {
  const known = new Map(answer.columns.map((c) => [c.name, c]));
  const judged = (answer.objectives ?? []).map((o) => o.name);
  const metrics = answer.columns.filter((c) => c.kind === "metric" && (c.main || judged.includes(c.name))).map((c) => c.name);
  metrics.sort((a, b) => judged.includes(b) - judged.includes(a));
  if (!metrics.length) metrics.push(...answer.columns.filter((c) => c.kind === "metric").map((c) => c.name));
  const names = ["state", ...answer.varying.filter((n) => n !== "seed").slice(0, MOST_VARYING), ...metrics.slice(0, MOST_METRICS),
    "duration_ms"];
  return [...new Set(names)].filter((n) => known.has(n) || n === "state");
}

export function columns_of(answer, chosen) {
  const known = new Map(answer.columns.map((c) => [c.name, c]));
  for (const name of direct)
    if (!known.has(name)) known.set(name, { name, kind: "field", better: null });
  const names = chosen.filter((n) => known.has(n) && n !== "name");
  return (names.length ? names : default_columns(answer)).map((n) => known.get(n));
}
