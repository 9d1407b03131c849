// The view that explains an event: for each subscription of its topic, whether it would be sent,
// when, and the message. Nothing is sent.

import { post } from "./ask.js";
import { OUTCOMES, TEXTS } from "./catalogue.js";
import { el, notice } from "./elements.js";
import { headerRows } from "./header-rows.js";
import { table } from "./table.js";
import { ago, brief, number, platform, several, span } from "./words.js";

export const title = "Explain";

const EXAMPLE = JSON.stringify({ subject: "db-1 is down", message: "replica db-2 took over" }, null, 2);

export function view() {
  const said = notice();
  const count = el("p", { class: "count", role: "status" });
  const list = results();
  list.element.hidden = true;
  const plain = { type: "text", autocomplete: "off", spellcheck: "false" };
  const topic = el("input", { id: "explain-topic", name: "topic", required: true, ...plain });
  const kind = el("input", { id: "explain-content-type", name: "content_type", placeholder: "application/json", ...plain });
  const only = el("input", { id: "explain-subscription", name: "subscription", "aria-describedby": "explain-subscription-hint", ...plain });
  const headers = headerRows();
  const body = el("textarea", { id: "explain-body", name: "body", rows: "8", required: true, spellcheck: "false" });
  const urgent = el("input", { id: "explain-urgent", name: "urgent", type: "checkbox" });
  const more = el("button", { type: "button", hidden: true, click: () => explain(next) }, "Show more subscriptions");
  const asked = new URLSearchParams(location.search);
  topic.value = asked.get("topic") ?? "";
  only.value = asked.get("subscription") ?? "";
  body.value = EXAMPLE;
  let next;
  let found = [];
  let request = {};

  const explain = async (after) => {
    said.clear();
    try {
      if (!after) {
        request = {
          topic: topic.value.trim(),
          body: body.value,
          headers: headers.filled(),
          // An empty field is left out of the request.
          content_type: kind.value.trim() || undefined,
          urgent: urgent.checked,
          subscription: only.value.trim() || undefined,
        };
      }
      const explained = await post("explain", after ? { ...request, after } : request);
      list.element.hidden = Boolean(explained.undecodable);
      more.hidden = !explained.next;
      if (explained.undecodable) {
        count.textContent = "";
        said.bad(`This is not an event, and would be a dead letter: ${explained.undecodable.detail} (${explained.undecodable.code}).`);
        return;
      }
      found = after ? [...found, ...explained.subscriptions] : explained.subscriptions;
      next = explained.next;
      list.show(found, { anew: !after });
      const sent = found.filter(({ outcome }) => outcome === "sent" || outcome === "waits").length;
      const rest = explained.next ? " There are more." : "";
      count.textContent = `${several(found.length, "subscription", "subscriptions")} of the topic; ${number(sent)} of them would get it.${rest}`;
    } catch (refused) {
      // The explanation of an earlier event is removed.
      if (!after) {
        count.textContent = "";
        list.element.hidden = true;
        more.hidden = true;
      }
      said.bad(refused.message);
    }
  };

  const form = el(
    "form",
    {
      class: "explain",
      submit: (event) => {
        event.preventDefault();
        explain();
      },
    },
    el(
      "div",
      { class: "beside" },
      el("div", { class: "field" }, el("label", { for: "explain-topic" }, "Topic"), topic),
      el("div", { class: "field" }, el("label", { for: "explain-content-type" }, "Content type, if it has one"), kind),
    ),
    el("div", { class: "field" }, el("label", { for: "explain-body" }, "Event, as it would be published"), body),
    headers.element,
    el("div", { class: "field tick" }, urgent, el("label", { for: "explain-urgent" }, "published to the urgent exchange")),
    el(
      "div",
      { class: "field" },
      el("label", { for: "explain-subscription" }, "Only for one subscription"),
      only,
      el("p", { class: "hint", id: "explain-subscription-hint" }, "Its id; without one, all subscriptions of the topic are explained."),
    ),
    el("button", { type: "submit", class: "main" }, "Explain"),
  );
  return el(
    "div",
    {},
    el("div", { class: "head" }, el("div", {}, el("h1", {}, title))),
    el("p", { class: "lead" }, "Which subscriptions would get an event, when, and with which message. Nothing is sent."),
    form,
    said.element,
    count,
    list.element,
    more,
  );
}

function results() {
  return table({
    name: "explained",
    caption: "Outcome for each subscription",
    empty: "This topic has no subscriptions.",
    key: (one) => one.subscription,
    columns: [
      { head: "Subscription", nodes: (one) => [el("span", {}, one.name ?? TEXTS.NO_NAME), el("br"), el("small", {}, brief(one.subscription))] },
      { head: "Platform", nodes: (one) => platform(one.platform) },
      { head: "Robot", nodes: (one) => el("a", { href: `/console/subscriptions?robot=${one.robot}` }, brief(one.robot)) },
      { head: "Outcome", nodes: outcome },
      { head: "When", kind: "when", nodes: when },
      { head: "What", nodes: parts },
    ],
  });
}

function outcome(one) {
  const says = OUTCOMES[one.outcome] ?? one.outcome;
  const heard = one.outcome === "sent" || one.outcome === "waits";
  return [el("span", { class: heard ? undefined : "held" }, says), one.why && el("br"), one.why && el("small", {}, one.why)];
}

function when({ first_in_seconds: first, last_in_seconds: last }) {
  if (first === null || first === undefined) return "–";
  const begins = first < 1 ? "at once" : ago(Date.now() + first * 1000);
  return last !== null && last - first >= 1 ? [begins, `, the last part ${span(last - first)} later`] : begins;
}

function parts({ parts: all }) {
  if (all.length === 0) return "–";
  const bytes = all.reduce((sum, part) => sum + part.bytes, 0);
  return el(
    "details",
    {},
    el("summary", {}, `${several(all.length, "message", "messages")}, ${number(bytes)} bytes`),
    all.map((part) => el("pre", {}, JSON.stringify(part.body, null, 2))),
  );
}
