/**
 * Follows live traffic: requests in flight, finished requests, and one reply as it arrives.
 *
 * Owns the event streams. Everything received is shown as text, through the page's templates.
 */
(() => {
  "use strict";

  const { ask, bytes, duration, fill, heard, adminPath, say, setSlot, showMoment, toast } = globalThis.oar;
  const list = document.querySelector("[data-live]");
  if (list === null) return;

  // Requests in flight

  const rows = list.querySelector("[data-live-list]");
  const none = list.querySelector("[data-live-none]");
  const shape = list.querySelector("template[data-live-row]");
  /** By request id: the row, and the start of its request by this page's clock. */
  const shown = new Map();
  const pane = document.querySelector("[data-watch]");
  let watched = pane?.dataset.watch || null;

  function watchPath(requestId) {
    return `${adminPath}/live?watch=${encodeURIComponent(requestId)}`;
  }

  function showInFlight(requests) {
    const ids = new Set(requests.map(({ requestId }) => requestId));
    for (const [id, { row }] of shown) {
      if (ids.has(id)) continue;
      row.remove();
      shown.delete(id);
    }
    for (const request of requests) {
      const known = shown.get(request.requestId);
      const row = known?.row ?? fill(shape, {});
      if (known === undefined) {
        row.dataset.request = request.requestId;
        row.querySelector("[data-slot=link]").href = watchPath(request.requestId);
        setSlot(row, "model", request.model ?? request.path);
        setSlot(row, "client", request.client ?? "");
        rows.append(row);
      }
      const open = request.waitingMs === null ? "…" : list.dataset.waiting;
      setSlot(row, "upstream", request.upstreamName ?? open);
      setSlot(row, "bytes", bytes(request.replyBytes));
      shown.set(request.requestId, { row, startedAt: performance.now() - request.elapsedMs });
    }
    none.hidden = requests.length > 0;
    markWatched();
    tick();
    for (const count of document.querySelectorAll("[data-slot=in-flight-count]")) {
      count.textContent = requests.length;
    }
  }

  function showWaiting(count) {
    for (const line of document.querySelectorAll("[data-live-waiting]")) {
      line.hidden = count === 0;
      line.querySelector("[data-slot=waiting-count]").textContent = count;
    }
  }

  function tick() {
    const now = performance.now();
    for (const { row, startedAt } of shown.values()) setSlot(row, "elapsed", duration(now - startedAt));
  }

  function markWatched() {
    for (const [id, { row }] of shown) {
      const link = row.querySelector("[data-slot=link]");
      if (id === watched) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  for (const row of rows.children) {
    shown.set(row.dataset.request, { row, startedAt: performance.now() - Number(row.dataset.elapsed) });
  }
  setInterval(tick, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : 100);

  // Finished requests

  const MOST_FINISHED = 50;
  const finished = document.querySelector("[data-finished]");

  function showFinished(record) {
    if (finished === null) return;
    const shapes = [...finished.querySelectorAll("template[data-finished-row]")];
    const outcome = shapes.find((each) => each.dataset.finishedRow === record.outcome) ?? shapes[0];
    const row = fill(outcome, {
      status: record.status > 0 ? String(record.status) : "",
      model: record.model ?? "–",
      upstream: record.upstreamName ?? "–",
      elapsed: duration(record.elapsedMs),
    });
    row.querySelector("[data-slot=link]").href = `${adminPath}/records/${
      encodeURIComponent(record.requestId)
    }`;
    showMoment(row.querySelector("[data-slot=time]"), new Date(record.createdAtMs));
    const finishedRows = finished.querySelector("[data-finished-list]");
    finishedRows.prepend(row);
    while (finishedRows.children.length > MOST_FINISHED) finishedRows.lastElementChild.remove();
    finished.querySelector("[data-finished-none]").hidden = true;
  }

  const eventsUrl = new URL(list.dataset.live, location.href).href;
  const AGAIN_MS = 5000;

  function receive({ type, data }) {
    if (type === "lost" || type === "refused") ask();
    else heard();
    if (type === "in_flight") showInFlight(JSON.parse(data));
    else if (type === "waiting") showWaiting(JSON.parse(data));
    else if (type === "finished") showFinished(JSON.parse(data));
    else if (type === "open") say("");
    else if (type === "refused") say(toast.dataset.lost);
    if (type === "refused") afterRefusal();
  }

  /** A session that is over leads to the login, and back here. */
  async function afterRefusal() {
    const asking = new AbortController();
    const answer = await fetch(eventsUrl, { signal: asking.signal }).catch(() => null);
    asking.abort();
    if (answer?.status !== 401) return setTimeout(follow, AGAIN_MS);
    const here = `/admin${location.pathname.slice(adminPath.length)}${location.search}`;
    location.assign(`${adminPath}/login?next=${encodeURIComponent(here)}`);
  }

  // A browser opens six connections to a server: all tabs share one stream, and hidden ones need none.
  let feed = globalThis.SharedWorker === undefined ? ownFeed() : sharedFeed();

  function sharedFeed() {
    const worker = new SharedWorker(list.dataset.liveFeed);
    const { port } = worker;
    worker.addEventListener("error", () => {
      feed = ownFeed();
      follow();
    });
    port.addEventListener("message", ({ data }) => receive(data));
    port.start();
    return {
      follow: () => port.postMessage({ type: "follow", url: eventsUrl }),
      leave: () => port.postMessage({ type: "leave" }),
    };
  }

  function ownFeed() {
    let events = null;
    return {
      follow: () => {
        if (events !== null && events.readyState !== EventSource.CLOSED) return;
        events = new EventSource(eventsUrl);
        for (const type of ["in_flight", "waiting", "finished", "open"]) {
          events.addEventListener(type, ({ data }) => receive({ type, data }));
        }
        events.addEventListener("error", () => {
          receive({ type: events.readyState === EventSource.CLOSED ? "refused" : "lost" });
        });
      },
      leave: () => events?.close(),
    };
  }

  function follow() {
    if (!document.hidden) feed.follow();
  }

  document.addEventListener("visibilitychange", () => document.hidden ? feed.leave() : follow());
  addEventListener("pagehide", () => feed.leave());
  addEventListener("pageshow", follow);

  // One reply

  if (pane === null) return;
  const part = (name) => pane.querySelector(`[data-watch-part="${name}"]`);
  const text = pane.querySelector("[data-slot=text]");
  const reasoning = pane.querySelector("[data-slot=reasoning]");
  const calls = pane.querySelector("[data-slot=tool-calls]");
  const callShape = pane.querySelector("template[data-tool-call]");
  /** Longer replies are read on the record's page. */
  const MOST_CHARACTERS = 400_000;
  let stream = null;
  /** The tab is hidden; the reply is read from its beginning when it is seen again. */
  let isPaused = false;

  function show(names) {
    for (const name of ["off", "waiting", "gone", "reasoning", "ended", "on"]) {
      part(name).hidden = !names.includes(name);
    }
  }

  function watch(requestId, name) {
    stream?.close();
    watched = requestId;
    markWatched();
    text.textContent = "";
    reasoning.textContent = "";
    calls.replaceChildren();
    for (const link of pane.querySelectorAll("[data-slot=record-link]")) {
      link.href = `${adminPath}/records/${encodeURIComponent(requestId)}`;
    }
    if (name !== null) setSlot(pane, "watch-name", name);
    show(["waiting", "on"]);
    pane.dataset.streaming = "";
    let hasBegun = false;
    stream = new EventSource(`${list.dataset.live}/${encodeURIComponent(requestId)}`);
    stream.addEventListener("delta", (event) => {
      const delta = JSON.parse(event.data);
      const isAtEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
      if (delta.text !== "" || delta.reasoning !== "" || delta.toolCalls.length > 0) {
        hasBegun = true;
        part("waiting").hidden = true;
      }
      if (delta.isReset) text.textContent = reasoning.textContent = "";
      append(text, delta.text);
      if (delta.reasoning !== "") {
        part("reasoning").hidden = false;
        append(reasoning, delta.reasoning);
      }
      if (delta.toolCalls.length > 0) {
        calls.replaceChildren(...delta.toolCalls.map((call) => fill(callShape, call)));
      }
      if (isAtEnd) pane.scrollTop = pane.scrollHeight;
    });
    const end = (names) => {
      stream.close();
      delete pane.dataset.streaming;
      show([...names, "on", ...(reasoning.textContent === "" ? [] : ["reasoning"])]);
    };
    stream.addEventListener("ended", () => end(["ended"]));
    stream.addEventListener("error", () => {
      // A closed stream is a refusal: the request is no longer in flight. Otherwise the browser reconnects by
      // itself.
      if (stream.readyState === EventSource.CLOSED) end([hasBegun ? "ended" : "gone"]);
    });
  }

  function append(element, more) {
    if (more === "" || element.textContent.length > MOST_CHARACTERS) return;
    element.append(globalThis.oar.harmless(more));
  }

  rows.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link === null || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    const row = link.closest("[data-request]");
    history.replaceState(null, "", link.href);
    watch(row.dataset.request, row.querySelector("[data-slot=model]").textContent);
  });

  document.addEventListener("visibilitychange", () => {
    const isOpen = stream !== null && stream.readyState !== EventSource.CLOSED;
    if (document.hidden && isOpen) {
      stream.close();
      isPaused = true;
    } else if (!document.hidden && isPaused) {
      isPaused = false;
      watch(watched, null);
    }
  });

  if (watched !== null) watch(watched, null);
})();
