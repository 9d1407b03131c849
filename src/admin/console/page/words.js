// The formats of numbers and times. The labels for the daemon's names are in `catalogue.js`, which
// the daemon writes.

import { el } from "./elements.js";
import { PLATFORMS, QUEUES } from "./catalogue.js";

const whole = new Intl.NumberFormat("en");
const precise = new Intl.NumberFormat("en", { maximumSignificantDigits: 2 });

export function number(value) {
  return whole.format(value);
}

/// A text of the daemon as the beginning of a sentence.
export function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/// A text of the daemon as a sentence.
export function sentence(text) {
  return `${capital(text)}.`;
}

/// A rate; a small one has two digits, such as `0.3` and `12`.
export function rate(value) {
  return value >= 10 ? whole.format(Math.round(value)) : precise.format(value);
}

/// A count with the singular or the plural.
export function several(count, one, many) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/// A span of time in its one or two largest units.
export function span(seconds) {
  const left = Math.max(0, Math.round(seconds));
  if (left < 60) return `${left} s`;
  if (left < 3600) return `${Math.floor(left / 60)} min${left < 600 && left % 60 ? ` ${left % 60} s` : ""}`;
  if (left < 86400) return `${Math.floor(left / 3600)} h ${Math.floor((left % 3600) / 60)} min`;
  return `${Math.floor(left / 86400)} d ${Math.floor((left % 86400) / 3600)} h`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/// The time of this day.
export function onTheClock(at) {
  return clock.format(new Date(at));
}

/// The time with its day.
export function absolute(at) {
  return day.format(new Date(at));
}

/// A time relative to `now`; the title holds the exact time.
export function ago(at, now = Date.now()) {
  const when = new Date(at);
  const seconds = (now - when.getTime()) / 1000;
  const text = seconds < 0 ? `in ${span(-seconds)}` : seconds < 5 ? "just now" : `${span(seconds)} ago`;
  return el("time", { datetime: when.toISOString(), title: absolute(when) }, text);
}

/// A time that is this many seconds ahead of the daemon's clock.
export function ahead(seconds, at) {
  const when = new Date(at + seconds * 1000);
  return el("time", { datetime: when.toISOString(), title: absolute(when) }, span(seconds));
}

/// A long id, shortened to its two ends.
export function short(id) {
  return `${id.slice(0, 8)}…${id.slice(-4)}`;
}

/// A shortened id; the title holds all of it.
export function brief(id) {
  return el("code", { title: id }, short(id));
}

/// The label of a platform, or of the queue for messages that were not a readable event.
export function platform(name) {
  const index = Object.keys(PLATFORMS).indexOf(name);
  return el("span", { class: index < 0 ? "platform" : `platform ${series(index)}` }, QUEUES[name] ?? name);
}

/// The class of a platform's colour. There are eight, and then they begin again.
export function series(index) {
  return `series-${index % 8}`;
}
