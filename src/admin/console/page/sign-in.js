// The form for the admin token.
//
// Owns that the token is sent once and not stored; a cookie that scripts cannot read replaces it.

import { signIn } from "./ask.js";
import { el, notice } from "./elements.js";

/// Shows the form; calls `then` when the token was right. `why` is shown above it.
export function signInForm(why, then) {
  const said = notice();
  if (why) said.bad(why);
  const token = el("input", {
    id: "token",
    name: "token",
    type: "password",
    autocomplete: "current-password",
    required: true,
    spellcheck: "false",
    "aria-describedby": "token-hint",
  });
  const button = el("button", { type: "submit", class: "main" }, "Sign in");
  const form = el(
    "form",
    {
      class: "sign-in",
      submit: async (event) => {
        event.preventDefault();
        button.disabled = true;
        try {
          await signIn(token.value);
          then();
        } catch (refused) {
          said.bad(refused.message);
          token.select();
          token.focus();
        }
        button.disabled = false;
      },
    },
    el("h1", {}, "Sign in"),
    said.element,
    !window.isSecureContext &&
      el("p", { class: "notice bad" }, "This connection is not encrypted: others on the network can read the token. Use TLS or a tunnel."),
    // Password managers store a token under a user name.
    el("input", { type: "text", name: "username", value: "roomcast", autocomplete: "username", hidden: true }),
    el("label", { for: "token" }, "Admin token"),
    token,
    el("p", { class: "hint", id: "token-hint" }, "It is in the file that admin.token_file names."),
    button,
  );
  return { element: form, focus: () => token.focus() };
}
