/**
 * Greys the page when its server does not answer, and says since when; what is shown may no longer be true. It comes back by
 * itself.
 *
 * Asks now and then, and only while the tab is seen; the live view tells of what it hears.
 */
(() => {
  "use strict";

  const { adminPath, hourAndMinute } = globalThis.oar;
  const notice = document.getElementById("gone");
  const EVERY_MS = 10_000;
  const EVERY_GONE_MS = 2_000;
  const LIMIT_MS = 5_000;
  let heardAt = new Date();
  let isGone = false;
  let isAsking = false;
  let timer = null;

  async function ask() {
    if (document.hidden || isAsking) return;
    isAsking = true;
    clearTimeout(timer);
    const isHeard = await answers();
    isAsking = false;
    if (isHeard) heard();
    else gone();
    timer = setTimeout(ask, isGone ? EVERY_GONE_MS : EVERY_MS);
  }

  /** A proxy in front answers for a server that is gone, and a login proxy for one that is not. */
  async function answers() {
    const options = { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(LIMIT_MS) };
    try {
      const { status, type } = await fetch(`${adminPath}/alive`, options);
      return type === "opaqueredirect" || [204, 401, 403].includes(status);
    } catch {
      return false;
    }
  }

  function heard() {
    heardAt = new Date();
    if (!isGone) return;
    isGone = false;
    delete document.documentElement.dataset.gone;
    notice.hidden = true;
    document.body.dispatchEvent(new CustomEvent("oar:back"));
  }

  function gone() {
    if (isGone) return;
    isGone = true;
    document.documentElement.dataset.gone = "";
    notice.textContent = notice.dataset.text.replace("{time}", hourAndMinute(heardAt));
    notice.hidden = false;
  }

  document.addEventListener("visibilitychange", ask);
  addEventListener("online", ask);
  addEventListener("offline", ask);
  document.addEventListener("htmx:sendError", ask);
  timer = setTimeout(ask, EVERY_MS);

  Object.assign(globalThis.oar, { ask, heard });
})();
