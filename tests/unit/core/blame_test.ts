import assert from "node:assert/strict";
import {
  errorReport,
  type HealthReport,
  type KeyOwner,
  statusReport,
  VOUCHING_MS,
  Witnesses,
} from "../../../src/core/blame.ts";
import type { ReportedError } from "../../../src/core/reported_error.ts";

const SECOND = 1_000;

/** What happened to a client, and whether it counts against the upstream. */
type Step = readonly [
  what: "served" | "answered" | "failed" | "refused",
  client: string,
  atMs: number,
  counts?: boolean,
];

const served = (client: string, atMs = 0): Step => ["served", client, atMs];
const failed = (client: string, counts: boolean, atMs = 0): Step => ["failed", client, atMs, counts];
const refused = (client: string, counts: boolean, atMs = 0): Step => ["refused", client, atMs, counts];
const ANSWERED: Step = ["answered", "", 0];
const COUNTS = true;
const NOT = false;

const STORIES: readonly [name: string, steps: readonly Step[]][] = [
  ["the only client's failures count", [failed("a", COUNTS), failed("a", COUNTS), failed("a", COUNTS)]],
  ["the only client's failures count after it was served", [
    served("a"),
    failed("a", COUNTS),
    failed("a", COUNTS),
  ]],
  ["refusals of a key that never worked count", [refused("a", COUNTS), refused("a", COUNTS)]],
  ["an answer that is the client's mistake does not prove the key", [ANSWERED, refused("a", COUNTS)]],
  ["refusals of a key that has worked do not count for one client", [
    served("a"),
    refused("a", NOT),
    refused("a", NOT),
  ]],
  ["nor for another client", [served("b"), refused("a", NOT), refused("a", NOT)]],
  ["nor long afterwards", [served("b"), refused("a", NOT, 1000 * VOUCHING_MS)]],
  ["they count for two clients", [
    served("a"),
    refused("a", NOT),
    refused("b", COUNTS),
    refused("a", COUNTS),
  ]],
  ["two clients refused, with a third served between them", [
    served("a"),
    refused("a", NOT),
    served("b"),
    refused("b", NOT),
  ]],
  ["one client fails while another is served", [
    served("b"),
    failed("a", NOT),
    failed("a", NOT),
    failed("a", NOT),
  ]],
  ["two clients were served, and the second one fails", [
    served("a"),
    served("b"),
    failed("b", NOT),
    failed("b", NOT),
  ]],
  ["two clients were served, and the first one fails", [
    served("a"),
    served("b"),
    served("a"),
    failed("a", NOT),
  ]],
  ["the served client fails, too", [served("b"), failed("a", NOT), failed("b", COUNTS), failed("a", COUNTS)]],
  ["a third client fails, too", [served("b"), failed("a", NOT), failed("c", COUNTS)]],
  ["failures count when the other client's success is too old", [
    served("b", 0),
    failed("a", NOT, VOUCHING_MS - 1),
    failed("a", COUNTS, VOUCHING_MS),
  ]],
  ["a client that is served again renews its success", [
    served("b", 0),
    served("b", 50 * SECOND),
    failed("a", NOT, 100 * SECOND),
  ]],
  ["an answer to a client's mistake is not a success of a client", [ANSWERED, failed("a", COUNTS)]],
];

function step(witnesses: Witnesses, [what, client, atMs]: Step): boolean | undefined {
  switch (what) {
    case "served":
      witnesses.served(client, atMs);
      return undefined;
    case "answered":
      witnesses.forget();
      return undefined;
    case "failed":
      return witnesses.countsFailure(client, atMs);
    case "refused":
      return witnesses.countsRefusal(client);
  }
}

for (const [name, steps] of STORIES) {
  Deno.test(`witnesses: ${name}`, () => {
    const witnesses = new Witnesses();
    assert.deepEqual(steps.map((each) => step(witnesses, each)), steps.map(([, , , counts]) => counts));
  });
}

const anError = (code: string | null, message = ""): ReportedError => ({ code, type: null, message });
const short = (report: HealthReport): string => {
  switch (report.type) {
    case "failed":
      return `${report.at} ${report.cause}`;
    case "refused":
    case "throttled":
      return `${report.type} ${report.by}`;
    case "no_credit":
      return `${report.isCertain ? "" : "perhaps "}no_credit ${report.by}`;
    default:
      return report.type;
  }
};

