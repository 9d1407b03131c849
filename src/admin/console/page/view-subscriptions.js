// The view of subscriptions: masked, a page at a time, with a switch to pause each.

import { get, post } from "./ask.js";
import { PLATFORMS, TEXTS } from "./catalogue.js";
import { confirmed } from "./dialog.js";
import { el, notice } from "./elements.js";
import { asked, filters } from "./filter.js";
import { table } from "./table.js";
import { ago, brief, platform, sentence, several, short } from "./words.js";

export const title = "Subscriptions";

const PAGE = 50;
const FIELDS = [
  { name: "topic", label: "Topic", example: "alerts" },
  { name: "platform", label: "Platform", choices: PLATFORMS },
  { name: "state", label: "State", choices: { active: "active", paused: "paused" } },
  { name: "name", label: "Name contains" },
  { name: "robot", label: "Robot", kind: "wide", example: "id" },
  { name: "group", label: "Organisation" },
  // The cursor of the page.
  { name: "after" },
];

export function view() {
  const said = notice();
  const count = el("p", { class: "count", role: "status" });
  const list = table({
    name: "subscriptions",
    caption: title,
    quietCaption: true,
    empty: "No subscription matches.",
    key: (one) => one.id,
    columns: [
      { head: "Name", nodes: (one) => who(one) },
      { head: "Topic", nodes: (one) => link({ topic: one.topic }, one.topic) },
      { head: "Platform", nodes: (one) => platform(one.platform) },
      { head: "Robot", nodes: (one) => [link({ robot: one.robot }, brief(one.robot)), el("br"), el("code", { class: "webhook", title: "The webhook, masked" }, one.endpoint.replace(/^\w+:\/\//, ""))] },
      { head: "Options", nodes: options },
      { head: "State", nodes: state },
      { head: "Test", kind: "action", once: (read) => testButton(read, said), then: (cell, one) => cell.firstChild.setAttribute("aria-label", `Test ${one.name ?? short(one.id)} on ${one.topic}`) },
      { head: "Action", kind: "action", once: (read) => button(read, said, reload), then: (cell, one) => name(cell.querySelector("button"), one) },
    ],
  });
  const first = el("a", { class: "button", hidden: true }, "First page");
  const next = el("a", { class: "button", hidden: true }, "Next page");
  const pages = el("nav", { class: "pages", "aria-label": "Pages" }, first, next);

  // A late answer must not replace a newer one.
  let turn = 0;
  const show = async (anew) => {
    const query = asked(FIELDS);
    const mine = (turn += 1);
    try {
      const page = await get("subscriptions", { ...query, limit: PAGE });
      if (mine !== turn) return;
      list.show(page.subscriptions, { anew });
      first.hidden = query.after === "";
      first.href = address({ ...query, after: "" });
      next.hidden = !page.next;
      if (page.next) next.href = address({ ...query, after: page.next });
      const more = page.next || query.after ? " on this page" : "";
      count.textContent = page.subscriptions.length > 0 ? `${several(page.subscriptions.length, "subscription", "subscriptions")}${more}.` : "";
      if (anew) said.clear();
    } catch (refused) {
      if (mine === turn) said.bad(refused.message);
    }
  };
  const reload = () => show(false);
  const form = filters("Filter subscriptions", FIELDS, () => show(true));
  show(true);
  return el(
    "div",
    {},
    el("div", { class: "head" }, el("div", {}, el("h1", {}, title), count)),
    form.element,
    said.element,
    list.element,
    pages,
  );
}

function address(query) {
  const filled = Object.entries(query).filter(([, value]) => value !== "");
  return `/console/subscriptions?${new URLSearchParams(filled)}`;
}

function link(query, content) {
  return el("a", { href: address(query) }, content);
}

function who(one) {
  return [el("span", {}, one.name ?? TEXTS.NO_NAME), el("br"), el("small", {}, brief(one.id))];
}

function state(one) {
  const now = one.state === "paused" ? el("strong", { class: "held" }, "paused") : el("span", { class: "calm" }, one.state);
  const past = el("a", { href: `/console/history?subscription=${one.id}` }, "history");
  return [now, el("br"), el("small", {}, "added ", ago(one.created_at), " · ", past)];
}

function options(one) {
  const { all, mobiles, users } = one.mentions;
  const mentioned = mobiles.length + users.length;
  const said = [
    one.overflow !== "queue" && one.overflow,
    one.signed && "signed",
    one.keyword && `keyword ${one.keyword}`,
    one.group && `group ${one.group}`,
    one.quiet && `quiet ${one.quiet}`,
    all ? "mentions all" : mentioned > 0 && `mentions ${mentioned}`,
    one.filter && el("details", {}, el("summary", {}, "filter"), el("pre", {}, JSON.stringify(one.filter, null, 2))),
  ].filter(Boolean);
  return said.length > 0 ? el("ul", { class: "options" }, said.map((one) => el("li", {}, one))) : "–";
}

function name(element, one) {
  element.textContent = one.state === "paused" ? "Resume" : "Pause";
  element.setAttribute("aria-label", `${element.textContent} ${one.name ?? short(one.id)} on ${one.topic}`);
}

function button(read, said, reload) {
  const ask = async () => {
    const one = read();
    const called = `${one.name ?? short(one.id)} on ${one.topic}`;
    const pause = one.state !== "paused";
    const text = pause
      ? `1 subscription, ${called}, gets nothing until it is resumed. Events published meanwhile, and deliveries that wait for it now, are dropped.`
      : `1 subscription, ${called}, gets the events published from now on.`;
    if (!(await confirmed({ title: pause ? "Pause this subscription?" : "Resume this subscription?", text, yes: pause ? "Pause" : "Resume", danger: pause }))) return;
    try {
      await post(`subscriptions/${one.id}/${pause ? "pause" : "resume"}`);
      await reload();
      said.good(`${called} is ${pause ? "paused" : "active again"}.`);
    } catch (refused) {
      said.bad(`${sentence(TEXTS.NOTHING_CHANGED)} ${refused.message}`);
    }
  };
  return el("button", { type: "button", click: ask }, "");
}

/// A button that sends a test message to the robot of the row.
function testButton(read, said) {
  const ask = async () => {
    const one = read();
    const called = `${one.name ?? short(one.id)} on ${one.topic}`;
    const text = "Its chat gets one message that is marked as a test and mentions no member. It uses the robot's quota.";
    if (!(await confirmed({ title: `Send a test message to ${called}?`, text, yes: "Send" }))) return;
    said.clear();
    button.setAttribute("aria-disabled", "true");
    try {
      const { outcome, says, advice } = await post(`subscriptions/${one.id}/test`);
      const told = sentence(advice ? `${says}; ${advice}` : says);
      if (outcome === "delivered") said.good(told);
      else said.bad(told);
    } catch (refused) {
      said.bad(refused.message);
    } finally {
      button.removeAttribute("aria-disabled");
    }
  };
  const button = el("button", { type: "button", click: () => button.getAttribute("aria-disabled") || ask() }, "Test");
  return button;
}
