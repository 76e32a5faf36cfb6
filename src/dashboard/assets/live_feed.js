/**
 * A shared worker that holds one event stream for all tabs of the page: over HTTP/1.1, a browser opens six connections to a
 * server, and a seventh tab with a stream of its own would load nothing.
 *
 * Passes on what it receives, unread. https://developer.mozilla.org/docs/Web/API/EventSource
 */
(() => {
  "use strict";

  const ports = new Set();
  let events = null;
  /** What a tab that comes later has missed. */
  const latest = new Map();

  function tell(message) {
    if (message.type === "in_flight" || message.type === "waiting") latest.set(message.type, message);
    for (const port of ports) port.postMessage(message);
  }

  function open(url) {
    events = new EventSource(url);
    for (const type of ["in_flight", "waiting", "finished", "open"]) {
      events.addEventListener(type, ({ data }) => tell({ type, data }));
    }
    events.addEventListener("error", () => {
      const isRefused = events.readyState === EventSource.CLOSED;
      if (isRefused) close();
      tell({ type: isRefused ? "refused" : "lost" });
    });
  }

  function close() {
    events?.close();
    events = null;
    latest.clear();
  }

  globalThis.addEventListener("connect", ({ ports: [port] }) => {
    port.addEventListener("message", ({ data }) => {
      if (data.type === "leave") {
        ports.delete(port);
        if (ports.size === 0) close();
        return;
      }
      ports.add(port);
      if (events === null) open(data.url);
      else for (const message of latest.values()) port.postMessage(message);
    });
    port.start();
  });
})();
