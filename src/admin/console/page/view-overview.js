// The overview: the condition of the daemon, a few numbers, the last five minutes, and the slowest
// robots.

import { PLATFORMS, QUEUES, REASONS, TEXTS } from "./catalogue.js";
import { chart } from "./chart.js";
import { el, say, write } from "./elements.js";
import { robotColumns } from "./view-robots.js";
import { ago, capital, number, platform, rate, sentence, several } from "./words.js";
import { table } from "./table.js";

export const title = "Overview";

/// The milliseconds over which rates are computed.
const RECENT = 10_000;
const KEPT = 310;
const MOVE = 10_000;

export function view({ listen }) {
  const headline = el("p", { class: "headline" });
  const detail = el("p", { class: "detail" });
  const state = el("section", { class: "state", "aria-label": "How it is" }, headline, detail);
  const figures = {};
  const figure = (name, label, href) => {
    figures[name] = el("dd", {}, "–");
    return el("div", { class: "figure" }, el("dt", {}, href ? el("a", { href }, label) : label), figures[name]);
  };
  const numbers = el(
    "dl",
    { class: "figures" },
    figure("events", "Events per second"),
    figure("delivered", capital(TEXTS.DELIVERED_PER_SECOND)),
    figure("waiting", "Waiting for their turn", "/console/robots"),
    figure("held", "Robots on hold", "/console/robots"),
    figure("dead", "Dead letters", "/console/dead"),
  );
  const picture = chart();
  const flow = platforms();
  const dead = letters();
  const slowest = table({
    name: "slowest",
    caption: "Longest to drain",
    empty: "Nothing waits: no robot has a backlog.",
    key: (robot) => robot.robot,
    columns: robotColumns(() => at).filter(({ head }) => ["Robot", "Platform", "Waiting", "Drained in", "State"].includes(head)),
  });
  let ticks = [];
  let at = Date.now();
  let was;

  // The list of the slowest robots is sorted again from time to time, but not while the pointer or
  // the focus is in it.
  let moved = 0;
  const mayMove = () => {
    const inUse = slowest.element.matches(":hover") || slowest.element.contains(document.activeElement);
    if (inUse || at - moved < MOVE) return false;
    moved = at;
    return true;
  };

  const how = (now) => {
    state.dataset.kind = now.kind;
    write(headline, now.headline);
    write(detail, now.detail);
    // A screen reader announces the condition only when it changes, not every second.
    if (was !== undefined && was !== now.headline) say(now.headline);
    was = now.headline;
  };

  listen("overview", (kind, told) => {
    if (kind === "lost") {
      how({ kind: "bad", headline: "No connection to the daemon", detail: "The data on this page is old. Either the daemon is down, or the network to it; the page keeps trying." });
      return;
    }
    if (kind === "history") {
      ticks = told.map(([when, events, delivered]) => [when, delivered, events]);
      return;
    }
    at = told.at;
    ticks.push([told.at, told.platforms.map(({ done }) => done), told.events]);
    ticks = ticks.slice(-KEPT);
    picture.draw(ticks);
    const recent = since(ticks, RECENT);
    write(figures.events, rate(recent.events));
    write(figures.delivered, rate(recent.delivered.reduce((sum, one) => sum + one, 0)));
    write(figures.waiting, number(told.robots.waiting));
    write(figures.held, number(told.robots.held));
    write(figures.dead, told.dead ? number(told.dead.letters) : "–");
    flow.show(told, since(ticks, 60_000));
    slowest.show(told.robots.slowest, { anew: mayMove() });
    dead.show(told.dead, told.at);
    how(condition(told));
  });
  return el("div", {}, el("h1", { class: "unseen" }, title), state, numbers, picture.element, flow.element, dead.element, slowest.element);
}

