// The whole page: sign-in, the view of the address, and the end of a session.
//
// Not here: the views (`view-*.js`).

import { signOut, signedIn, whenOver } from "./ask.js";
import { el } from "./elements.js";
import { listen } from "./live.js";
import { signInForm } from "./sign-in.js";

const VIEWS = {
  overview: () => import("./view-overview.js"),
  robots: () => import("./view-robots.js"),
  budgets: () => import("./view-budgets.js"),
  subscriptions: () => import("./view-subscriptions.js"),
  topics: () => import("./view-topics.js"),
  dead: () => import("./view-dead.js"),
  history: () => import("./view-history.js"),
  explain: () => import("./view-explain.js"),
};

const main = document.getElementById("main");
const name = location.pathname.split("/")[2] || "overview";
const ends = [];
let begun = false;

function signedOut(why) {
  ends.splice(0).forEach((end) => end());
  frame(false);
  document.title = "Sign in · roomcast";
  // A reload also removes the listeners that a view has added to the window.
  const form = signInForm(why, () => (begun ? location.reload() : show()));
  main.replaceChildren(form.element);
  form.focus();
}

function frame(shown) {
  document.querySelector(".bar nav").hidden = !shown;
  document.querySelector(".bar .aside").hidden = !shown;
  document.body.classList.remove("lost");
}

async function show() {
  const { title, view } = await VIEWS[name]();
  document.title = `${title} · roomcast`;
  document.querySelector(`[data-view="${name}"]`).setAttribute("aria-current", "page");
  frame(true);
  begun = true;
  const over = () => signedOut("Your session is over. Sign in again.");
  const heardOf = (what, heard) => {
    const end = listen(what, heard, over);
    ends.push(end);
    return end;
  };
  main.replaceChildren(view({ listen: heardOf }));
}

async function begin() {
  try {
    if (await signedIn()) {
      await show();
    } else {
      signedOut();
    }
  } catch (refused) {
    const again = el("button", { type: "button", click: begin }, "Try again");
    main.replaceChildren(el("div", { class: "trouble" }, el("h1", {}, "This cannot be shown"), el("p", {}, refused.message), again));
  }
}

whenOver(() => signedOut("Your session is over. Sign in again."));
document.getElementById("sign-out").addEventListener("click", async () => {
  try {
    await signOut();
    signedOut();
  } catch (refused) {
    signedOut(`You may still be signed in. ${refused.message}`);
  }
});
begin();
