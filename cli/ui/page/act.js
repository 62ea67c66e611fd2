// Commands by buttons. Each has its command line beside it; before it runs it is asked for, and afterwards its output is shown.
import { button, element, settled } from "./base.js";
import { ask, tell, with_fields } from "./link.js";

// What a verb asks for before it runs: [field, kind, label, hint]; "lines" are words, one a line. The command lines are the
// server's (cli/ui/verbs.def); sample: what stands for the fields that must be filled. page: what the command makes
// is looked at there instead.
const verbs = {
  stop: { text: "Stop", title: "Stop the sweep", fields: [["now", "checkbox", "end what runs now as well"]] },
  resume: { text: "Resume", title: "Go on with the sweep", fields: [["jobs", "text", "Trials at a time", "as the file says"]] },
  retry: { text: "Retry failed", title: "Try failed trials again", fields: [["jobs", "text", "Trials at a time", "as the file says"]] },
  retire: { text: "Retire", title: "Stop this trial", fields: [] },
  clone: { text: "Clone", title: "A trial like this one",
    fields: [["changes", "lines", "Changes, one a line", "rank=16"], ["warm", "checkbox", "start from its weights"]],
    sample: { changes: ["key=value"] } },
  seeds: { text: "Add seeds", title: "The same trial with other seeds", fields: [["count", "text", "How many", "2"]], sample: { count: "2" } },
  note: { text: "Note", title: "A note on the trial", fields: [["text", "textarea", "Note", "what is to be remembered"]],
    sample: { text: "TEXT" } },
  note_sweep: { text: "Note", title: "A note on the sweep", fields: [["text", "textarea", "Note", "what is to be remembered"]],
    sample: { text: "TEXT" } },
  tag: { text: "Tag", title: "Tags of the trial", fields: [["tags", "lines", "Tags, one a line", "keep=yes"]], sample: { tags: ["key=value"] } },
  report: { text: "Report", title: "Make the report", fields: [["metric", "text", "Metric", "as the sweep says"]], page: "/api/report" },
  advise: { text: "Advise", title: "Ask for advice", fields: [["model", "text", "Model", "a folder or a name"],
    ["task", "text", "Task", "as the rows say"], ["rows", "text", "Rows", "1000"], ["gpu", "text", "GPU", "this machine"]], sample: { model: "MODEL" } },
};

const lines = new Map(); // command lines that were asked for: they hang on verb and arguments alone

function command_line(verb, args) {
  const name = JSON.stringify([verb, args]);
  if (!lines.has(name))
    lines.set(name, ask("/api/do", { verb, ...verbs[verb].sample, ...args }).then((a) => a.command, () => {
      lines.delete(name);
      return "";
    }));
  return lines.get(name);
}

// It breaks between words, within one only where that is too long for a line, and never within "--store=".
function write_command(code, text) {
  const pieces = text.split(" ").map((word) => {
    const [flag] = /^-[-a-z]*=?/.exec(word) ?? [""];
    return element("span", { class: "word" }, element("span", { class: "flag" }, flag), word.slice(flag.length));
  });
  code.replaceChildren(...pieces.flatMap((piece, k) => (k ? [" ", piece] : [piece])));
}

// A list of buttons with their command lines; `given`: {verb: arguments}.
export function actions(given) {
  return element("ul", { class: "acts" }, Object.entries(given).map(([verb, args]) => {
    const code = element("code", { "data-keep": true, id: `line-${verb}` });
    command_line(verb, args).then((text) => {
      const shown = document.getElementById(code.id) ?? code; // what was patched in place of this one
      for (const e of [code, shown]) write_command(e, text);
    });
    return element("li", {}, button(`${verbs[verb].text}…`, { "data-verb": verb, "data-args": JSON.stringify(args) }), " ", code);
  }));
}

function field_of([name, kind, label, hint], given) {
  const box = kind === "checkbox", large = kind === "textarea" || kind === "lines";
  const input = element(large ? "textarea" : "input", { name, placeholder: hint ?? null, rows: large ? 3 : null, "data-kind": kind,
    type: large ? null : kind, value: box || large ? null : given[name], autocomplete: "off", spellcheck: "false" });
  return element("p", {}, box ? element("label", {}, input, " ", label) : element("label", {}, label, input));
}

function read_fields(form) {
  const out = {};
  for (const e of form.elements) {
    if (!e.name) continue;
    const text = e.value.trim();
    out[e.name] = e.type === "checkbox" ? (e.checked ? "true" : null)
      : e.dataset.kind === "lines" ? text.split("\n").map((l) => l.trim()).filter(Boolean) : text || null;
  }
  return Object.fromEntries(Object.entries(out).filter(([, v]) => v !== null));
}

function told(answer) {
  const good = answer.started || answer.exit === 0;
  return [element("p", { class: good ? "good" : "bad" }, answer.started ? "It was started and goes on by itself."
    : good ? "Done." : `It ended with status ${answer.exit}.`),
  answer.output ? element("pre", { tabindex: 0 }, answer.output) : null,
  answer.log ? element("p", { class: "note" }, `Its output goes to ${answer.log}`) : null].filter(Boolean);
}

function open_dialog(verb, args) {
  const about = verbs[verb], line = element("code"), out = element("div", { role: "status" });
  const go = element("button", { type: "submit", class: "main" }, about.page ? "Make it and look" : "Run this command"), no = button("Leave it", {}, () => dialog.close());
  const form = element("form", {}, about.fields.map((f) => field_of(f, args)), element("p", { class: "line" }, "$ ", line), out,
    element("p", { class: "row" }, go, no));
  const dialog = element("dialog", { class: "act", "aria-labelledby": "h-act" }, element("h2", { id: "h-act" }, about.title), form);
  const all = () => ({ ...args, ...read_fields(form) });

  async function write_line() {
    const given = all(), lacks = Object.keys(about.sample ?? {}).filter((name) => !given[name]?.length);
    try {
      write_command(line, (await ask("/api/do", { verb, ...given, ...Object.fromEntries(lacks.map((n) => [n, about.sample[n]])) })).command);
      out.textContent = "";
      go.disabled = lacks.length > 0;
    } catch (e) {
      line.textContent = "";
      out.textContent = e.message;
      go.disabled = true;
    }
  }

  async function run(event) {
    event.preventDefault();
    if (about.page) return window.open(with_fields(about.page, all()), "_blank", "noopener");
    go.disabled = true;
    out.textContent = "It runs.";
    try {
      out.replaceChildren(...told(await tell("/api/do", { verb, ...all() })));
      no.textContent = "Close";
      no.focus();
    } catch (e) {
      out.textContent = e.message;
      go.disabled = false;
    }
  }

  form.addEventListener("submit", run);
  form.addEventListener("input", settled(write_line, 150));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  write_line();
}

document.addEventListener("click", (e) => {
  const b = e.target.closest?.("button[data-verb]");
  if (b) open_dialog(b.dataset.verb, JSON.parse(b.dataset.args));
});
