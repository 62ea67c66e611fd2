// The parts, in the order in which they need each other.

function explore() {
  if (page.rows.length < 3 || page.axes.length < 2) return;
  const section = element("section", { id: "explore", "aria-labelledby": "h-explore" },
    element("h2", { id: "h-explore" }, "Explore the configurations"), axes.make(), parallel.make());
  if (page.leftOut)
    section.append(element("p", { class: "note" }, `The best ${page.rows.length}; ${page.leftOut} more are in the store.`));
  const before = document.getElementById("appendix");
  if (before) before.before(section);
  else document.querySelector("main").append(section);
  document.querySelector("nav ol")?.append(
    element("li", { class: "more" }, element("a", { href: "#explore" }, "Explore the configurations")));
}

tables.start();
mark.start();
explore();
