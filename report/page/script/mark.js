// One configuration, marked wherever it stands: rows of tables, marks of figures, lines of
// the parallel coordinates. Hovering or focusing marks it for a moment, a click or Enter
// keeps it, Escape lets it go.

const mark = (() => {
  const names = new Map();
  let kept = null, shown = null;
  const status = element("p", { id: "marked", role: "status", hidden: true });

  for (const row of page.rows) {
    names.set(row.name, row.i);
    if (row.chosen) names.set(row.group, row.i);
  }

  const all = (i) => document.querySelectorAll(`[data-c="${i}"]`);

  function show(i) {
    if (i === shown) return;
    if (shown !== null) all(shown).forEach((e) => e.classList.remove("on"));
    shown = i;
    if (i !== null) all(i).forEach((e) => e.classList.add("on"));
  }

  function keep(i) {
    kept = i === kept ? null : i;
    show(kept);
    status.hidden = kept === null;
    status.textContent = kept === null ? "" : `Marked: ${page.rows[kept].name}. Escape lets it go.`;
  }

  const at = (event) => {
    const e = event.target.closest?.("[data-c]");
    return e ? Number(e.dataset.c) : null;
  };

  // The configuration that a row of a table is about; undefined: none.
  function of_row(tr, group, variant) {
    const head = tr.querySelector("th[scope=row]");
    const texts = head ? [head.textContent, head.firstChild?.textContent] : [];
    if (group >= 0 && variant >= 0) {
      const text = (k) => tr.cells[k]?.textContent.trim() ?? "";
      texts.push(text(variant) ? `${text(group)} (${text(variant)})` : text(group));
    }
    for (const text of texts)
      if (text && names.has(text.trim())) return names.get(text.trim());
    return undefined;
  }

  // Rows of one table are one stop of the Tab key; arrows go from row to row.
  function find_rows(table) {
    const heads = [...table.querySelectorAll("thead th")].map((th) => th.textContent.trim());
    const group = heads.indexOf("Group"), variant = heads.indexOf("Variant");
    let first = true;
    for (const tr of table.tBodies[0]?.rows ?? []) {
      const i = of_row(tr, group, variant);
      if (i === undefined) continue;
      tr.dataset.c = i;
      tr.tabIndex = first ? 0 : -1;
      first = false;
    }
  }

  function step(event, tr) {
    const forward = event.key === "ArrowDown";
    if (!forward && event.key !== "ArrowUp") return;
    let next = tr;
    do next = forward ? next.nextElementSibling : next.previousElementSibling;
    while (next && (next.hidden || !next.dataset.c));
    if (!next) return;
    event.preventDefault();
    tr.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  function start() {
    document.querySelectorAll("table").forEach(find_rows);
    document.body.append(status);
    for (const type of ["mouseover", "focusin"])
      document.addEventListener(type, (event) => show(at(event) ?? kept));
    document.addEventListener("focusout", () => show(kept));
    document.addEventListener("click", (event) => {
      const text = String(document.getSelection());
      if (at(event) !== null && !text && !event.target.closest("a, button, summary")) keep(at(event));
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && kept !== null) keep(kept);
      const tr = event.target.closest?.("tr[data-c]");
      if (!tr || event.target !== tr) return;
      step(event, tr);
      if (event.key === "Enter") keep(at(event));
    });
  }

  // After something was drawn anew.
  const again = () => { if (shown !== null) all(shown).forEach((e) => e.classList.add("on")); };
  return { start, again, find_rows };
})();
