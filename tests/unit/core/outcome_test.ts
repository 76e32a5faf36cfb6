import assert from "node:assert/strict";
import { deservesAlert, isFailure } from "../../../src/core/outcome.ts";
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
