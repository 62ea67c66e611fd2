// Which columns the table has, in which order, and which value of a series stands for it.
import { button, element } from "./base.js";
import * as place from "./place.js";
import { columns_of } from "./rows.js";

const summaries = [["", "as the trial was judged"], ["last", "last"], ["min", "lowest"], ["max", "highest"],
  ["best", "best by its goal"]];

export function choose_columns(answer) {
  let names = columns_of(answer, place.names("cols")).map((c) => c.name);
  const list = element("ul", { class: "columns" }), search = element("input", { type: "search", "aria-label": "Find a column" });
  const how = element("select", {}, summaries.map(([value, text]) =>
    element("option", { value, selected: value === place.get("summary") }, text)));
  const all = () => [...names, ...answer.columns.map((c) => c.name).filter((n) => !names.includes(n) && n !== "name")];

  function keep() {
    place.set({ cols: place.join_names(names) });
  }

  function move(name, by) {
    const at = names.indexOf(name), to = at + by;
    if (at < 0 || to < 0 || to >= names.length) return;
    names.splice(at, 1);
    names.splice(to, 0, name);
    keep();
    write();
    const row = [...list.children].find((li) => li.dataset.name === name);
    row?.querySelector(by < 0 ? ".up" : ".down")?.focus();
  }

  function toggle(name, yes) {
    names = yes ? [...names, name] : names.filter((n) => n !== name);
    keep();
    write();
    [...list.children].find((li) => li.dataset.name === name)?.querySelector("input").focus();
  }

  function row(name) {
    const on = names.includes(name), kind = answer.columns.find((c) => c.name === name);
    const box = element("input", { type: "checkbox", checked: on });
    box.addEventListener("change", () => toggle(name, box.checked));
    return element("li", { "data-name": name }, element("label", {}, box, " ", name,
      kind ? element("small", {}, ` ${kind.kind}${kind.varies ? ", varies" : ""}`) : null),
    on ? button("↑", { class: "up", "aria-label": `${name} further left` }, () => move(name, -1)) : null,
    on ? button("↓", { class: "down", "aria-label": `${name} further right` }, () => move(name, 1)) : null);
  }

  function write() {
    const word = search.value.toLowerCase();
    list.replaceChildren(...all().filter((n) => n.toLowerCase().includes(word)).map(row));
  }

  search.addEventListener("input", write);
  how.addEventListener("change", () => place.set({ summary: how.value }));
  const dialog = element("dialog", { "aria-labelledby": "h-columns" }, element("h2", { id: "h-columns" }, "Columns"),
    element("p", {}, element("label", {}, "Of a series the table has the value that is ", how)),
    element("p", {}, search), list,
    element("p", { class: "row" }, button("As at first", {}, () => {
      place.set({ cols: null, summary: null });
      names = columns_of(answer, []).map((c) => c.name);
      how.value = "";
      write();
    }), button("Done", { class: "main" }, () => dialog.close())));
  write();
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
}
