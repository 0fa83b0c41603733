// Makes the page live: the server says that something changed, and the parts marked with data-live are fetched anew.
// Without it the page is the same, as of when it was loaded.
"use strict";
(() => {
  const pause = 1000, idle = 10000; // milliseconds: between two fetches, and without any news, since ages go on
  const state = document.getElementById("live"), search = document.querySelector("form.search");
  let feed, fetching = null, again = null, missed = false, reached = true;

  // refresh fetches the page and puts in what has changed. A fetch that is under way is of no use any more.
  async function refresh() {
    fetching?.abort();
    clearTimeout(again);
    again = null;
    const mine = fetching = new AbortController();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: mine.signal });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      reached = answer.ok;
      if (reached) for (const part of document.querySelectorAll("[data-live]")) take(part, fresh.getElementById(part.id));
    } catch {
      if (mine.signal.aborted) return; // by the next one
      reached = false;
    }
    fetching = null;
    say();
  }

  function take(part, fresh) {
    const held = document.activeElement;
    if (fresh) patch(part, fresh);
    if (held !== document.activeElement && held.isConnected) held.focus({ preventScroll: true }); // it was moved
  }

  // patch makes one node like another of its kind and touches only what differs, so that the keyboard's focus, what is
  // selected and how far a table is scrolled stay as they are.
  function patch(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    patchChildren(old, fresh);
  }

  const kind = node => node.nodeName + (node.dataset?.key ?? "");

  function patchChildren(old, fresh) {
    const left = new Map(); // the children there are, by kind, in their order
    for (const child of old.childNodes) {
      const same = left.get(kind(child));
      if (same) same.push(child); else left.set(kind(child), [child]);
    }
    const wanted = [...fresh.childNodes].map(child => [left.get(kind(child))?.shift(), child]);
    for (const gone of [...left.values()].flat()) gone.remove();
    let at = old.firstChild;
    for (const [had, child] of wanted) {
      if (had) patch(had, child);
      if (had && had === at?.nextSibling) old.append(at); // it comes later, or all that follow would have to move
      else if (!had || had !== at) old.insertBefore(had ?? document.adoptNode(child), at);
      if (had) at = had.nextSibling;
    }
  }

  // later refreshes in a while, and as soon as somebody looks.
  function later() {
    if (document.hidden) missed = true;
    else again ??= setTimeout(refresh, pause);
  }

  document.addEventListener("visibilitychange", () => {
    if (missed && !document.hidden) { missed = false; refresh(); }
  });

  // A search shows as it is typed, on the pages that it is for. From the others it goes there when it is sent.
  let typed = null;
  function find() {
    clearTimeout(typed);
    const to = new URL(search.action), q = new FormData(search).get("q");
    if (q) to.searchParams.set("q", q);
    if (to.href === location.href) return;
    history.replaceState(null, "", to.href);
    refresh();
  }
  if (new URL(search.action).pathname === location.pathname) {
    search.addEventListener("input", () => { clearTimeout(typed); typed = setTimeout(find, 250); });
    search.addEventListener("submit", event => { event.preventDefault(); find(); });
  }

  function say() {
    const live = reached && feed.readyState === EventSource.OPEN;
    const text = live ? "live" : "not live: the edge does not answer";
    if (state.textContent !== text) state.textContent = text;
    state.className = live ? "good" : "bad";
  }

  function listen() {
    feed = new EventSource(document.body.dataset.feed);
    feed.onopen = () => { say(); later(); };
    feed.onmessage = later;
    feed.onerror = () => {
      say();
      if (feed.readyState === EventSource.CLOSED) setTimeout(listen, idle); // somebody between us and the edge answers for it
    };
  }
  listen();
  setInterval(later, idle);
})();
