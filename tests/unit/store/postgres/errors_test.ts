import assert from "node:assert/strict";
import { classify, isMissingPartition, PgError, toPgError } from "../../../../src/store/postgres/errors.ts";

/** As the package throws it. */
function serverError(code: string, fields: Record<string, string> = {}): Error {
  return Object.assign(new Error(`message with "a value"`), { code, severity: "ERROR", ...fields });
}

const KINDS: Record<string, "retry" | "poison" | "setup"> = {
  "08000": "retry",
  "08003": "retry",
  "08006": "retry",
  // PgBouncer's code for everything: that its server is down, that all its connections are taken.
  "08P01": "retry",
  "25006": "retry",
  "25P02": "retry",
  "40001": "retry",
  "40P01": "retry",
  "53100": "retry",
  "53200": "retry",
  "53300": "retry",
  "55P03": "retry",
  "57014": "retry",
  "57P01": "retry",
  "57P02": "retry",
  "57P03": "retry",
  "58030": "retry",
  "XX000": "retry",
  "22001": "poison",
  "22003": "poison",
  "22007": "poison",
  "22021": "poison",
  "22P02": "poison",
  "22P05": "poison",
  "23502": "poison",
  "23505": "poison",
  "21000": "poison",
  "54000": "poison",
  "28000": "setup",
  "28P01": "setup",
  "3D000": "setup",
  "42501": "setup",
  "42P01": "setup",
  "42703": "setup",
  "0A000": "setup",
  ECONNREFUSED: "retry",
  ECONNRESET: "retry",
  EPIPE: "retry",
  ETIMEDOUT: "retry",
  EHOSTUNREACH: "retry",
  ENOTFOUND: "retry",
  EAI_AGAIN: "retry",
  ENOENT: "retry",
  EACCES: "setup",
  "ERR_TLS_CERT_ALTNAME_INVALID": "retry",
  "99999": "retry",
};

Deno.test("classify() says for each code what to do", () => {
  for (const [code, kind] of Object.entries(KINDS)) assert.equal(classify(serverError(code)), kind, code);
  assert.equal(classify(new Error("Connection terminated unexpectedly")), "retry");
  assert.equal(classify(new RangeError("Invalid string length")), "poison");
  assert.equal(classify(new TypeError("no form")), "poison");
  for (const thrown of [null, undefined, "text", 5, { code: 5 }, { code: "" }]) {
    assert.equal(classify(thrown), "retry");
  }
});

Deno.test("a day without a partition is told from a value that is not allowed", () => {
  const missing = serverError("23514", { table: "records" });
  assert.equal(classify(missing), "retry");
  assert.equal(isMissingPartition(missing), true);
  assert.equal(isMissingPartition(toPgError(missing, "x")), true);
  const check = serverError("23514", { table: "config_version", constraint: "config_version_id_check" });
  assert.equal(classify(check), "poison");
  assert.equal(isMissingPartition(check), false);
});

Deno.test("toPgError() says whether the connection is lost", () => {
  const lost = [
    "57P01",
    "57P02",
    "57P03",
    "25006",
    "25P03",
    "08006",
    "28P01",
    "53300",
    "ECONNRESET",
    "EPIPE",
  ];
  for (const code of lost) assert.equal(toPgError(serverError(code), "x").isConnectionLost, true, code);
  for (const code of ["57014", "22P02", "23505", "40001", "55P03", "42P01", "53100"]) {
    assert.equal(toPgError(serverError(code), "x").isConnectionLost, false, code);
  }
  assert.equal(toPgError(serverError("XX000", { severity: "FATAL" }), "x").isConnectionLost, true);
  assert.equal(toPgError(new Error("Connection terminated"), "x").isConnectionLost, true);
  assert.equal(toPgError(new RangeError("too long"), "x").isConnectionLost, false);
});

Deno.test("a message quotes no value of a row", () => {
  for (const code of ["22P02", "22001", "23505", "23502", "P0001", "XX000", "99999"]) {
    const error = Object.assign(new Error('invalid input: "sk-secret"'), {
      code,
      detail: "Key (sk)=(sk-secret) already exists.",
      where: "unnamed portal parameter $1 = 'sk-secret'",
      table: "openai_upstreams",
      constraint: "idx_sk_endpoint",
    });
    const known = toPgError(error, "PostgreSQL at h:1");
    assert.ok(!known.message.includes("sk-secret"), known.message);
    assert.match(known.message, new RegExp(`^PostgreSQL at h:1: .*openai_upstreams.*\\(${code}\\)`));
  }
});

Deno.test("a message is one short line, and says what to do", () => {
  const cases: [Error, RegExp][] = [
    [
      Object.assign(new Error('password authentication failed for user "u"'), { code: "28P01" }),
      /PGPASSWORD/,
    ],
    [Object.assign(new Error('database "d" does not exist'), { code: "3D000" }), /createdb/],
    [
      Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" }),
      /nothing listens there$/,
    ],
    [
      Object.assign(new Error(`relation\n"${"x".repeat(100_000)}"\u001b[31m`), { code: "42P01" }),
      /\(42P01\)$/,
    ],
  ];
  for (const [error, message] of cases) {
    const known = toPgError(error, "PostgreSQL at h:1");
    assert.match(known.message, message);
    assert.ok(known.message.length < 400 && !/\p{Cc}/u.test(known.message), known.message);
    assert.equal(known.cause, error);
  }
});

Deno.test("a PgError stays what it is", () => {
  const error = new PgError("x", { kind: "setup", code: "TIMEOUT", isConnectionLost: true });
  assert.equal(toPgError(error, "y"), error);
  assert.equal(classify(error), "setup");
});
