// The view of dead letters: which were given up and why, with redrive and discard.
//
// Owns that both are confirmed first, with the number of letters.

import { get, post } from "./ask.js";
import { QUEUES, REASONS, TEXTS } from "./catalogue.js";
import { confirmed, shown } from "./dialog.js";
import { el, notice, write } from "./elements.js";
import { asked, filters } from "./filter.js";
import { letter } from "./letter.js";
import { table } from "./table.js";
import { ago, brief, capital, number, platform, sentence, several } from "./words.js";

export const title = "Dead letters";

const PAGE = 50;
/// The daemon's limit for one request.
const AT_ONCE = 10_000;
const FIELDS = [
  { name: "platform", label: "Platform", choices: QUEUES },
  { name: "reason", label: "Reason", choices: REASONS },
  { name: "code", label: "Code" },
  { name: "topic", label: "Topic" },
  { name: "text", label: "Event or detail says", kind: "wide" },
  { name: "older_than", label: "Older than", example: "1h", rare: true },
  { name: "newer_than", label: "Newer than", example: "2d", rare: true },
  { name: "robot", label: "Robot", example: "id", kind: "wide", rare: true },
  { name: "subscription", label: "Subscription", example: "id", kind: "wide", rare: true },
  { name: "event", label: "Event", example: "id", kind: "wide", rare: true },
  { name: "generation", label: "Redriven so often", example: "0", rare: true },
  // The cursor of the page.
  { name: "after" },
];
const ACTS = {
  redrive: {
    verb: "Redrive",
    done: "redriven",
    says: "Only the failed deliveries are repeated, within the quotas of their robots. A subscription that was removed gets nothing.",
  },
  discard: { verb: "Discard", done: "discarded", danger: true, says: "They are deleted for good, and nothing is sent." },
};

export function view({ listen }) {
  const said = notice();
  const count = el("p", { class: "count", role: "status" });
  const picked = new Set();
  const buttons = Object.keys(ACTS).map((act) => [act, el("button", { type: "button", class: ACTS[act].danger && "warns", "aria-disabled": "true", click: () => perform(act) })]);
  let matched = 0;
  let working = false;
  // The queue that is shown, its number of letters, and the time of that count.
  let looked;
  let at = 0;
  const news = el("p", { class: "news", role: "status" });

  const label = () => {
    for (const [act, button] of buttons) {
      const which = picked.size > 0 ? `${number(picked.size)} selected` : `all ${number(matched)} that match`;
      button.textContent = `${ACTS[act].verb} ${which}…`;
      // `aria-disabled` instead of `disabled`, so that the button keeps the focus.
      button.setAttribute("aria-disabled", String(working || matched === 0));
    }
  };
  const pick = (id, yes) => {
    if (yes) picked.add(id);
    else picked.delete(id);
    label();
  };
  const kinds = kindsTable();
  const list = lettersTable(pick, (id) => picked.has(id), said);
  const first = el("a", { class: "button", hidden: true }, "First page");
  const next = el("a", { class: "button", hidden: true }, "Next page");

  // A late answer must not replace a newer one.
  let turn = 0;
  const show = async () => {
    const query = asked(FIELDS);
    const { after, ...which } = query;
    const mine = (turn += 1);
    count.textContent = capital(TEXTS.READING_DEAD_QUEUES);
    looked = undefined;
    write(news, "");
    try {
      const page = await get("dead", { ...query, limit: PAGE });
      if (mine !== turn) return;
      looked = { queue: query.platform, letters: page.total + page.missed, at };
      picked.clear();
      matched = page.matched;
      list.show(page.letters, { anew: true });
      const all = Object.values(which).every((value) => value === "");
      const found = all
        ? several(page.matched, "dead letter", "dead letters")
        : `${several(page.matched, "dead letter matches", "dead letters match")}, of ${number(page.total)} looked through`;
      count.textContent = `${found}.${held(page.missed)}`;
      first.hidden = after === "";
      first.href = address(which);
      next.hidden = !page.next;
      if (page.next) next.href = address({ ...which, after: page.next });
      label();
      const summary = await get("dead/summary", { ...which, by: "platform,reason,code" });
      if (mine === turn) kinds.show(summary);
    } catch (refused) {
      if (mine !== turn) return;
      count.textContent = "";
      said.bad(refused.message);
    }
  };

  const perform = async (act) => {
    if (working || matched === 0) return;
    const { after: _, ...query } = asked(FIELDS);
    const which = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ""));
    if (which.generation !== undefined) which.generation = Number(which.generation);
    const ids = [...picked];
    const wish = { which, ids, all: ids.length === 0 && Object.keys(which).length === 0 };
    working = true;
    label();
    try {
      const would = await post(`dead/${act}`, { ...wish, limit: AT_ONCE, dry_run: true });
      if (would.done === 0) {
        said.bad(`Nothing was ${ACTS[act].done}: no letter matches any more.${held(would.missed)}`);
        await show();
        return;
      }
      if (!(await confirmed(question(act, would)))) return;
      said.clear();
      count.textContent = `${ACTS[act].verb === "Redrive" ? "Redriving" : "Discarding"} ${number(would.done)}…`;
      const outcome = await post(`dead/${act}`, { ...wish, limit: would.done });
      await show();
      said.good(`${several(outcome.done, "dead letter was", "dead letters were")} ${ACTS[act].done}.${held(outcome.missed)}`);
    } catch (refused) {
      said.bad(`Not all was ${ACTS[act].done}, perhaps nothing. ${refused.message}`);
    } finally {
      working = false;
      label();
    }
  };

  const form = filters("Filter dead letters", FIELDS, () => {
    said.clear();
    show();
  });
  show();
  // The daemon counts the letters from time to time. The list stays as it is until the user
  // requests it again.
  listen("overview", (kind, told) => {
    if (kind !== "now") return;
    at = told.at;
    if (!looked || working || !told.dead) return;
    looked.at ||= at;
    const queues = told.dead.queues.filter(({ queue }) => looked.queue === "" || queue === looked.queue);
    const later = queues.every(({ counted_at }) => counted_at !== null) && queues.some(({ counted_at }) => counted_at > looked.at);
    const letters = queues.reduce((sum, one) => sum + one.letters, 0);
    write(news, later && letters !== looked.letters ? `There are ${number(letters)} now, and were ${number(looked.letters)}: look again.` : "");
  });
  const again = el("button", { type: "button", click: () => show() }, "Look again");
  return el(
    "div",
    {},
    el("div", { class: "head" }, el("div", {}, el("h1", {}, title), count, news), again),
    form.element,
    said.element,
    kinds.element,
    el("div", { class: "actions" }, buttons.map(([, button]) => button)),
    list.element,
    el("nav", { class: "pages", "aria-label": "Pages" }, first, next),
  );
}

