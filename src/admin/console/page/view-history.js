// The view of the history: what became of events and deliveries, the newest first.
//
// Owns that one address shows the history of an event, a subscription, a robot or a topic, so that
// other views can link to it.

import { get } from "./ask.js";
import { HISTORY, TEXTS } from "./catalogue.js";
import { el, notice } from "./elements.js";
import { asked, filters } from "./filter.js";
import { table } from "./table.js";
import { absolute, ago, brief, capital, platform, sentence, several, short } from "./words.js";

export const title = "History";

const PAGE = 50;
const FIELDS = [
  { name: "event", label: "Event", example: "id", kind: "wide" },
  { name: "topic", label: "Topic", example: "alerts" },
  { name: "outcome", label: "Outcome", choices: HISTORY },
  { name: "since", label: "Not older than", example: "2h" },
  { name: "subscription", label: "Subscription", example: "id", kind: "wide", rare: true },
  { name: "robot", label: "Robot", example: "id", kind: "wide", rare: true },
  // The cursor of the page.
  { name: "after" },
];
/// Outcomes that an operator looks for.
const BAD = ["dead", "given_up", "retried", "unheard", "dropped", "discarded", "held"];

export function view() {
  const said = notice();
  const count = el("p", { class: "count", role: "status" });
  let rows = 0;
  const list = table({
    name: "history",
    caption: title,
    quietCaption: true,
    empty: sentence(TEXTS.NO_HISTORY),
    key: (one) => one.key,
    columns: [
      { head: "When", nodes: (one) => [ago(one.at), el("br"), el("small", {}, absolute(one.at))] },
      { head: "What happened", nodes: happened },
      { head: "Event", nodes: (one) => [link({ event: one.event }, el("code", { title: one.event }, one.event.length > 20 ? short(one.event) : one.event)), el("br"), el("small", {}, one.topic)] },
      { head: "Subscription", nodes: (one) => (one.delivery ? whom(one.delivery) : "–") },
      { head: "Platform", nodes: (one) => (about(one) ? platform(about(one).platform) : "–") },
      { head: "Robot", nodes: (one) => (about(one)?.robot ? link({ robot: about(one).robot }, brief(about(one).robot)) : "–") },
    ],
  });
  const first = el("a", { class: "button", hidden: true }, "Newest");
  const next = el("a", { class: "button", hidden: true }, "Older");

  // A late answer must not replace a newer one.
  let turn = 0;
  const show = async () => {
    const query = asked(FIELDS);
    const mine = (turn += 1);
    try {
      const page = await get("history", { ...query, limit: PAGE });
      if (mine !== turn) return;
      list.show(page.entries.map((one) => ({ ...one, key: (rows += 1) })), { anew: true });
      first.hidden = query.after === "";
      first.href = address({ ...query, after: "" });
      next.hidden = !page.next;
      if (page.next) next.href = address({ ...query, after: page.next });
      const more = page.next || query.after ? " on this page" : "";
      count.textContent = page.entries.length > 0 ? `${several(page.entries.length, "entry", "entries")}${more}, the newest first.` : "";
      said.clear();
    } catch (refused) {
      if (mine === turn) said.bad(refused.message);
    }
  };
  const form = filters("Filter the history", FIELDS, show);
  show();
  return el(
    "div",
    {},
    el("div", { class: "head" }, el("div", {}, el("h1", {}, title), count)),
    form.element,
    said.element,
    list.element,
    el("nav", { class: "pages", "aria-label": "Pages" }, first, next),
  );
}

function address(query) {
  const filled = Object.entries(query).filter(([, value]) => value !== "");
  return `/console/history?${new URLSearchParams(filled)}`;
}

function link(query, content) {
  return el("a", { href: address(query) }, content);
}

/// What has the platform and the robot of an entry.
function about(one) {
  return one.delivery ?? one.hold;
}

function happened(one) {
  const label = HISTORY[one.outcome] ?? one.outcome;
  const redriven = one.delivery?.generation > 0 && el("small", {}, ` redriven ${one.delivery.generation} ×`);
  return [el("span", { class: BAD.includes(one.outcome) ? "held" : "calm" }, label), redriven, el("br"), el("span", { class: "says" }, capital(one.says)), one.text && text(one.text)];
}

function text(kept) {
  return el("details", {}, el("summary", {}, "Text"), el("pre", { tabindex: "0", "aria-label": "Text", role: "region" }, kept));
}

function whom(delivery) {
  const id = delivery.subscription;
  return [link({ subscription: id }, delivery.name ?? short(id)), el("br"), el("small", {}, brief(id))];
}
