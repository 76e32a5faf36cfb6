/**
 * Hostile request bodies: ones that upstreams read differently from the router, and ones that fill its
 * memory. Prints a table: case, expected, seen.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { FaultTable } from "../support/fault_table.ts";
import { RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

const JSON_TYPE = "application/json";
const FORM = "multipart/form-data; boundary=b";
const REFUSED = "400, none sent on, recorded";

const HIDDEN: readonly (readonly [name: string, contentType: string, body: string])[] = [
  ["NaN", JSON_TYPE, '{"model":"dear","temperature":NaN}'],
  ["a comma too much", JSON_TYPE, '{"model":"dear",}'],
  ["a raw tab", JSON_TYPE, '{"model":"dear","user":"\t"}'],
  ["a comment", JSON_TYPE, '/**/{"model":"dear"}'],
  ["a comment, labelled as bytes", "application/octet-stream", '/**/{"model":"dear"}'],
  ["single quotes", JSON_TYPE, "{'model':'dear'}"],
  ["another case", JSON_TYPE, '{"Model":"dear"}'],
  ["the first of two", JSON_TYPE, '{"model":"dear","model":"cheap"}'],
  ["the last of two", JSON_TYPE, '{"model":"cheap","model":"dear"}'],
  ["an array", JSON_TYPE, '{"model":["dear"]}'],
  ["a blank", JSON_TYPE, '{"model":"dear "}'],
  ["a NUL", JSON_TYPE, '{"model":"dear\\u0000"}'],
  ["a long name", JSON_TYPE, `{"model":"${"dear".repeat(100)}"}`],
  ["JSON labelled as a form", FORM, '{"model":"dear"}'],
  ["JSON labelled as an encoded form", "application/x-www-form-urlencoded", '{"model":"dear"}'],
  ["an encoded form", "application/x-www-form-urlencoded", "model=dear"],
  ["JSON in UTF-16", JSON_TYPE, [...'{"model":"dear"}'].map((each) => `${each}\0`).join("")],
  ["a form with a name in another case", FORM, form("Model", "dear")],
  ["a form that ends too early", FORM, form("model", "dear").slice(0, -6)],
];

function form(name: string, value: string): string {
  return `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n--b--\r\n`;
}

const gzip = (text: string | Uint8Array) => Uint8Array.from(zlib.gzipSync(text));
const br = (text: string | Uint8Array) => Uint8Array.from(zlib.brotliCompressSync(text));
const GZIP = { "content-encoding": "gzip" };
const CHEAP = Buffer.from('{"model":"cheap"}');

/** A gzip text with a field that decoders skip (RFC 1952 section 2.3.1.1). */
function gzipWithExtra(extra: string, text: string): Uint8Array<ArrayBuffer> {
  const zipped = gzip(text);
  const length = Buffer.from([extra.length & 0xff, extra.length >> 8]);
  zipped[3] = 4;
  return Uint8Array.from(
    Buffer.concat([zipped.subarray(0, 10), length, Buffer.from(extra), zipped.subarray(10)]),
  );
}

const CODED: readonly (readonly [name: string, contentType: string, body: BodyInit, label: string])[] = [
  ["no zstd at all", JSON_TYPE, "x", "zstd"],
  ["JSON that says it is gzip", JSON_TYPE, '{"model":"dear"}', "gzip"],
  ["JSON that says it is br", JSON_TYPE, '{"model":"dear"}', "br"],
  ["JSON of an unknown coding", JSON_TYPE, '{"model":"cheap"}', "compress"],
  ["gzip of an unknown coding too", JSON_TYPE, gzip(CHEAP), "gzip, rot13"],
  ["gzip that is cut", JSON_TYPE, gzip(CHEAP).subarray(0, -1), "gzip"],
  ["br that is cut", JSON_TYPE, br(CHEAP).subarray(0, -1), "br"],
  ["gzip with something behind it", JSON_TYPE, Buffer.concat([gzip(CHEAP), CHEAP]), "gzip"],
  ["deflate with something behind it", JSON_TYPE, Buffer.concat([zlib.deflateSync(CHEAP), CHEAP]), "deflate"],
  ["gzip twice, said once", JSON_TYPE, gzip(gzip(CHEAP)), "gzip"],
  ["a second JSON in a second member", JSON_TYPE, Buffer.concat([gzip(CHEAP), gzip(CHEAP)]), "gzip"],
  [
    "a form before a form",
    FORM,
    gzipWithExtra(`\r\n${form("model", "dear")}`, form("model", "cheap")),
    "gzip",
  ],
];