function held(missed) {
  return missed > 0 ? ` ${several(missed, "more is", "more are")} held by another reader at the moment.` : "";
}

function address(query) {
  const filled = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return `/console/dead?${new URLSearchParams(filled)}`;
}

function question(act, would) {
  const { verb, says, danger } = ACTS[act];
  const rest = would.matched - would.done;
  const kinds = would.rows.slice(0, 8).map(({ values, count }) => el("li", {}, `${number(count)} × ${kind(values)}`));
  return {
    title: `${verb} ${several(would.done, "dead letter", "dead letters")}?`,
    text: [
      el("ul", { class: "meant" }, kinds, would.rows.length > 8 && el("li", {}, "and others")),
      says,
      rest > 0 && `${number(rest)} more match: not more than ${number(AT_ONCE)} are taken at once.`,
    ],
    yes: `${verb} ${number(would.done)}`,
    danger,
  };
}

function kind({ platform: on, reason, code }) {
  return [QUEUES[on ?? "event"] ?? on, REASONS[reason] ?? reason, code].filter(Boolean).join(", ");
}

/// The counts by kind. Each kind links to its letters.
function kindsTable() {
  const kinds = table({
    name: "kinds",
    caption: "By reason",
    empty: "There are no dead letters of this kind.",
    key: (row) => JSON.stringify(row.values),
    columns: [
      {
        head: "Reason",
        nodes: ({ values }) => el("a", { href: address({ ...values, platform: values.platform ?? "event" }) }, REASONS[values.reason] ?? values.reason),
      },
      { head: "Code", nodes: ({ values }) => (values.code ? el("code", {}, values.code) : "–") },
      { head: "Platform", nodes: ({ values }) => platform(values.platform ?? "event") },
      { head: "Letters", kind: "number strong", text: ({ count }) => number(count) },
      { head: "Oldest", kind: "number", nodes: ({ oldest }) => (oldest ? ago(oldest) : "–") },
      { head: "Newest", kind: "number", nodes: ({ newest }) => (newest ? ago(newest) : "–") },
    ],
  });
  return { element: kinds.element, show: (summary) => kinds.show(summary.rows, { anew: true }) };
}

function lettersTable(pick, isPicked, said) {
  return table({
    name: "letters",
    caption: "Letters, the newest first",
    empty: sentence(TEXTS.NO_LETTER_MATCHES),
    key: (one) => one.id,
    columns: [
      { head: "Select", kind: "pick", once: () => el("input", { type: "checkbox" }), then: (cell, one) => checkbox(cell.firstChild, one, pick, isPicked) },
      { head: "Event", names: true, nodes: (one) => [el("span", { class: "says" }, one.says || "–"), el("br"), el("small", {}, one.topic)] },
      { head: "Why", nodes: (one) => [REASONS[one.reason] ?? one.reason, el("br"), el("small", {}, el("code", {}, one.code))] },
      { head: "Platform", nodes: (one) => platform(one.platform ?? "event") },
      { head: "Robot", nodes: (one) => (one.robot ? el("a", { href: address({ robot: one.robot }), title: "Its dead letters" }, brief(one.robot)) : "–") },
      { head: "Attempts", kind: "number", text: (one) => number(one.attempts) + (one.generation > 0 ? `, redriven ${number(one.generation)} ×` : "") },
      { head: "Given up", kind: "number", nodes: (one) => (one.dead_at ? ago(one.dead_at) : "–") },
      { head: "Action", kind: "action", once: (read) => open(read, said), then: (cell, one) => cell.firstChild.setAttribute("aria-label", `Show the letter “${one.says || one.event}”`) },
    ],
  });
}

function checkbox(input, one, pick, isPicked) {
  input.checked = isPicked(one.id);
  input.onchange = () => pick(one.id, input.checked);
  input.setAttribute("aria-label", `Select the letter “${one.says || one.event}”`);
}

function open(read, said) {
  const show = async () => {
    try {
      shown({ title: "Dead letter", content: letter(await get(`dead/${encodeURIComponent(read().id)}`)) });
    } catch (refused) {
      said.bad(refused.message);
    }
  };
  return el("button", { type: "button", click: show }, "Show");
}
