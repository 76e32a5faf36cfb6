/** A record's page beyond its conversation: calls, errors, pictures, the way to others, and its end. */
import assert from "node:assert/strict";
import { FakeService, type FakeState, mounted, record } from "./fake_service.ts";

async function get(
  state: FakeState,
  path: string,
): Promise<{ text: string; response: Response; service: FakeService }> {
  const service = new FakeService(state);
  const response = await mounted(service).request(`http://x/admin${path}`, {
    headers: { accept: "text/html" },
  });
  return { text: await response.text(), response, service };
}

Deno.test("a call of a tool reads like code; a long one has its arguments below", async () => {
  const long = JSON.stringify({ query: "x".repeat(300) });
  const toolCalls = [
    { id: "c1", name: "get_weather", arguments: '{ "city": "Paris" }' },
    { id: null, name: "search", arguments: long },
    { id: null, name: "broken", arguments: '{"a":' },
  ];
  const { text } = await get({ records: [record(1, { response: "", toolCalls })] }, "/records/1");
  assert.match(text, /get_weather\(\{&quot;city&quot;:&quot;Paris&quot;\}\)/);
  assert.match(text, /<bdi>search\(…\)<\/bdi>.*&quot;query&quot;: &quot;xxx/s);
  assert.match(text, /<bdi>broken\(\{&quot;a&quot;:\)<\/bdi>/);
});

Deno.test("an error that came as a document is a sentence, and can be read as it came", async () => {
  const response = '{"error":{"message":"Slow down","type":"rate_limit_error","code":"rate_limited"}}';
  const records = [record(1, { response, status: 429, outcome: "upstream_error" }), record(2, { response })];
  const { text } = await get({ records }, "/records/1");
  assert.match(text, /<p class="error-reply"><bdi>Slow down \(rate_limited\)<\/bdi><\/p>/);
  assert.match(
    (await get({ records }, "/records/1?as=text")).text,
    /<div class="text" id="reply"[^>]*>\{&quot;error/,
  );
  assert.doesNotMatch((await get({ records }, "/records/2")).text, /error-reply/);
});

Deno.test("a picture of the request is shown, of whatever API it is", async () => {
  const data = Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 9]).toBase64();
  const body = JSON.stringify({
    messages: [{
      role: "user",
      content: [
        { type: "image_url", image_url: { url: `data:image/jpeg;base64,${data}` } },
        { type: "image", source: { type: "base64", media_type: "image/jpeg", data } },
        { type: "image_url", image_url: { url: "https://example.com/x.png" } },
        { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
      ],
    }],
  });
  const state = { records: [record(1, { body })] };
  const { text } = await get(state, "/records/1");
  assert.deepEqual([...text.matchAll(/<img[^>]*src="([^"]*)"/g)].map(([, src]) => src), [
    "/admin/records/1/image/t0p0",
    "/admin/records/1/image/t0p1",
  ]);
  const { response } = await get(state, "/records/1/image/t0p1");
  assert.equal(response.headers.get("content-type"), "image/jpeg");
});

Deno.test("a record leads to its neighbours within the list from which it was opened", async () => {
  const records = [record(9), record(5), record(2)];
  const neighbours = { newerId: 9, olderId: 2 };
  const { text, service } = await get({ records, neighbours }, "/records/5?status=2&model=gpt*");
  assert.match(text, /rel="prev" href="\/admin\/records\/9\?model=gpt\*&amp;status=2"/);
  assert.match(text, /rel="next" href="\/admin\/records\/2\?model=gpt\*&amp;status=2"/);
  assert.match(text, /href="\/admin\/records\?model=gpt\*&amp;status=2"/);
  assert.deepEqual(service.calls, [["neighbours", { id: 5, filter: { model: "gpt*", status: 2 } }]]);
  const last = await get({ records }, "/records/5");
  assert.equal(last.text.match(/aria-disabled="true"/g)?.length, 2);
});

Deno.test("a record is deleted after a question", async () => {
  const state = { records: [record(5)] };
  const asked = await get(state, "/records/5/delete");
  assert.match(asked.text, /Delete record 5\?.*action="\/admin\/records\/5\/delete".*name="csrf"/s);
  assert.deepEqual(asked.service.calls, []);
  const service = new FakeService(state);
  const done = await mounted(service).request("http://x/admin/records/5/delete", { method: "POST" });
  assert.deepEqual([done.status, done.headers.get("location")], [303, "/admin/records?done=recordDeleted"]);
  assert.deepEqual(service.calls, [["deleteRecord", 5]]);
});

Deno.test("the list shows what was asked, says when a search was found there, and counts", async () => {
  const { text } = await get(
    {
      records: [record(3)],
      hit: [{ text: "hello", isHit: true }],
      count: { count: 1_234, isComplete: false },
    },
    "/records?q=hello&failedOn=2",
  );
  assert.match(text, /prompt-start[^>]*><bdi>What was asked<\/bdi>/);
  assert.match(text, /in the request:<\/span><mark>/);
  assert.match(text, /more than 1,234 records/);
  assert.match(text, /href="\/admin\/api\/records\/export\?format=csv&amp;q=hello&amp;failedOn=2" download/);
  assert.match(text, /href="\/admin\/records\/3\?q=hello&amp;failedOn=2"/);
});

Deno.test("a text of a record is given as it is, to be copied", async () => {
  const { text, response } = await get(
    { records: [record(1, { response: "# <b>" })] },
    "/records/1/text/reply?plain=1",
  );
  assert.deepEqual([text, response.headers.get("content-type")], ["# <b>", "text/plain; charset=UTF-8"]);
});