/// The condition, in words.
function condition({ at, broker_up, broker_blocked, robots, dead }) {
  const letters = dead?.letters > 0 ? ` ${several(dead.letters, "dead letter lies", "dead letters lie")} in the queues.` : "";
  const waiting = robots.waiting > 0 ? `${several(robots.waiting, "delivery waits", "deliveries wait")} for ${robots.waiting === 1 ? "its" : "their"} turn.` : "Nothing waits.";
  if (!broker_up) {
    return { kind: "bad", headline: capital(TEXTS.NO_SESSION), detail: "Nothing is delivered until there is one, and nothing is lost: events wait in the broker. The daemon keeps trying." };
  }
  if (broker_blocked) {
    return { kind: "warn", headline: "The broker takes no messages", detail: "It has a memory or disk alarm. Deliveries that can be made are made; deferred ones wait." };
  }
  if (robots.outages.length > 0) {
    const names = robots.outages.map((outage) => QUEUES[outage.platform] ?? outage.platform).join(", ");
    const since = ago(robots.outages.map((outage) => outage.since).sort()[0], at).textContent;
    const failing = robots.failing > 0 ? ` ${several(robots.failing, "robot", "robots")} elsewhere ${robots.failing === 1 ? "fails" : "fail"} too.` : "";
    return { kind: "bad", headline: `${robots.outages.length > 1 ? "Platforms fail" : "A platform fails"}: ${names}`, detail: `Most robots there get no usable answer; it began ${since}. Deliveries wait in order, within their time to live, and one message at a time probes. ${waiting}${failing}` };
  }
  if (robots.failing > 0) {
    const held = robots.held - robots.failing;
    const others = held > 0 ? ` ${several(held, "robot is", "robots are")} on hold for another reason.` : "";
    return { kind: "warn", headline: several(robots.failing, "robot fails", "robots fail"), detail: `${robots.failing === 1 ? "Its" : "Their"} attempts get no usable answer. Deliveries wait in order, and a probe that gets through ends the hold. ${waiting}${others}` };
  }
  if (robots.held > 0) {
    return { kind: "warn", headline: `${several(robots.held, "robot is", "robots are")} on hold`, detail: `${robots.held === 1 ? "Its" : "Their"} deliveries wait in order and cost no attempts. ${waiting}` };
  }
  return { kind: "good", headline: "All is well", detail: `Connected to the broker. ${waiting}${letters}` };
}

/// Events and deliveries in one second, as averages over the last `span` milliseconds.
function since(ticks, span) {
  const now = ticks.at(-1);
  const then = ticks.find(([when]) => when >= now[0] - span);
  const seconds = (now[0] - then[0]) / 1000;
  const per = (count) => (seconds > 0 ? Math.max(0, count) / seconds : 0);
  return { seconds, events: per(now[2] - then[2]), delivered: now[1].map((count, place) => per(count - then[1][place])) };
}

/// The contents of the dead queues at their last count. Each kind links to its letters.
function letters() {
  const unknown = el("small");
  const kinds = table({
    name: "dead",
    caption: ["Dead letters", unknown],
    empty: sentence(TEXTS.NO_DEAD_LETTERS),
    key: (row) => `${row.platform} ${row.reason}`,
    columns: [
      { head: "Reason", nodes: (row) => el("a", { href: `/console/dead?${new URLSearchParams({ platform: row.platform ?? "event", reason: row.reason })}` }, REASONS[row.reason] ?? row.reason), sign: (row) => row.reason },
      { head: "Platform", nodes: (row) => platform(row.platform ?? "event"), sign: (row) => row.platform },
      { head: "Letters", kind: "number strong", text: (row) => number(row.count) },
      { head: "Oldest", kind: "number", nodes: (row) => (row.oldest ? ago(row.oldest, row.at) : "–"), sign: (row) => `${row.oldest} ${Math.round(row.at / 10_000)}` },
    ],
  });
  // Kinds that are gone are removed when new ones appear, but not while the pointer or the focus is
  // in the list.
  let listed = "";
  const becomesAnother = (rows) => {
    const now = rows.map(({ platform, reason }) => `${platform} ${reason}`).sort().join();
    if (now === listed || kinds.element.matches(":hover") || kinds.element.contains(document.activeElement)) return false;
    listed = now;
    return true;
  };
  return {
    element: kinds.element,
    show: (told, at) => {
      kinds.element.hidden = !told;
      if (!told) return;
      const missing = told.queues.filter(({ letters }) => letters === null).map(({ queue }) => QUEUES[queue] ?? queue);
      write(unknown, missing.length > 0 ? `not counted: ${missing.join(", ")}` : "");
      kinds.show(told.rows.map((row) => ({ ...row, at })), { anew: becomesAnother(told.rows) });
    },
  };
}

function platforms() {
  const begun = el("small");
  const count = (head, field) => ({ head, kind: "number", text: (row) => number(row[field]) });
  const flow = table({
    name: "flow",
    caption: ["By platform", begun],
    empty: "",
    key: (row) => row.platform,
    columns: [
      { head: "Platform", nodes: (row) => platform(row.platform), sign: (row) => row.platform },
      { head: "Delivered a minute", kind: "number strong", text: (row) => rate(row.minute) },
      count("Delivered in all", "done"),
      count("Put off", "deferred"),
      count("Tried again", "retried"),
      count("Given up", "dead"),
      count("Dropped", "dropped"),
    ],
  });
  const order = Object.keys(PLATFORMS);
  return {
    element: flow.element,
    show: (told, recent) => {
      write(begun, `since the start, ${ago(told.since, told.at).textContent}`);
      flow.show(told.platforms.map((row) => ({ ...row, minute: recent.delivered[order.indexOf(row.platform)] * 60 })));
    },
  };
}
