/** What those who read are told of PostgreSQL's failures. */
import assert from "node:assert/strict";
import { PgError } from "../../../../../src/store/postgres/errors.ts";
import { toReadError } from "../../../../../src/store/postgres/read/errors.ts";
import { StoreError } from "../../../../../src/store/store.ts";

Deno.test("toReadError() says what could not be done, and what to do", () => {
  const cases = [
    ["57014", "locked", /^Cannot read: PostgreSQL took too long; try again/],
    ["42P01", "missing", /^Cannot read: the database has no records yet; start the server/],
    ["BUSY", "locked", /^Cannot read: PostgreSQL: it broke$/],
    ["ECONNREFUSED", "unreadable", /^Cannot read: PostgreSQL: it broke$/],
    [null, "unreadable", /^Cannot read: PostgreSQL: it broke$/],
  ] as const;
  for (const [code, expected, message] of cases) {
    const cause = new PgError("PostgreSQL: it broke", { kind: "retry", code, isConnectionLost: false });
    const error = toReadError(cause, "Cannot read");
    assert.equal(error.code, expected);
    assert.match(error.message, message);
    assert.equal(error.cause, cause);
  }
  const known = new StoreError("foreign", "as it is");
  assert.equal(toReadError(known, "Cannot read"), known);
  assert.equal(toReadError(new TypeError("odd"), "Cannot read").code, "unreadable");
});
