/** Records over the admin API: found by who was tried, counted, exported and deleted; and what the server is. */
import assert from "node:assert/strict";
import { askApi, Browser, callApi, SAME_ORIGIN } from "../support/admin.ts";
import { Router } from "../support/router.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";

interface Page {
  readonly records: readonly {
    readonly id: number;
    readonly prompt: string;
    readonly reply: string;
    readonly hitIn: string | null;
  }[];
}

/** A router whose first upstream fails every request. */
async function failing(stack: AsyncDisposableStack): Promise<Router> {
  const broken = stack.use(new FakeUpstream(reply(503, '{"error":{"message":"busy"}}')));
  const good = stack.use(new FakeUpstream(chatReply("=1+1 图拉河")));
  return stack.use(
    await Router.start({
      upstreams: [{ endpoint: broken.endpoint, name: "broken" }, { endpoint: good.endpoint, name: "good" }],
    }),
  );
}

async function ask(router: Router, content: string): Promise<void> {
  await (await router.chat({ messages: [{ role: "user", content }] })).text();
}

Deno.test("records are found by who was tried and who failed, by name or id, and counted", async () => {
  await using stack = new AsyncDisposableStack();
  const router = await failing(stack);
  for (const content of ["first", "second"]) await ask(router, content);
  await router.recorded(2);
  const found = async (query: string) =>
    (await askApi<Page>(router, `/records?${query}`)).records.map(({ prompt }) => prompt);
  const count = (query: string) =>
    askApi<{ count: number; isComplete: boolean }>(router, `/records/count?${query}`);
  assert.deepEqual(await found("tried=broken"), ["second", "first"]);
  assert.deepEqual(await found("failedOn=1&attempts=%3E1"), ["second", "first"]);
  for (const query of ["failedOn=good", "upstream=broken", "attempts=1", "slowerThan=1h", "failed=yes"]) {
    assert.deepEqual(await found(query), [], query);
    assert.deepEqual(await count(query), { count: 0, isComplete: true }, query);
  }
  assert.deepEqual(await count("upstream=good&q=first"), { count: 1, isComplete: true });
  const [hit] = (await askApi<Page>(router, "/records?q=first")).records;
  assert.equal(hit?.hitIn, "request");
  for (const query of ["tried=nobody", "attempts=many", "slowerThan=5d", "failed=no"]) {
    const response = await callApi(router, `/records?${query}`);
    assert.ok([400, 404].includes(response.status), query);
    await response.body?.cancel();
  }
});

