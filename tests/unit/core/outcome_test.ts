import assert from "node:assert/strict";
import { deservesAlert, isBlamed, isFailure } from "../../../src/core/outcome.ts";
import { type Outcome, OUTCOMES } from "../../../src/core/types.ts";

/** `failure` / `alert` for a client's mistake, another client error, and a server's error. */
const EXPECTED: Readonly<Record<Outcome, readonly [mistake: string, refusal: string, server: string]>> = {
  complete: ["-/-", "-/-", "-/-"],
  client_gone: ["-/-", "-/-", "-/-"],
  in_flight: ["-/-", "-/-", "-/-"],
  empty: ["-/-", "-/-", "-/-"],
  crashed: ["F/-", "F/-", "F/-"],
  upstream_cut: ["F/A", "F/A", "F/A"],
  idle_timeout: ["F/A", "F/A", "F/A"],
  error_event: ["F/A", "F/A", "F/A"],
  upstream_error: ["-/-", "F/A", "F/A"],
  no_upstream: ["-/-", "-/-", "F/A"],
};

Deno.test("each outcome is a failure, and deserves an alert, by the table", () => {
  for (const outcome of OUTCOMES) {
    const seen = [400, 403, 502].map((status) =>
      `${isFailure(outcome, status) ? "F" : "-"}/${deservesAlert(outcome, status) ? "A" : "-"}`
    );
    assert.deepEqual(seen, [...EXPECTED[outcome]], outcome);
  }
});

Deno.test("a row of the Go program, which has no outcome, is judged by its status", () => {
  const failures = [null, 0, 199, 200, 399, 400, 403, 404, 422, 429, 499, 500].filter((status) =>
    isFailure(null, status)
  );
  assert.deepEqual(failures, [null, 0, 199, 403, 429, 500]);
});

Deno.test("an unknown outcome, typed by hand, is not a failure", () => {
  for (const typed of ["constructor", "lost", ""]) {
    assert.equal(isFailure(typed as Outcome, 500), false, typed);
  }
});

Deno.test("an upstream is to blame for what failed, unless nobody waited or the client was wrong", () => {
  const complete = { outcome: "complete", status: 200 };
  const refused = { outcome: "upstream_error", status: 400 };
  const cases: [errorClass: string | null, status: number | null, request: typeof complete, boolean][] = [
    [null, 200, complete, false],
    ["http_status", 503, complete, true],
    ["http_status", 429, refused, true],
    ["http_status", 401, refused, true],
    ["timeout", null, complete, true],
    ["connect_error", null, refused, true],
    ["upstream_cut", 200, complete, true],
    ["hedge_lost", null, complete, false],
    ["stopped", null, complete, false],
    ["client_gone", 200, complete, false],
    ["no_credential", null, complete, false],
    // Another upstream answered what this one refused.
    ["http_status", 400, complete, true],
    ["http_status", 404, complete, true],
    ["http_status", 400, refused, false],
    ["http_status", 404, { outcome: "upstream_error", status: 404 }, false],
  ];
  for (const [errorClass, status, request, expected] of cases) {
    assert.equal(
      isBlamed({ errorClass, status }, request),
      expected,
      `${errorClass} ${status} ${request.outcome}`,
    );
  }
});
