// The view of organisations: the use of their monthly quota, its forecast, and what must wait for
// the next month.

import { el } from "./elements.js";
import { table } from "./table.js";
import { ago, number } from "./words.js";

export const title = "Budgets";

export function view({ listen }) {
  const list = table({
    name: "budgets",
    caption: "Monthly quotas of organisations",
    quietCaption: true,
    empty: "No organisation has a monthly quota. [groups.<name>] in the configuration gives it one, and subscriptions name it with --group.",
    key: (group) => group.group,
    columns: [
      { head: "Organisation", text: (group) => group.group },
      { head: "Used this month", kind: "number", nodes: used },
      { head: "Forecast for the month", kind: "number", nodes: forecast },
      { head: "Month ends", sign: (group) => minute(group.month_ends), nodes: (group) => ago(group.month_ends) },
      { head: "State", nodes: state },
    ],
  });
  listen("budgets", (kind, groups) => kind === "now" && list.show(groups));
  return el(
    "div",
    {},
    el("div", { class: "head" }, el("h1", {}, title)),
    el("p", { class: "lead" }, "DingTalk counts the calls of a whole organisation by the month. Subscriptions that name a group share its count."),
    list.element,
  );
}

/// A sign that changes once a minute.
function minute(at) {
  return `${at} ${Math.floor(Date.now() / 60_000)}`;
}

function used({ used: count, monthly }) {
  if (!monthly) return `${number(count)}, without a limit`;
  return [
    el("meter", { min: 0, max: monthly, high: monthly * 0.8, optimum: 0, value: count, "aria-hidden": "true" }),
    el("span", {}, `${number(count)} of ${number(monthly)}`),
  ];
}

function forecast({ forecast: count, monthly }) {
  return monthly && count > monthly ? el("strong", { class: "held" }, `${number(count)}, ${number(count - monthly)} too many`) : number(count);
}

function state({ spent_until }) {
  return spent_until ? [el("strong", { class: "held" }, "Used up"), ": goes on ", ago(spent_until)] : el("span", { class: "calm" }, "open");
}