Deno.test("a denied model cannot be reached by hiding its name", async (t) => {
  const table = new FaultTable("hidden models", t);
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, deny: "dear*" }] });
  const ask = async (contentType: string, body: BodyInit, more: Record<string, string> = {}) => {
    const before = upstream.requests.length;
    const headers = { "content-type": contentType, ...more };
    const response = await router.fetch("/chat/completions", { method: "POST", headers, body });
    const text = await response.text();
    const { outcome, status } = await router.recordOf(response);
    const isRecorded = status === response.status && (response.status === 200 || outcome === "no_upstream");
    if (response.status === 400) assert.match(JSON.parse(text).error.message, /rules about models/);
    const sent = upstream.requests.length - before;
    return `${response.status}, ${sent || "none"} sent on, ${isRecorded ? "recorded" : outcome}`;
  };
  for (const [name, contentType, body] of HIDDEN) {
    await table.case(name, REFUSED, () => ask(contentType, body));
  }
  for (const [name, contentType, body] of HIDDEN) {
    const coded = gzip(Buffer.from(body));
    await table.case(`gzip of ${name}`, REFUSED, () => ask(contentType, coded, GZIP));
  }
  for (const [name, contentType, body, label] of CODED) {
    await table.case(name, REFUSED, () => ask(contentType, body, { "content-encoding": label }));
  }
  // In several pieces, which are scanned as they arrive.
  const large = `{"input":"${"x".repeat(300_000)}","model":"dear","user":NaN}`;
  await table.case("NaN behind 300 KB", REFUSED, () => ask(JSON_TYPE, large));
  const denied = "404, none sent on, recorded";
  await table.case("plainly", denied, () => ask(JSON_TYPE, '{"model":"dear"}'));
  await table.case("plainly in gzip", denied, () => ask(JSON_TYPE, gzip('{"model":"dear"}'), GZIP));
  const served = "200, 1 sent on, recorded";
  await table.case("another in gzip", served, () => ask(JSON_TYPE, gzip('{"model":"cheap"}'), GZIP));
  await table.case("another model", served, () => ask(JSON_TYPE, '{"model":"cheap"}'));
  await table.case("another model in a form", served, () => ask(FORM, form("model", "cheap")));
  await table.case("no model", served, () => ask(JSON_TYPE, '{"input":"x"}'));
  await table.case(
    "another model behind 300 KB",
    served,
    () => ask(JSON_TYPE, large.replace("dear", "cheap").replace("NaN", "1")),
  );
  table.print();
});

Deno.test("without model rules, every body is forwarded unchanged", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  for (const [name, contentType, body] of HIDDEN) {
    const headers = { "content-type": contentType };
    const response = await router.fetch("/chat/completions", { method: "POST", headers, body });
    await response.body?.cancel();
    assert.equal(response.status, 200, name);
    assert.equal(upstream.requests.at(-1)?.text, body, name);
  }
  for (const [name, contentType, body, label] of CODED) {
    const headers = { "content-type": contentType, "content-encoding": label };
    const response = await router.fetch("/chat/completions", { method: "POST", headers, body });
    await response.body?.cancel();
    assert.equal(response.status, 200, name);
    const seen = upstream.requests.at(-1);
    assert.equal(seen?.headers.get("content-encoding"), label, name);
    assert.equal(Buffer.compare(seen?.body ?? new Uint8Array(0), await new Response(body).bytes()), 0, name);
  }
});

