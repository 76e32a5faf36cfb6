/**
 * What every view has: times in the page's zone, countdowns, copy buttons, and a notice when the server
 * does not answer.
 *
 * Offers the other scripts a few functions as `oar`. Writes recorded text by `textContent` only.
 */
(() => {
  "use strict";

  /** The path of `/admin`, below which a proxy in front may have put it. */
  const adminPath = new URL("..", document.currentScript.src).pathname.replace(/\/$/, "");

  const HARMFUL = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

  /** The same characters as on the server: see core/recorded_text.ts. */
  function harmless(text) {
    return text.replace(/\r\n/g, "\n").replaceAll("\t", "    ").replace(HARMFUL, (character) => {
      if (character === "\n") return character;
      const code = character.codePointAt(0);
      if (code < 0x20) return String.fromCodePoint(0x2400 + code);
      return code === 0x7f ? "\u2421" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
    });
  }

  /** A copy of a template's element with its slots filled with text. */
  function fill(template, texts) {
    const element = template.content.firstElementChild.cloneNode(true);
    for (const [name, text] of Object.entries(texts)) setSlot(element, name, text);
    return element;
  }

  function setSlot(element, name, text) {
    const slot = element.querySelector(`[data-slot="${name}"]`);
    if (slot === null) return;
    const isolated = document.createElement("bdi");
    isolated.textContent = harmless(text);
    slot.replaceChildren(isolated);
  }

  // A code for the login that came along to a page of somebody who had logged in before.
  if (/^#code=/.test(location.hash) && document.querySelector("form.login-form") === null) {
    history.replaceState(null, "", location.pathname + location.search);
  }

  const isChinese = document.documentElement.lang.startsWith("zh");
  const units = isChinese ? [" 分 ", " 秒"] : [" min ", " s"];

  function duration(ms) {
    if (ms < 999.5) return `${Math.round(ms)} ms`;
    if (ms < 59_995) return `${(ms / 1000).toFixed(2)}${units[1]}`;
    const seconds = Math.round(ms / 1000);
    return `${Math.floor(seconds / 60)}${units[0]}${seconds % 60}${units[1]}`;
  }

  function bytes(value) {
    if (value < 1000) return `${value} B`;
    return value < 1_000_000 ? `${(value / 1000).toFixed(1)} KB` : `${(value / 1_000_000).toFixed(1)} MB`;
  }

  const root = document.documentElement;
  const zone = pageZone();
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });

  /**
   * The zone of all times on the page. Unless one was chosen it is the browser's, of which the server learns by a cookie: it
   * reads the times that are typed here, too.
   */
  function pageZone() {
    const shown = root.dataset.zone;
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    if (root.dataset.zoneChoice !== "auto" || own === undefined || own === shown) return shown;
    document.cookie = `oar_browser_zone=${own}; path=${adminPath}; max-age=31536000; SameSite=Strict`;
    return own;
  }

  /** Fills a `<time class="moment">`. */
  function showMoment(element, date) {
    element.dateTime = date.toISOString();
    const { year, month, day, hour, minute, second } = Object.fromEntries(
      clock.formatToParts(date).map(({ type, value }) => [type, value]),
    );
    element.querySelector(".date").textContent = `${year}-${month}-${day}`;
    element.querySelector(".clock").textContent = `${hour}:${minute}:${second}`;
  }

  /** In the page's zone. */
  function hourAndMinute(date) {
    const parts = Object.fromEntries(clock.formatToParts(date).map(({ type, value }) => [type, value]));
    return `${parts.hour}:${parts.minute}`;
  }

  /** The server does not know under which scheme a proxy in front is reached. */
  function showAddress(element) {
    element.textContent = element.textContent.replaceAll(root.dataset.origin, location.origin);
  }

  const toast = document.getElementById("toast");

  function say(text) {
    toast.textContent = text;
  }

  function prepare(part) {
    if (zone !== root.dataset.zone) {
      for (const element of part.querySelectorAll("time.moment[datetime]")) {
        showMoment(element, new Date(element.dateTime));
      }
      for (const element of part.querySelectorAll("[data-zone-name]")) element.textContent = zone;
    }
    if (location.origin !== root.dataset.origin) part.querySelectorAll("[data-address]").forEach(showAddress);
    for (const button of part.querySelectorAll("[data-copy]")) button.hidden = false;
  }

  /** The element that a button names, or the code beside it. */
  function sourceOf(button) {
    const { copy } = button.dataset;
    return copy === "" ? button.closest(".code-block")?.querySelector("pre") : document.querySelector(copy);
  }

  async function textOf(button) {
    const path = button.dataset.copyPath;
    if (path === undefined) return sourceOf(button).textContent;
    const response = await fetch(path);
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return await response.text();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (button === null) return;
    try {
      await navigator.clipboard.writeText(await textOf(button));
      button.textContent = button.dataset.copied;
    } catch {
      // Without the permission, or on plain HTTP: select the text for the user to copy.
      const source = sourceOf(button) ?? button.closest(".turn")?.querySelector(".text");
      if (source) getSelection().selectAllChildren(source);
    }
  });

  setInterval(() => {
    for (const element of document.querySelectorAll("[data-until]")) {
      element.textContent = Math.max(0, Math.ceil((Number(element.dataset.until) - Date.now()) / 1000));
    }
  }, 1000);

  document.addEventListener("htmx:load", (event) => prepare(event.detail.elt));
  document.addEventListener("htmx:responseError", () => say(toast.dataset.failed));
  document.addEventListener("htmx:afterSwap", () => say(""));
  prepare(document);

  globalThis.oar = {
    ...{ bytes, duration, fill, harmless, adminPath, hourAndMinute, say, setSlot, showMoment, toast, zone },
  };
})();
