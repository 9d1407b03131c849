// Creates elements.
//
// Owns that text is always set as text: a text of a publisher or a platform never becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/// An element with attributes and children. A function is a listener, `true` an attribute without a
/// value; `undefined`, `null` and `false` set no attribute.
export function el(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

/// The same for SVG.
export function svg(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

function dress(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name, value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== undefined && value !== null && value !== false) {
      element.setAttribute(name, value);
    }
  }
  const wanted = children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false);
  element.append(...wanted.map((child) => (typeof child === "string" ? straight(child) : child)));
  return element;
}

/// Text without characters that change the direction of reading.
function straight(text) {
  return text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "·");
}

/// Sets an element's text only if it differs, because a change would disturb a selection or a
/// screen reader.
export function write(element, text) {
  const shown = straight(String(text));
  if (element.textContent !== shown) {
    element.textContent = shown;
  }
}

/// Announces something to users of a screen reader. It is already visible to the others.
export function say(text) {
  write(document.getElementById("said"), text);
}

/// A line with the result of the last action. There is one in each view, and a new result replaces
/// the old one.
export function notice() {
  const element = el("p", { class: "notice", role: "status", hidden: true });
  const show = (kind, text) => {
    element.className = `notice ${kind}`;
    element.hidden = false;
    write(element, text);
  };
  return {
    element,
    good: (text) => show("good", text),
    bad: (text) => show("bad", text),
    clear: () => {
      element.hidden = true;
      write(element, "");
    },
  };
}
