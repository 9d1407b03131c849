// Dialogs, such as the question before a change that cannot be undone.
//
// Owns that a question names the change and its size, and that the safe answer has the focus.

import { el } from "./elements.js";

let count = 0;

/// Shows a dialog until it is closed.
export function shown({ title, content }) {
  const id = `question-${(count += 1)}`;
  const dialog = el(
    "dialog",
    { "aria-labelledby": id, class: "wide" },
    el("div", { class: "head" }, el("h2", { id }, title), el("button", { type: "button", autofocus: true, click: () => dialog.close() }, "Close")),
    content,
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

/// Asks a question; true if the answer is yes. `yes` is the label of the button.
export function confirmed({ title, text, yes, danger = false }) {
  const id = `question-${(count += 1)}`;
  return new Promise((answer) => {
    const dialog = el(
      "dialog",
      { "aria-labelledby": `${id}-title`, "aria-describedby": `${id}-text` },
      el(
        "form",
        { method: "dialog" },
        el("h2", { id: `${id}-title` }, title),
        el("div", { id: `${id}-text` }, [text].flat().filter(Boolean).map((part) => (typeof part === "string" ? el("p", {}, part) : part))),
        el(
          "div",
          { class: "answers" },
          el("button", { type: "button", autofocus: true, click: () => dialog.close("no") }, "Cancel"),
          el("button", { type: "button", class: danger ? "danger" : "main", click: () => dialog.close("yes") }, yes),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      answer(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
