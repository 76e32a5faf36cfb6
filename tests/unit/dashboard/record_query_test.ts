import assert from "node:assert/strict";
import { en } from "../../../src/dashboard/messages/en.ts";
import { zoneOf } from "../../../src/core/zones.ts";
import { exportPath, readQuery, recordPath, recordsPath } from "../../../src/dashboard/record_query.ts";
import { NOW } from "./fake_service.ts";

const SHANGHAI = zoneOf("Asia/Shanghai");
assert.ok(SHANGHAI !== null);
const CONTEXT = {
  m: en,
  nowMs: NOW,
  zone: SHANGHAI,
  upstreams: [{ id: 3, name: "alpha" }, { id: 4, name: "twin" }, { id: 5, name: "twin" }],
};
const read = (query: string) => readQuery(new URLSearchParams(query), CONTEXT);

Deno.test("readQuery() makes a filter from the URL", () => {
  const { filter, problems } = read(
    "q=two+words&model=gpt*&upstream=3&status=4xx&outcome=client_gone&client=bot&since=24h&until=2026-11-26T10:00Z",
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(filter, {
    text: "two words",
    model: "gpt*",
    upstreamId: 3,
    status: 4,
    outcome: "client_gone",
    client: "bot",
    sinceMs: NOW - 86_400_000,
    untilMs: Date.UTC(2026, 10, 26, 10),
  });
});

Deno.test("readQuery() reads times without a zone from the page's clock", () => {
  const { filter } = read("since=2026-11-26+10:00&until=2026-11-26");
  assert.equal(filter.sinceMs, Date.UTC(2026, 10, 26, 2));
  assert.equal(filter.untilMs, Date.UTC(2026, 10, 26, 16) - 1);
});

Deno.test("readQuery() knows who was tried, who failed, how often and how long", () => {
  const { filter, problems } = read(
    "upstream=alpha&tried=3&failedOn=alpha&attempts=%3E1&slowerThan=5s&failed=yes&without=client",
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(filter, {
    upstreamId: 3,
    triedUpstreamId: 3,
    failedUpstreamId: 3,
    without: "client",
    attempts: { min: 2, max: null },
    slowerThanMs: 5_000,
    isFailure: true,
  });
});

Deno.test("readQuery() says which names of upstreams and which numbers it does not understand", () => {
  const { filter, problems } = read(
    "upstream=nobody&tried=twin&attempts=many&slowerThan=5d&failed=&without=x",
  );
  assert.deepEqual(filter, {});
  assert.equal(problems.length, 4);
});

Deno.test("exportPath() asks the API for what the page shows, with absolute times", () => {
  const path = exportPath("csv", read("q=a+b&since=24h&status=5&failedOn=alpha&attempts=many&outcome=great"));
  assert.equal(
    path,
    "/admin/api/records/export?format=csv&q=a+b&failedOn=3&status=5xx&since=2026-11-25T12%3A00%3A00.000Z",
  );
});

Deno.test("readQuery() ignores empty and unknown values", () => {
  assert.deepEqual(read("q=++&model=&upstream=&outcome=great&status=").filter, {});
});

Deno.test("readQuery() reports invalid times and statuses, and filters by the rest", () => {
  const { filter, problems, query } = read("since=soon&status=4000&model=o3");
  assert.deepEqual(filter, { model: "o3" });
  assert.equal(problems.length, 2);
  assert.match(problems.join(), /"soon" is no time.*"4000" is no status/);
  assert.equal(query.since, "soon");
});

Deno.test("recordsPath() leads back to the same filter, without empty parameters", () => {
  const { query } = read("q=a%26b&status=5&before=12");
  assert.equal(recordsPath(query), "/admin/records?q=a%26b&status=5");
  assert.equal(recordsPath(query, { q: "", before: "7" }), "/admin/records?status=5&before=7");
  assert.equal(recordsPath(query, { q: "", status: "" }), "/admin/records");
  assert.equal(recordPath(7, query), "/admin/records/7?q=a%26b&status=5");
});
