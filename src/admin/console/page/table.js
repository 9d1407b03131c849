// Tables whose rows keep their places: what is told later changes cells, adds rows at the end and marks those that are gone, but never moves
// what somebody is reading, and never takes the focus away.

import { el, write } from "./elements.js";

let count = 0;

/// A table. Each column has a `head` and either `text(row)`, or `nodes(row)` with a `sign(row)` that says when they have changed, or
/// `once(read)` for what is made once for a row, such as a button: it gets a function that reads what the row is now.
/// The column that `names` its row, or else the first, is read out before its cells. `key(row)` tells rows apart; `empty` is what is said when there are none.
export function table({ name, caption, columns, key, empty, quietCaption = false }) {
  const id = `table-${(count += 1)}`;
  const body = el("tbody", { role: "rowgroup" });
  const nothing = el("p", { class: "empty", hidden: true }, empty);
  const head = columns.map((column) => el("th", { scope: "col", role: "columnheader", class: column.kind }, column.head));
  const element = el(
    "div",
    { class: `table ${name}` },
    el(
      "div",
      { class: "scroll", role: "region", "aria-labelledby": id, tabindex: "0" },
      el(
        "table",
        { role: "table", "aria-labelledby": id },
        el("caption", { id, class: quietCaption ? "unseen" : undefined }, caption),
        el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head)),
        body,
      ),
    ),
    nothing,
  );
  const shown = new Map();

  // With `forget`, rows that are not told any more are taken away, but for one that somebody points at or works in.
  const show = (rows, { anew = false, forget = false } = {}) => {
    if (anew) {
      shown.clear();
      body.replaceChildren();
    }
    const present = new Set();
    for (const row of rows) {
      const name = key(row);
      present.add(name);
      const known = shown.get(name) ?? add(name, columns, shown, body);
      known.update(row);
    }
    for (const [name, known] of shown) {
      known.element.classList.toggle("gone", !present.has(name));
      if (forget && !present.has(name) && !known.element.matches(":hover, :focus-within")) {
        known.element.remove();
        shown.delete(name);
      }
    }
    element.querySelector("table").hidden = shown.size === 0;
    nothing.hidden = shown.size > 0;
  };

  return { element, show };
}

function add(name, columns, shown, body) {
  let now;
  const heading = Math.max(0, columns.findIndex((column) => column.names));
  const cells = columns.map((column, place) => {
    const attributes = { class: column.kind, "data-head": column.head };
    const cell =
      place === heading
        ? el("th", { scope: "row", role: "rowheader", ...attributes })
        : el("td", { role: "cell", ...attributes });
    if (column.once) cell.append(column.once(() => now));
    return cell;
  });
  const element = el("tr", { role: "row" }, cells);
  const signs = [];
  const update = (row) => {
    now = row;
    columns.forEach((column, place) => {
      const cell = cells[place];
      if (column.text) {
        write(cell, column.text(row));
      } else if (column.nodes) {
        const sign = column.sign ? column.sign(row) : JSON.stringify(row);
        if (signs[place] !== sign) {
          signs[place] = sign;
          cell.replaceChildren(...[column.nodes(row)].flat().filter(Boolean));
        }
      }
      column.then?.(cell, row);
    });
  };
  body.append(element);
  const known = { element, update };
  shown.set(name, known);
  return known;
}
