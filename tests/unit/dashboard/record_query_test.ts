import assert from "node:assert/strict";
import { en } from "../../../src/dashboard/messages/en.ts";
import { readQuery, recordsPath } from "../../../src/dashboard/record_query.ts";
import { NOW } from "./fake_service.ts";

const read = (query: string) => readQuery(new URLSearchParams(query), { m: en, nowMs: NOW });

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

Deno.test("readQuery() ignores empty and unknown values", () => {
  assert.deepEqual(read("q=++&model=&upstream=x&outcome=great&status=").filter, {});
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
});
