/** Filters as conditions of PostgreSQL. What they find: tests/contract. */
import assert from "node:assert/strict";
import { filterTerms, toLike } from "../../../../../src/store/postgres/read/filter.ts";
import { spanOf, SpanTerms } from "../../../../../src/store/postgres/read/span.ts";
import { Parameters } from "../../../../../src/store/postgres/read/statement.ts";
import type { RecordFilter } from "../../../../../src/store/store.ts";

function conditionsOf(filter: RecordFilter): { terms: string[]; values: readonly unknown[] } {
  const parameters = new Parameters();
  const span = new SpanTerms(spanOf(filter, "DESC"), parameters);
  return {
    terms: [...span.records(), ...filterTerms(filter, parameters, span)],
    values: parameters.values,
  };
}

Deno.test("toLike() has the wildcards of a glob, and no others", () => {
  const globs = [
    ["gpt-4o", "gpt-4o"],
    ["gpt-*", "gpt-%"],
    ["***a*", "%a%"],
    ["?.?", "_._"],
    ["100%_\\", "100\\%\\_\\\\"],
    ["[a-z]", "[a-z]"],
  ] as const;
  for (const [glob, like] of globs) assert.equal(toLike(glob), like);
});

Deno.test("every value of a filter is a parameter", () => {
  const filter: RecordFilter = {
    sinceMs: Date.UTC(2026, 0, 1),
    untilMs: Date.UTC(2026, 0, 2),
    model: "x'y*",
    upstreamId: 71,
    triedUpstreamId: 72,
    failedUpstreamId: 73,
    attempts: { min: 74, max: 75 },
    slowerThanMs: 76,
    status: 477,
    outcome: "complete",
    client: "x'z",
  };
  const { terms, values } = conditionsOf(filter);
  assert.doesNotMatch(terms.join(" "), /x'|7\d/);
  assert.deepEqual(
    new Set(values),
    new Set([
      "2026-01-01T00:00:00.000Z",
      "2026-01-02T00:00:00.001Z",
      "x'y%",
      71,
      477,
      "complete",
      "x'z",
      72,
      73,
      74,
      75,
      76_000_000,
    ]),
  );
});

Deno.test("attempts are looked for within the times of the filter", () => {
  const { terms } = conditionsOf({ sinceMs: 0, untilMs: 1, failedUpstreamId: 3 });
  assert.match(terms.at(-1) ?? "", /a\.created_at >= \$1::timestamptz AND a\.created_at < \$2::timestamptz/);
});

Deno.test("text is looked for as it is stored, without NUL and lone surrogates", () => {
  assert.deepEqual(conditionsOf({ client: "a\0\ud800" }).values, ["a\ufffd\ufffd"]);
});

Deno.test("a number that no id can be matches nothing", () => {
  for (const upstreamId of [0.5, Number.NaN, Infinity, 2 ** 53]) {
    assert.deepEqual(conditionsOf({ upstreamId }), { terms: ["FALSE"], values: [] });
  }
});
