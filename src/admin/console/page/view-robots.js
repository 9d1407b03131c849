// The view of robots that are busy or held: used quota, waiting deliveries, time to drain, and the
// cause of a hold.

import { post } from "./ask.js";
import { PLATFORMS, TEXTS } from "./catalogue.js";
import { confirmed } from "./dialog.js";
import { el, notice, say } from "./elements.js";
import { asked, filters } from "./filter.js";
import { table } from "./table.js";
import { ago, ahead, brief, capital, number, platform, sentence, several, short, span } from "./words.js";

export const title = "Robots";

/// The daemon filters, because it sends only the busiest of the robots that match.
const FIELDS = [
  { name: "robot", label: "Robot", kind: "wide", example: "a piece of its id" },
  { name: "platform", label: "Platform", choices: PLATFORMS },
  { name: "state", label: "State", choices: { held: "on hold", waiting: "with a backlog" } },
];

/// How many rows of absent robots are kept; without a limit the page would only grow.
const GONE_MAX = 100;

export function view({ listen }) {
  const said = notice();
  let at = Date.now();
  let anew = true;
  let robots = [];
  // Every row of the table. A row stays in its position when its robot becomes idle, and shows
  // that. Absent robots are in the order in which they became absent.
  const seen = new Map();
  let end = () => {};
  const again = el("button", { type: "button", click: () => sort() }, "Sort by backlog");
  const count = el("p", { class: "count" });
  const list = table({
    name: "robots",
    caption: "Robots that are busy or held",
    quietCaption: true,
    empty: "No robot to show: none that fits was busy in the last minutes, and nothing waits.",
    key: (robot) => robot.robot,
    columns: [...robotColumns(() => at), { head: "Action", kind: "action", once: (read) => release(read, said), then: only }],
  });
  const sort = () => {
    seen.clear();
    robots.forEach((row) => seen.set(row.robot, row));
    list.show(robots, { anew: true });
    say("Sorted by backlog.");
  };

  const heard = (kind, told) => {
    if (kind !== "now") return;
    at = told.at;
    robots = told.robots;
    if (anew) seen.clear();
    const present = new Set(robots.map(({ robot }) => robot));
    const gone = [...seen.values()].filter(({ robot }) => !present.has(robot)).slice(-GONE_MAX);
    const absent = told.more > 0 ? "not among the busiest any more" : filtered() ? "does not fit any more" : "idle";
    const still = gone.map((row) => ({ ...row, used: 0, in_flight: 0, waiting: 0, cause: null, wait: null, absent }));
    seen.clear();
    [...still, ...robots].forEach((row) => seen.set(row.robot, row));
    list.show([...robots, ...still], { anew, forget: true });
    anew = false;
    const held = robots.filter(({ cause }) => cause).length;
    const more = told.more > 0 ? ` ${several(told.more, "more is", "more are")} busy and not shown.` : "";
    const of = filtered() ? ` These fit, of ${number(told.of)} that are busy or on hold.` : "";
    count.textContent = robots.length > 0 || of ? `${several(robots.length, "robot", "robots")}, ${number(held)} on hold.${more}${of}` : "";
    again.hidden = robots.length < 2;
  };
  const filtered = () => Object.values(asked(FIELDS)).some((value) => value !== "");
  const begin = () => {
    end();
    anew = true;
    const query = new URLSearchParams(Object.entries(asked(FIELDS)).filter(([, value]) => value !== "")).toString();
    end = listen(query ? `robots?${query}` : "robots", heard);
  };
  const form = filters("Filter robots", FIELDS, begin);
  begin();
  return el(
    "div",
    {},
    el("div", { class: "head" }, el("div", {}, el("h1", {}, title), count), again),
    el("p", { class: "lead" }, "A robot is the chat behind a webhook. Rows keep their places while the numbers change."),
    form.element,
    said.element,
    list.element,
  );
}

/// The columns of a robot's state. `at` is the daemon's time.
export function robotColumns(at) {
  return [
    {
      head: "Robot",
      sign: (row) => row.robot,
      nodes: (row) => [
        el("a", { href: `/console/subscriptions?robot=${row.robot}`, title: "Its subscriptions" }, brief(row.robot)),
        " ",
        el("a", { href: `/console/history?robot=${row.robot}`, title: "Its history" }, el("small", {}, "history")),
      ],
    },
    { head: "Platform", sign: (row) => row.platform, nodes: (row) => platform(row.platform) },
    { head: "Quota used", kind: "number", sign: quota, nodes: used },
    { head: "In flight", kind: "number", text: (row) => number(row.in_flight) },
    { head: "Waiting", kind: "number strong", text: (row) => number(row.waiting) },
    {
      head: "Drained in",
      kind: "number",
      sign: (row) => (row.waiting > 0 ? (known(row) ? span(row.drained_in_seconds) : TEXTS.UNKNOWN) : ""),
      nodes: (row) => (row.waiting > 0 ? (known(row) ? ahead(row.drained_in_seconds, at()) : TEXTS.UNKNOWN) : "–"),
    },
    { head: "State", sign: (row) => `${row.absent} ${row.cause} ${row.wait?.reason} ${row.held_for_seconds} ${row.health?.last_failure?.at}`, nodes: (row) => state(row, at()) },
  ];
}

function quota(row) {
  return row.allowed ? `${number(row.used)} of ${number(row.allowed)}` : number(row.used);
}

function used(row) {
  if (!row.allowed) return quota(row);
  return [el("meter", { min: 0, max: row.allowed, value: row.used, "aria-hidden": "true" }), el("span", {}, quota(row))];
}

function state(row, at) {
  if (row.absent) return el("span", { class: "calm" }, row.absent);
  if (!row.cause) return el("span", { class: "calm" }, row.wait ? capital(row.wait.sentence) : "sending");
  const next = row.held_for_seconds ? ["tries again in ", ahead(row.held_for_seconds, at)] : ["tries again with the next message"];
  const since = row.held_since ? [" (it began ", ago(row.held_since, at), ")"] : [];
  return [el("strong", { class: "held" }, capital(row.wait.sentence)), ...since, "; ", ...next, ...failure(row)];
}

/// The last failure of a robot whose attempts fail.
function failure(row) {
  const last = row.health?.failures_in_a_row > 0 ? row.health.last_failure : null;
  if (!last) return [];
  return [`. ${several(row.health.failures_in_a_row, "failure", "failures in a row")}, the last one `, el("code", {}, last.code), last.detail ? `: ${last.detail}` : ""];
}

/// Whether the time to drain is known: it is not where nothing gets through.
function known(row) {
  return row.drained_in_seconds !== null;
}

/// Only a held robot can be released.
function only(cell, row) {
  const button = cell.querySelector("button");
  if (!row.cause && button === document.activeElement) return;
  button.hidden = !row.cause;
  button.setAttribute("aria-label", `End hold of robot ${short(row.robot)}`);
}

function release(read, said) {
  const ask = async () => {
    const { robot, wait } = read();
    const yes = await confirmed({
      title: "End the hold of this robot?",
      text: `Robot ${short(robot)}: ${wait.sentence}. What to do: ${wait.advice}. The next delivery is sent at once; if it is refused again, the robot is held again, and longer.`,
      yes: "End the hold",
    });
    if (!yes) return;
    try {
      const { was_held } = await post(`robots/${robot}/release`);
      said.good(was_held ? `The hold of robot ${short(robot)} is ended.` : sentence(TEXTS.NOT_HELD));
    } catch (refused) {
      said.bad(`The hold was not ended. ${refused.message}`);
    }
  };
  return el("button", { type: "button", hidden: true, click: ask }, "End hold");
}
