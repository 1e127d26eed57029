// A live page's parts come as server-sent events; each takes the place of the one that has the same id.

import { showLocalTimes } from "./time.js";

/** Listens for a page that is live, as long as it is looked at. */
export function watchLive() {
  const root = document.querySelector("[data-live]");
  if (!root) return;
  let source;
  const listen = () => {
    source?.close();
    source = undefined;
    if (document.hidden) return;
    source = new EventSource(root.dataset.live);
    source.addEventListener("parts", (event) => put(event.data));
    source.onopen = () => document.documentElement.classList.add("is-live");
    source.onerror = () => document.documentElement.classList.remove("is-live");
  };
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => source?.close());
  listen();
}

function put(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  for (const part of fresh.querySelectorAll("[id]")) {
    const old = document.getElementById(part.id);
    if (old && old.innerHTML !== part.innerHTML) replace(old, part);
  }
}

/** Whoever is on a link or a button with the keyboard stays on it. */
function replace(old, part) {
  const reachable = (root) => [...root.querySelectorAll("a[href], button, input")];
  const place = reachable(old).indexOf(document.activeElement);
  old.className = part.className;
  old.replaceChildren(...part.childNodes);
  showLocalTimes(old);
  if (place >= 0) reachable(old)[place]?.focus();
}
