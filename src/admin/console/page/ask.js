// Requests to the daemon.
//
// Owns how a request fails: every error becomes one sentence, and the end of a session shows the
// sign-in form.
//
// Not here: the live data (`live.js`).

let csrf = "";
let over = () => {};

/// Why a request failed, as a sentence.
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/// Calls `then` when the daemon does not know this session any more.
export function whenOver(then) {
  over = then;
}

/// Whether the user is signed in.
export async function signedIn() {
  const answer = await send("session");
  const session = await read(answer);
  csrf = session?.csrf ?? "";
  return csrf !== "";
}

export async function signIn(token) {
  const answer = await send("session", "POST", { token });
  ({ csrf } = await read(answer));
}

export async function signOut() {
  await read(await send("session", "DELETE"));
  csrf = "";
}

/// A request that reads.
export async function get(path, query = {}) {
  const filled = Object.entries(query).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const text = new URLSearchParams(filled).toString();
  return settled(await send(text ? `${path}?${text}` : path));
}

/// A request that changes something.
export async function post(path, body) {
  return settled(await send(path, "POST", body));
}

async function settled(answer) {
  if (answer.status === 401) {
    over();
  }
  return read(answer);
}

async function send(path, method = "GET", body = undefined) {
  const headers = method === "GET" ? {} : { "x-roomcast-csrf": csrf };
  if (body !== undefined) {
    headers["content-type"] = "application/json";
  }
  try {
    return await fetch(`/console/api/${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused("The daemon cannot be reached.", 0);
  }
}

async function read(answer) {
  const text = await answer.text();
  if (answer.ok) {
    return text ? JSON.parse(text) : undefined;
  }
  throw new Refused(sentence(text, answer.status), answer.status);
}

function sentence(text, status) {
  try {
    const { message } = JSON.parse(text);
    return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
  } catch {
    return text.trim() || `The daemon answered ${status}.`;
  }
}
