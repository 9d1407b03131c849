// The connection that carries the daemon's live data, once a second.
//
// Owns when the connection counts as lost. A hidden window closes its connection.
//
// Not here: other requests (`ask.js`).

import { signedIn } from "./ask.js";
import { write } from "./elements.js";
import { onTheClock } from "./words.js";

/// After this many milliseconds without an event the connection counts as lost, even without an
/// error.
const SILENCE = 6000;
/// The wait before the next attempt, in milliseconds, if the browser does not try again itself.
const AGAIN = 3000;

/// Calls `heard` with the name and content of every event of a view, and with `lost` when the
/// connection is lost. Calls `over` when the session has ended.
export function listen(view, heard, over) {
  const gone = new AbortController();
  let source, silence, again, last;

  const state = (name, text) => {
    const element = document.querySelector(".link");
    element.dataset.state = name;
    write(element, text);
    document.body.classList.toggle("lost", name === "lost");
  };

  const lost = () => {
    // A short text, because the bar must not become higher.
    state("lost", last ? `Connection lost; as of ${onTheClock(last)}` : "Connection lost");
    heard("lost");
  };

  const tell = (event) => {
    clearTimeout(silence);
    silence = setTimeout(begin, SILENCE);
    last = Date.now();
    state("live", "Live");
    heard(event.type, JSON.parse(event.data));
  };

  const failed = async () => {
    lost();
    if (source.readyState !== EventSource.CLOSED) return;
    // The daemon refused, and the browser does not try again. Either the session has ended, or this
    // page tries again.
    try {
      if (gone.signal.aborted) return;
      if (!(await signedIn())) {
        over();
        return;
      }
    } catch {
      // The daemon cannot be reached; the next attempt may succeed.
    }
    clearTimeout(again);
    if (!gone.signal.aborted) again = setTimeout(begin, AGAIN);
  };

  const end = () => {
    clearTimeout(silence);
    clearTimeout(again);
    source?.close();
  };

  const begin = () => {
    if (silence !== undefined && source?.readyState === EventSource.OPEN) lost();
    end();
    if (document.hidden) return;
    source = new EventSource(`/console/api/live/${view}`);
    source.addEventListener("history", tell);
    source.addEventListener("now", tell);
    source.addEventListener("error", failed);
    silence = setTimeout(begin, SILENCE);
  };

  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()), { signal: gone.signal });
  gone.signal.addEventListener("abort", end);
  begin();
  return () => gone.abort();
}
