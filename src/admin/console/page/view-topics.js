// The view of topics: their subscriptions, their events since the start, and the topics whose
// events reach no chat.

import { get } from "./ask.js";
import { el, notice } from "./elements.js";
import { asked, filters } from "./filter.js";
import { table } from "./table.js";
import { ago, number, several } from "./words.js";

export const title = "Topics";

const PAGE = 100;
const FIELDS = [
  { name: "name", label: "Name contains", example: "alerts" },
  { name: "without_subscription", label: "Show", choices: { true: "only those whose events reach no chat" } },
  // The cursor of the page.
  { name: "after" },
];

export function view() {
  const said = notice();
  const count = el("p", { class: "count", role: "status" });
  const list = table({
    name: "topics",
    caption: title,
    quietCaption: true,
    empty: "No topic matches.",
    key: (one) => one.topic,
    columns: [
      { head: "Topic", text: (one) => one.topic },
      { head: "Subscriptions", kind: "number", nodes: subscriptions },
      { head: "Events", kind: "number", text: (one) => number(one.events ?? 0) },
      { head: "Reached no chat", kind: "number", nodes: reachedNone },
      { head: "Last event", kind: "number", nodes: (one) => (one.last_event_at ? ago(one.last_event_at) : "–") },
      { head: "Did you mean", nodes: (one) => (one.nearest ? el("a", { href: subscriptionsOf(one.nearest) }, one.nearest) : "–") },
    ],
  });
  const first = el("a", { class: "button", hidden: true }, "First page");
  const next = el("a", { class: "button", hidden: true }, "Next page");

  // A late answer must not replace a newer one.
  let turn = 0;
  const show = async () => {
    const query = asked(FIELDS);
    const mine = (turn += 1);
    try {
      const page = await get("topics", { ...query, limit: PAGE });
      if (mine !== turn) return;
      list.show(page.topics, { anew: true });
      first.hidden = query.after === "";
      first.href = address({ ...query, after: "" });
      next.hidden = !page.next;
      if (page.next) next.href = address({ ...query, after: page.next });
      const more = page.next || query.after ? " on this page" : "";
      const found = page.topics.length > 0 ? `${several(page.topics.length, "topic", "topics")}${more}. ` : "";
      count.replaceChildren(`${found}Events are counted since the start, `, ago(page.since), ".");
      said.clear();
    } catch (refused) {
      if (mine === turn) said.bad(refused.message);
    }
  };
  const form = filters("Filter topics", FIELDS, show);
  show();
  return el(
    "div",
    {},
    el("div", { class: "head" }, el("div", {}, el("h1", {}, title), count), el("button", { type: "button", click: show }, "Look again")),
    form.element,
    said.element,
    list.element,
    el("nav", { class: "pages", "aria-label": "Pages" }, first, next),
  );
}

function address(query) {
  const filled = Object.entries(query).filter(([, value]) => value !== "");
  return `/console/topics?${new URLSearchParams(filled)}`;
}

function subscriptionsOf(topic) {
  return `/console/subscriptions?${new URLSearchParams({ topic })}`;
}

function subscriptions(one) {
  if (one.subscriptions === 0) return el("strong", { class: "held" }, "none");
  const paused = one.subscriptions - one.active;
  return el("a", { href: subscriptionsOf(one.topic) }, number(one.subscriptions) + (paused > 0 ? `, ${number(paused)} paused` : ""));
}

function reachedNone(one) {
  const events = one.events_without_subscription ?? 0;
  return events > 0 ? el("strong", { class: "held" }, number(events)) : "–";
}
