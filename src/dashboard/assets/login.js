/**
 * Logs in with the one-time code of a link that the server printed. It comes after `#`, which browsers send to nobody,
 * and leaves the address before it is used.
 */
(() => {
  "use strict";

  const code = /^#code=([\w-]{1,100})$/.exec(location.hash)?.[1];
  if (code === undefined) return;
  history.replaceState(null, "", location.pathname + location.search);
  const form = document.querySelector("form.login-form");
  form.elements.code.value = code;
  form.submit();
})();
