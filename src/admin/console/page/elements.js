// Makes elements. Text is always set as text: whatever a publisher or a platform has written, it never becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/// An element with attributes and children. A function is a listener, `true` an attribute without value, nothing is left out.
export function el(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

/// The same within a drawing.
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

/// Text without what turns its direction round: what a publisher wrote shall read as it is.
function straight(text) {
  return text.replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "·");
}

/// Sets an element's text if it differs, so that nobody who reads or selects it is disturbed without need.
export function write(element, text) {
  const shown = straight(String(text));
  if (element.textContent !== shown) {
    element.textContent = shown;
  }
}

/// Says something to people who hear the page; those who see it have it before their eyes.
export function say(text) {
  write(document.getElementById("said"), text);
}

/// A line that says what happened. There is one in each view; what is said later takes the place of what was said before.
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
