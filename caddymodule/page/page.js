// Makes the page live: the server says that something changed, and the parts marked with data-live are fetched anew.
// Without it the page is the same, as of when it was loaded.
"use strict";
(() => {
  const parts = () => document.querySelectorAll("[data-live]");
  const state = document.getElementById("live");
  let again = null, busy = false, dirty = false;

  async function refresh() {
    if (busy) { dirty = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts()) {
        const other = fresh.getElementById(part.id);
        if (other && other.innerHTML !== part.innerHTML) replace(part, other);
      }
    } catch (e) {
      say("not live: the edge does not answer");
    } finally {
      busy = false;
      if (dirty) { dirty = false; later(); }
    }
  }

  // replace puts in what is new and leaves the keyboard's focus where it was.
  function replace(part, other) {
    const held = part.contains(document.activeElement) ? document.activeElement : null;
    const key = held && (held.id || held.getAttribute("href"));
    part.replaceChildren(...document.adoptNode(other).childNodes);
    if (!key) return;
    const next = document.getElementById(key) || part.querySelector(`[href="${CSS.escape(key)}"]`);
    if (next) next.focus({ preventScroll: true });
  }

  function later() {
    if (!again) again = setTimeout(() => { again = null; if (!document.hidden) refresh(); else dirty = true; }, 1000);
  }

  function say(text) { if (state.textContent !== text) state.textContent = text; }

  document.addEventListener("visibilitychange", () => { if (!document.hidden && dirty) { dirty = false; refresh(); } });

  const search = document.querySelector("form.search");
  let typed = null;
  search.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      const to = new URL(search.action);
      const q = new FormData(search).get("q");
      if (q) to.searchParams.set("q", q);
      if (new URL(location.href).pathname !== to.pathname) { location.href = to.href; return; }
      history.replaceState(null, "", to.href);
      refresh();
    }, 250);
  });

  const feed = new EventSource(document.body.dataset.feed);
  feed.onopen = () => { say("live"); later(); };
  feed.onmessage = later;
  feed.onerror = () => say("not live: the edge does not answer");
  setInterval(later, 10000); // ages go on without anything that changes
})();
