// What a trial's program writes, as it comes: the end first, more at a wish, and new lines while it runs.
import { button, bytes, element } from "./base.js";
import { ask, paced } from "./link.js";

const FIRST = 64 * 1024, KEPT = 512 * 1024; // bytes asked for at first; letters kept

export function make_log(trial) {
  const text = element("pre", { class: "log", tabindex: 0, role: "log", "aria-live": "off", "aria-label": "Log" });
  const select = element("select");
  const follow = element("input", { type: "checkbox", checked: true }), size = element("span", { class: "note" });
  const root = element("section", { class: "logs", "aria-labelledby": "h-log", "data-keep": true, id: "log" }, element("h2", { id: "h-log" }, "Log"),
    element("p", { class: "row" }, element("label", {}, "File ", select), element("label", {}, follow, " follow"),
      button("From the beginning", {}, () => start(0)), size), text);
  let next = -FIRST;

  const load = paced("log", async (signal) => {
    for (let more = true; more;) {
      const answer = await ask(`/api/trial/${trial}/log`, { name: select.value, from: next }, signal);
      next = answer.next;
      more = answer.text !== "" && next < answer.size && text.textContent.length < KEPT;
      if (answer.text) text.append(answer.text);
      if (text.textContent.length > KEPT) text.textContent = text.textContent.slice(-KEPT);
      text.normalize();
      if (follow.checked) text.scrollTop = text.scrollHeight;
      size.textContent = text.textContent ? bytes(answer.size ?? next) : "nothing was written";
    }
  }, 400);

  function start(from) {
    next = from;
    text.textContent = "";
    follow.checked = from !== 0;
    load(true);
  }

  // What files there are; at first the first that has something is shown.
  function names(list) {
    const chosen = select.value || (list.find((n) => n.bytes) ?? list[0]).name, first = !select.value;
    list.forEach((n, k) => {
      const option = select.options[k] ?? select.appendChild(element("option"));
      option.value = n.name;
      option.textContent = `${n.name} (${bytes(n.bytes)})`;
    });
    select.value = chosen;
    if (first) load();
  }

  select.addEventListener("change", () => start(-FIRST));
  return { element: root, names, changed: () => select.value && load(), close: load.close };
}
