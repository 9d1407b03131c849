// Tables whose rows keep their positions.
//
// Owns that an update changes cells, adds rows at the end, and marks rows that are gone. It never
// moves a row that the user may be reading, and never takes the focus away.

import { el, write } from "./elements.js";

let count = 0;

/// A table. Each column has a `head`, and one of three:
/// - `text(row)`;
/// - `nodes(row)` with a `sign(row)` that changes when the nodes must be built again;
/// - `once(read)` for content that is built once for a row, such as a button. `read` returns the
///   current row.
///
/// A screen reader reads the column that `names` its row, or else the first, before each cell.
/// `key(row)` tells rows apart; `empty` is the text of an empty table.
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

  // With `forget`, rows that are gone are removed, except one under the pointer or with the focus.
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
