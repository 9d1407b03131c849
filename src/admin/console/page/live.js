// Listens to what the daemon tells once a second, and says so when the connection is lost. A window that nobody sees does not listen.

import { signedIn } from "./ask.js";
import { write } from "./elements.js";
import { onTheClock } from "./words.js";

/// Nothing for so long means that the connection is lost, even if nobody has said so.
const SILENCE = 6000;
/// How long to wait before the next try, where the browser does not try by itself.
const AGAIN = 3000;

/// Calls `heard` with the name and content of everything that is told about a view, and with `lost` when nothing is; `over` when the session is.
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
    // In few words: the bar must not grow by it.
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
    // The daemon refused, and the browser does not try again: either the session is over, or we try again.
    try {
      if (gone.signal.aborted) return;
      if (!(await signedIn())) {
        over();
        return;
      }
    } catch {
      // It cannot be reached; the next try may find it.
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
