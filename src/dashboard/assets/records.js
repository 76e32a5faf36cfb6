/**
 * The keyboard in the list of records: `/` to search, `j` and `k` to move, Enter (the browser's own) to open. On a record,
 * `j` and `k` lead to the next ones.
 */
(() => {
  "use strict";

  const search = document.getElementById("search");

  function isTyping(target) {
    return target.closest("input, select, textarea, [contenteditable]") !== null;
  }

  function move(step) {
    const links = [...document.querySelectorAll(".record .row-link")];
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)];
    next?.focus();
    next?.closest("tr").scrollIntoView({ block: "nearest" });
  }

  function go(rel, step) {
    const link = document.querySelector(`.neighbours [rel="${rel}"]`);
    if (link === null) move(step);
    else link.click();
  }

  // A list that is drawn again keeps the selected row.
  let focused = null;
  document.addEventListener("htmx:beforeSwap", () => {
    focused = document.activeElement?.closest(".record")?.dataset.record ?? null;
  });
  document.addEventListener("htmx:afterSwap", () => {
    if (focused === null || document.activeElement?.closest(".record")) return;
    document.querySelector(`.record[data-record="${focused}"] .row-link`)?.focus();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape" && search !== null && event.target === search) {
      // Otherwise the browser clears the field and the results disappear.
      event.preventDefault();
      search.blur();
      return;
    }
    if (isTyping(event.target)) return;
    if (event.key === "/" && search !== null) search.select();
    else if (event.key === "j") go("next", 1);
    else if (event.key === "k") go("prev", -1);
    else return;
    event.preventDefault();
  });
})();
