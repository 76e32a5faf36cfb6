import assert from "node:assert/strict";
import { clientHeaders } from "../../../../src/proxy/relay/reply_headers.ts";

Deno.test("clientHeaders() of an answer of our own has ours only", () => {
  const headers = clientHeaders(null, { requestId: "R", upstreamName: null, attempts: 2 });
  assert.deepEqual(Object.fromEntries(headers), {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "*",
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "x-oar-affinity": "none",
    "x-oar-attempts": "2",
    "x-oar-request-id": "R",
  });
});

Deno.test("clientHeaders() makes any upstream name a legal header value", () => {
  for (const name of ["Büro\r\nx: y", "\u{1f600}", "a\ud800b", " padded "]) {
    const headers = clientHeaders(null, { requestId: "R", upstreamName: name, attempts: 1 });
    assert.match(headers.get("x-oar-upstream") ?? "", /^[\x21-\x7e][\x20-\x7e]*$/);
  }
});
