// The headers of a message: a name and a value in each row.
//
// Owns that rows are added and removed by mouse or keyboard, and that the focus is never lost by
// it.

import { Refused } from "./ask.js";
import { el, say } from "./elements.js";

let count = 0;

/// The rows; there are none at first. `filled` returns names and values, without rows that have no
/// name.
export function headerRows() {
  const rows = el("div", { class: "rows" });
  const add = el("button", { type: "button", click: () => focusOn(row()) }, "Add a header");

  const row = () => {
    count += 1;
    const [name, value] = ["name", "value"].map((what) =>
      el("input", { id: `header-${what}-${count}`, class: what, type: "text", autocomplete: "off", spellcheck: "false" }),
    );
    const remove = el("button", { type: "button", click: () => away(element) }, "Remove");
    const labelled = (text, input) => el("div", { class: "field" }, el("label", { for: input.id }, text), input);
    const element = el("div", { class: "row", role: "group" }, labelled("Name", name), labelled("Value", value), remove);
    rows.append(element);
    number();
    return element;
  };

  // A screen reader tells rows apart by their number.
  const number = () =>
    [...rows.children].forEach((element, place) => {
      element.setAttribute("aria-label", `Header ${place + 1}`);
      element.querySelector("button").setAttribute("aria-label", `Remove header ${place + 1}`);
    });

  const focusOn = (element) => element.querySelector("input").focus();

  const away = (element) => {
    const next = element.nextElementSibling ?? element.previousElementSibling;
    element.remove();
    number();
    if (next) focusOn(next);
    else add.focus();
    say("The header is removed.");
  };

  const filled = () => {
    const pairs = [...rows.children].map((element) => [...element.querySelectorAll("input")].map((input) => input.value));
    const named = pairs.map(([name, value]) => [name.trim(), value]).filter(([name]) => name !== "");
    const twice = named.find(([name], place) => named.findIndex(([other]) => other === name) !== place);
    if (twice) throw new Refused(`The header ${twice[0]} is there twice.`, 0);
    return Object.fromEntries(named);
  };

  return { element: el("fieldset", { class: "headers" }, el("legend", {}, "Headers"), rows, add), filled };
}
