import assert from "node:assert/strict";
import { type HealthReport, statusReport, VOUCHING_MS, Witnesses } from "../../../src/core/blame.ts";

const SECOND = 1_000;

type Step = readonly [report: HealthReport, atMs: number, event: string];

const served = (client: string, atMs = 0): Step => [{ type: "served", client }, atMs, "success"];
const failed = (client: string, event: string, atMs = 0): Step => [{ type: "failed", client }, atMs, event];
const refused = (client: string, event: string, atMs = 0): Step => [{ type: "refused", client }, atMs, event];
const ANSWERED: Step = [{ type: "answered" }, 0, "success"];
const COUNTS = "failure";
const NOT = "abandoned";

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
  ["a report about nothing changes nothing", [[{ type: "nothing" }, 0, NOT], failed("a", COUNTS)]],
  ["a request to wait counts at once", [served("b"), [{ type: "throttled", forMs: 5 }, 0, "throttled"]]],
];

for (const [name, steps] of STORIES) {
  Deno.test(`weigh(): ${name}`, () => {
    const witnesses = new Witnesses();
    const events = steps.map(([report, atMs]) => witnesses.weigh(report, atMs).type);
    assert.deepEqual(events, steps.map(([, , event]) => event));
  });
}

Deno.test("statusReport() follows its table", () => {
  const table: [status: number, isAsis: boolean, waitMs: number | null, expected: string | null][] = [
    [200, false, null, null],
    [204, true, null, null],
    [302, false, null, "nothing"],
    [400, false, null, "answered"],
    [404, true, null, "answered"],
    [401, false, null, "refused"],
    [403, false, null, "refused"],
    [401, true, null, "nothing"],
    [403, true, null, "nothing"],
    [429, false, null, "failed"],
    [429, false, 7, "throttled"],
    [429, true, null, "nothing"],
    [429, true, 7, "nothing"],
    [503, false, 7, "throttled"],
    [503, true, 7, "throttled"],
    [500, false, null, "failed"],
    [529, true, null, "failed"],
    [99, false, null, "failed"],
  ];
  for (const [status, isAsis, waitMs, expected] of table) {
    const report = statusReport(status, { client: "a", isAsis, waitMs });
    assert.equal(report?.type ?? null, expected, `${status} ${isAsis} ${waitMs}`);
  }
});