Deno.test("what a filter finds is exported as it streams, as CSV for spreadsheets or as lines of JSON", async () => {
  await using stack = new AsyncDisposableStack();
  const router = await failing(stack);
  for (let n = 1; n <= 3; n++) await ask(router, `number ${n}`);
  await router.recorded(3);
  const csv = await callApi(router, "/records/export?format=csv&q=number");
  assert.match(csv.headers.get("content-disposition") ?? "", /attachment; filename="records\.csv"/);
  const bytes = await csv.bytes();
  assert.deepEqual([...bytes.slice(0, 3)], [0xef, 0xbb, 0xbf]);
  const text = new TextDecoder().decode(bytes);
  assert.equal(text.split("\r\n").length, 5);
  assert.match(text, /,'=1\+1 图拉河,/);
  const jsonl = await callApi(router, "/records/export?format=jsonl&failedOn=broken");
  const records = (await jsonl.text()).trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(records.map(({ id, upstream }) => [id, upstream]), [[3, "good"], [2, "good"], [
    1,
    "good",
  ]]);
  const none = await callApi(router, "/records/export?format=jsonl&model=nothing");
  assert.deepEqual([none.status, await none.text()], [200, ""]);
  const head = await callApi(router, "/records/export?format=csv", { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal((await callApi(router, "/records/export?format=xml")).status, 400);
});

Deno.test("an export of many records is whole, and one that nobody reads holds up nothing", async () => {
  await using router = await Router.start();
  const insert = `INSERT INTO records(created_at, model, body, response)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    SELECT '2026-01-01 00:00:00+00:00', 'm', '{}', printf('%.2000c', 'x') FROM n`;
  router.execute(insert);
  const left = await Promise.all(
    Array.from({ length: 4 }, () => callApi(router, "/records/export?format=jsonl")),
  );
  const refused = await callApi(router, "/records/export?format=jsonl");
  assert.equal(refused.status, 429);
  await refused.body?.cancel();
  const [first, ...rest] = left;
  for (const response of rest) await response.body?.cancel();
  const lines = (await first?.text() ?? "").trimEnd().split("\n");
  assert.equal(lines.length, 5_000);
  assert.deepEqual([JSON.parse(lines[0] ?? "").id, JSON.parse(lines.at(-1) ?? "").id], [5_000, 1]);
});

Deno.test("one record is deleted with its attempts, and the statistics stay", async () => {
  await using stack = new AsyncDisposableStack();
  const router = await failing(stack);
  for (const content of ["keep", "delete"]) await ask(router, content);
  await router.recorded(2);
  await askApi(router, "/records/2", { method: "DELETE", status: 204 });
  assert.deepEqual(router.query("SELECT id FROM records").map(({ id }) => id), [1]);
  assert.deepEqual(router.query("SELECT DISTINCT record_id AS id FROM attempts").map(({ id }) => id), [1]);
  const missing = await callApi(router, "/records/2", { method: "DELETE" });
  assert.equal(missing.status, 404);
  await missing.body?.cancel();
  router.execute("INSERT INTO records(id, outcome) VALUES (9, 'in_flight')");
  const running = await callApi(router, "/records/9", { method: "DELETE" });
  assert.equal(running.status, 409);
  assert.match(await running.text(), /under way/);
  const browser = await Browser.login(router);
  const without = await browser.fetch("/records/1/delete", { method: "POST", headers: SAME_ORIGIN });
  assert.equal(without.status, 403);
  await without.body?.cancel();
  const done = await browser.fetch("/records/1/delete", {
    method: "POST",
    headers: SAME_ORIGIN,
    body: new URLSearchParams({ csrf: browser.csrfToken }),
  });
  assert.equal(done.status, 303);
  assert.deepEqual(router.query("SELECT id FROM records").map(({ id }) => id), [9]);
});

Deno.test("the status says what runs and what is kept, and an alert channel is tried", async () => {
  const messages: string[] = [];
  await using hook = new FakeUpstream(async (request, wire) => {
    messages.push(request.text);
    await reply(200, "{}")(request, wire);
  });
  await using router = await Router.start({
    args: ["--keep-days", "30"],
    env: { ALERT_WEBHOOK: `http://127.0.0.1:${hook.port}/hook` },
  });
  const status = await askApi<Record<string, unknown>>(router, "/status");
  assert.match(String(status["version"]), /^\d+\.\d+\.\d+/);
  assert.ok(Number(status["uptimeMs"]) >= 0);
  assert.ok(Number((status["database"] as { bytes: number }).bytes) > 0);
  assert.deepEqual(status["retention"], { keepDays: 30, keepBodiesDays: null, maxDatabaseBytes: null });
  assert.deepEqual([status["policy"], status["channels"]], ["order", ["webhook"]]);
  const tested = await askApi<{ isOk: boolean }>(router, "/channels/webhook/test", { method: "POST" });
  assert.equal(tested.isOk, true);
  assert.match(messages.join(), /Test of openai-api-route/);
  const none = await callApi(router, "/channels/feishu/test", { method: "POST" });
  assert.equal(none.status, 404);
  await none.body?.cancel();
});

Deno.test("a picture is sent with its own type, and a browser may do nothing else with it", async () => {
  await using upstream = new FakeUpstream(chatReply("seen"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const gif = new TextEncoder().encode("GIF89a<script>alert(1)</script>");
  const url = `data:image/png;base64,${gif.toBase64()}`;
  const content = [{ type: "image_url", image_url: { url } }];
  await (await router.chat({ messages: [{ role: "user", content }] })).text();
  await router.recorded(1);
  const browser = await Browser.login(router);
  const image = await browser.fetch("/records/1/image/t0p0");
  assert.deepEqual([image.status, image.headers.get("content-type")], [200, "image/gif"]);
  assert.equal(image.headers.get("x-content-type-options"), "nosniff");
  assert.match(image.headers.get("content-security-policy") ?? "", /default-src 'none'/);
  assert.deepEqual(await image.bytes(), gif);
  const stranger = await fetch(`http://127.0.0.1:${router.port}/admin/records/1/image/t0p0`);
  assert.equal(stranger.status, 401);
  await stranger.body?.cancel();
});