Deno.test("an alias replaces the model in place, also in a body of several pieces and with non-ASCII text", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  const modelMap = JSON.stringify({ "short": "org/long-name" });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, modelMap }] });
  for (const filling of ["x", "\u00e9\u4e2d\ud83d\ude00", "x".repeat(400_000), "\u4e2d".repeat(400_000)]) {
    const body = (model: string) => `{"input":"${filling}","model":"${model}","n":1.0}`;
    const headers = { "content-type": JSON_TYPE };
    const init = { method: "POST", headers, body: body("short") };
    const response = await router.fetch("/chat/completions", init);
    await response.body?.cancel();
    assert.equal(upstream.requests.at(-1)?.text, body("org/long-name"));
  }
});

const MIB = 1024 * 1024;

Deno.test("request bodies share a budget, of which one client gets only a part, and which is released", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--max-receiving", "4MiB", "--max-body", "8MiB"],
    authorization: "test-token-0123456789, second-token-0123456789",
  });
  const head = (token: string, bytes: number) =>
    rawRequest("/v1/embeddings", { token, headers: { "content-length": String(bytes) } });
  const blanks = (bytes: number) => new Uint8Array(bytes).fill(0x20);
  const upload = async (token: string, bytes: number) => {
    const client = await RawClient.connect(router.port);
    await client.send(head(token, bytes));
    return client;
  };

  using tooLarge = await upload("test-token-0123456789", 5 * MIB);
  await tooLarge.send(blanks(5 * MIB)).catch(() => {});
  assert.match(await tooLarge.readToEnd(), /^HTTP\/1.1 413 [^]*--max-receiving/);

  // One body may take more than half; a second one of the same client gets nothing of the rest, another
  // client does.
  using first = await upload("test-token-0123456789", 3 * MIB);
  await first.send(blanks(3 * MIB - 1));
  // What was sent before this one is being read when it is answered: a body of the same client that came sooner would
  // count as its first one.
  using between = await upload("second-token-0123456789", MIB / 2);
  await between.send(blanks(MIB / 2));
  assert.match(await between.readToEnd(), /^HTTP\/1.1 200/);
  const refused = await eventually(async () => {
    using again = await upload("test-token-0123456789", MIB / 2);
    await again.send(blanks(MIB / 2)).catch(() => {});
    const answer = await again.readToEnd();
    return answer.startsWith("HTTP/1.1 429") ? answer : null;
  }, "a 429 while a body of the same client is under way");
  assert.match(refused, /retry-after: 1[^]*--max-receiving/);
  using other = await upload("second-token-0123456789", MIB / 2);
  await other.send(blanks(MIB / 2));
  assert.match(await other.readToEnd(), /^HTTP\/1.1 200/);
  // Small ones are always accepted.
  using small = await upload("test-token-0123456789", 1000);
  await small.send(blanks(1000));
  assert.match(await small.readToEnd(), /^HTTP\/1.1 200/);

  await first.send(blanks(1));
  assert.match(await first.readToEnd(), /^HTTP\/1.1 200/);
  // A client that leaves in the middle of a body releases its memory, too.
  const left = await upload("test-token-0123456789", 3 * MIB);
  await left.send(blanks(3 * MIB - 1));
  left.close();
  await eventually(
    () => router.records().some(({ status }) => status === 499) ? true : null,
    "the one that left",
  );
  using whole = await upload("test-token-0123456789", 4 * MIB - 1);
  await whole.send(blanks(4 * MIB - 1));
  assert.match(await whole.readToEnd(), /^HTTP\/1.1 200/);
  using after = await upload("test-token-0123456789", MIB / 2);
  await after.send(blanks(MIB / 2));
  assert.match(await after.readToEnd(), /^HTTP\/1.1 200/);
});
