// One dead letter: the advice, its history, the published event, and the message that its platform
// would get.

import { el } from "./elements.js";
import { REASONS } from "./catalogue.js";
import { absolute, ago, number, platform } from "./words.js";

export function letter(one) {
  const when = (at) => at && [ago(at), ` (${absolute(at)})`];
  const facts = [
    ["Why", [REASONS[one.reason] ?? one.reason, " (", el("code", {}, one.code), ")"]],
    ["It says", one.detail],
    ["Platform", one.platform ? platform(one.platform) : "none: it is not a readable event"],
    ["Topic", one.topic],
    ["Letter", el("code", {}, one.id)],
    ["Event", one.event && past({ event: one.event }, one.event)],
    ["Application", one.app_id && el("code", {}, one.app_id)],
    ["User", one.user_id && el("code", {}, one.user_id)],
    ["Subscription", one.subscription && past({ subscription: one.subscription }, one.subscription)],
    ["Robot", one.robot && el("a", { href: `/console/subscriptions?robot=${one.robot}` }, el("code", {}, one.robot))],
    ["Attempts", number(one.attempts)],
    ["Received", when(one.received_at)],
    ["First attempt", when(one.first_attempt_at)],
    ["Given up", when(one.dead_at)],
    ["Redriven before", one.generation > 0 && `${number(one.generation)} ×`],
    ["Urgent", one.urgent && "yes"],
  ];
  return [
    el("p", { class: "advice" }, el("strong", {}, "What to do: "), one.advice),
    el("dl", {}, facts.filter(([, value]) => value).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    part("As it was published", one.body === undefined ? `(not text, in base 64)\n${one.body_base64 ?? ""}` : pretty(one.body)),
    part("As it would be sent", one.rendered ? JSON.stringify(one.rendered, null, 2) : undefined, one.rendered_note),
    Object.keys(one.headers).length > 0 && part("Headers of its publisher", JSON.stringify(one.headers, null, 2)),
  ];
}

/// A link to the history.
function past(query, id) {
  return el("a", { href: `/console/history?${new URLSearchParams(query)}`, title: "Its history" }, el("code", {}, id));
}

function part(name, text, note) {
  return [el("h3", {}, name), note && el("p", {}, note), text !== undefined && el("pre", { tabindex: "0", "aria-label": name, role: "region" }, text)];
}

/// JSON is indented, because that is easier to read. Other text stays as it is.
function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