Deno.test("statusReport() follows its table", () => {
  type Row = [status: number, code: string | null, by: KeyOwner, waitMs: number | null, expected: string];
  const table: Row[] = [
    [302, null, "router", null, "nothing"],
    [400, null, "router", null, "answered"],
    [404, null, "client", null, "missing"],
    [405, null, "router", null, "missing"],
    [410, null, "router", null, "missing"],
    [422, null, "router", null, "answered"],
    [408, null, "router", null, "model outage"],
    [401, null, "router", null, "refused router"],
    [403, null, "router", null, "refused router"],
    [403, null, "both", null, "refused both"],
    [401, null, "client", null, "refused client"],
    [403, null, "client", null, "refused client"],
    [429, null, "router", null, "model refusal"],
    [429, null, "router", 7, "throttled router"],
    [429, null, "client", null, "refused client"],
    [429, null, "client", 7, "throttled client"],
    [503, null, "router", 7, "throttled router"],
    [503, null, "client", 7, "throttled router"],
    [500, null, "router", null, "model outage"],
    [529, null, "client", null, "model outage"],
    [99, null, "router", null, "model outage"],
    [600, null, "router", null, "model outage"],

    [402, null, "router", null, "no_credit router"],
    [402, null, "client", null, "no_credit client"],
    [429, "insufficient_quota", "router", null, "no_credit router"],
    [429, "insufficient_quota", "router", 7, "no_credit router"],
    [403, "insufficient_user_quota", "router", null, "no_credit router"],
    [400, "Arrearage", "router", null, "no_credit router"],
    [429, "rate_limit_exceeded", "router", null, "model refusal"],

    [400, "model_not_found", "router", null, "missing"],
    [403, "model_not_found", "router", null, "missing"],
    [503, "model_not_found", "router", null, "missing"],
    [404, "previous_response_not_found", "router", null, "answered"],
    [500, "context_length_exceeded", "router", null, "answered"],
    [500, "server_error", "router", null, "model outage"],
  ];
  for (const [status, code, keyOwner, waitMs, expected] of table) {
    const error = code === null ? null : anError(code);
    const report = statusReport(status, { error, waitMs }, { keyOwner, hasModel: true });
    assert.equal(short(report), expected, `${status} ${code} ${keyOwner} ${waitMs}`);
  }
});

Deno.test("words about credit are believed less than codes, and not at all in a failure of the upstream's own", () => {
  const words = (status: number) =>
    short(
      statusReport(status, { error: anError(null, "账户余额不足"), waitMs: null }, {
        keyOwner: "router",
        hasModel: true,
      }),
    );
  assert.deepEqual([400, 403, 429, 500].map(words), [
    "perhaps no_credit router",
    "perhaps no_credit router",
    "perhaps no_credit router",
    "model outage",
  ]);
});

Deno.test("a 404 for a request that names no model is about an object that it looks for", () => {
  const facts = { keyOwner: "router", hasModel: false } as const;
  assert.equal(short(statusReport(404, { error: null, waitMs: null }, facts)), "answered");
  assert.equal(short(errorReport(anError("model_not_found"), facts)), "answered");
});

Deno.test("errorReport(): an error in a reply with status 200 means what it means as a status", () => {
  const table: [code: string | null, by: KeyOwner, expected: string][] = [
    ["invalid_request_error", "router", "answered"],
    ["context_length_exceeded", "router", "answered"],
    ["model_not_found", "router", "missing"],
    ["invalid_api_key", "router", "refused router"],
    ["invalid_api_key", "client", "refused client"],
    ["rate_limit_exceeded", "router", "model refusal"],
    ["rate_limit_exceeded", "client", "refused client"],
    ["insufficient_quota", "router", "no_credit router"],
    ["insufficient_quota", "client", "no_credit client"],
    ["overloaded_error", "router", "model outage"],
    ["whatever", "router", "model outage"],
    [null, "router", "model outage"],
  ];
  for (const [code, keyOwner, expected] of table) {
    assert.equal(short(errorReport(anError(code), { keyOwner, hasModel: true })), expected, `${code}`);
  }
});
