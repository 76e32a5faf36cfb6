/**
 * Dragging an upstream to another place, with a mouse, a pen or a finger. The arrow buttons do the same
 * without JavaScript.
 */
(() => {
  "use strict";

  let dragged = null;

  function start(event) {
    const grip = event.target.closest("[data-grip]");
    if (grip === null || event.button !== 0) return;
    dragged = grip.closest("[data-upstream]");
    dragged.classList.add("is-dragged");
    grip.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  function move(event) {
    if (dragged === null) return;
    const others = [...dragged.parentElement.children].filter((each) => each !== dragged);
    const before = others.find((each) => {
      const { top, height } = each.getBoundingClientRect();
      return event.clientY < top + height / 2;
    });
    const isThere = before === undefined
      ? dragged.nextElementSibling === null
      : dragged.nextElementSibling === before;
    if (isThere) return;
    dragged.parentElement.insertBefore(dragged, before ?? null);
    // Moving the element in the document ends the capture.
    const grip = dragged.querySelector("[data-grip]");
    if (!grip.hasPointerCapture(event.pointerId)) grip.setPointerCapture(event.pointerId);
  }

  function drop() {
    if (dragged === null) return;
    const item = dragged;
    dragged = null;
    item.classList.remove("is-dragged");
    const place = [...item.parentElement.children].indexOf(item) + 1;
    if (place !== Number(item.dataset.place)) send(item.dataset.upstream, place);
  }

  function send(id, place) {
    globalThis.htmx.ajax("POST", `${globalThis.oar.adminPath}/upstreams/${id}/move`, {
      target: "#upstreams",
      select: "#upstreams",
      swap: "outerHTML",
      values: { place },
      // Otherwise the redirect answers with the JSON of the same address.
      headers: { accept: "text/html" },
    });
  }

  function showGrips() {
    for (const grip of document.querySelectorAll("[data-grip]")) grip.hidden = false;
  }

  document.addEventListener("pointerdown", start);
  document.addEventListener("pointermove", move);
  document.addEventListener("pointerup", drop);
  document.addEventListener("pointercancel", drop);
  document.addEventListener("htmx:load", showGrips);
  showGrips();
})();
