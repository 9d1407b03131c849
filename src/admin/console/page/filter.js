// A form of filters that is kept in the page's address.
//
// Owns that a filtered view can be stored, shared, and reached again with the browser's back
// button.

import { el } from "./elements.js";

/// The filters of the address, by the names of the fields.
export function asked(fields) {
  const query = new URLSearchParams(location.search);
  return Object.fromEntries(fields.map(({ name }) => [name, query.get(name) ?? ""]));
}

/// The form. `changed` is called when the filters of the address change.
export function filters(label, fields, changed) {
  const inputs = fields.filter((field) => field.label).map((field) => [field, input(field)]);
  const boxes = (rare) =>
    inputs
      .filter(([field]) => Boolean(field.rare) === rare)
      .map(([field, element]) => el("div", { class: `field ${field.kind ?? ""}` }, el("label", { for: element.id }, field.label), element));
  const rare = boxes(true);
  const more = rare.length > 0 && el("details", { class: "more" }, el("summary", {}, "More filters"), el("div", {}, rare));
  const clear = el("button", { type: "button", class: "quiet", click: () => go(new URLSearchParams()) }, "Clear");
  const form = el(
    "form",
    {
      class: "filters",
      role: "search",
      "aria-label": label,
      submit: (event) => {
        event.preventDefault();
        const filled = [...new FormData(form)].map(([name, value]) => [name, value.trim()]).filter(([, value]) => value !== "");
        go(new URLSearchParams(filled));
      },
    },
    boxes(false),
    el("div", { class: "field buttons" }, el("button", { type: "submit", class: "main" }, "Filter"), clear),
    more,
  );

  const fill = () => {
    const query = asked(fields);
    for (const [field, element] of inputs) {
      const value = query[field.name];
      element.value = value;
      // A daemon of another version may know values that this page does not.
      if (element.value !== value) {
        element.append(el("option", { value }, value));
        element.value = value;
      }
    }
    // The form opens if a filter is set, so that an active filter is visible.
    if (more && inputs.some(([field]) => field.rare && query[field.name] !== "")) more.open = true;
    clear.hidden = Object.values(query).every((value) => value === "");
  };
  const go = (query) => {
    const text = query.toString();
    history.pushState(null, "", text ? `?${text}` : location.pathname);
    fill();
    changed();
  };
  window.addEventListener("popstate", () => {
    fill();
    changed();
  });
  fill();
  return { element: form, go };
}

function input(field) {
  const attributes = { id: `filter-${field.name}`, name: field.name };
  if (!field.choices) {
    return el("input", { type: "text", autocomplete: "off", spellcheck: "false", placeholder: field.example, ...attributes });
  }
  const choices = [["", "any"], ...Object.entries(field.choices)];
  return el("select", attributes, choices.map(([value, text]) => el("option", { value }, text)));
}
