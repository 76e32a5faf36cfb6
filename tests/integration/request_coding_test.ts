/**
 * Requests with a content coding (RFC 9110 section 8.4), as Codex (zstd) and others (gzip) send them: what is decided by
 * the body holds for them, too.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import zlib from "node:zlib";
import { eventually, Router, runProgram } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

type Encode = (bytes: Uint8Array) => Uint8Array;

const CODINGS: Readonly<Record<string, Encode>> = {
  "gzip": zlib.gzipSync,
  "X-GZip": zlib.gzipSync,
  "deflate": zlib.deflateSync,
  " Deflate ,": zlib.deflateRawSync,
  "br": zlib.brotliCompressSync,
  "zstd": zlib.zstdCompressSync,
  "identity, gzip": zlib.gzipSync,
  "gzip, zstd": (bytes) => zlib.zstdCompressSync(zlib.gzipSync(bytes)),
  "zstd,br , gzip": (bytes) => zlib.gzipSync(zlib.brotliCompressSync(zlib.zstdCompressSync(bytes))),
};

const body = (model: string, filling = "pelican") =>
  JSON.stringify({ stream: false, model, messages: [{ role: "user", content: filling }] });

function post(router: Router, bytes: Uint8Array, headers: Record<string, string>): Promise<Response> {
  return router.fetch("/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: Uint8Array.from(bytes),
  });
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

for (const [label, encode] of Object.entries(CODINGS)) {
  Deno.test(`a request in ${JSON.stringify(label)} goes on as it came, or plain to an upstream with an alias`, async () => {
    await using denying = new FakeUpstream(chatReply("wrong"));
    await using plain = new FakeUpstream(chatReply("plain"));
    await using renaming = new FakeUpstream(chatReply("renamed"));
    await using router = await Router.start({
      upstreams: [
        { endpoint: denying.endpoint, name: "denying", deny: "gpt-5*,other" },
        {
          endpoint: renaming.endpoint,
          name: "renaming",
          allow: "gpt-5*",
          modelMap: '{"gpt-5":"deployment-7"}',
        },
        { endpoint: plain.endpoint, name: "plain", allow: "other" },
      ],
    });
    for (const filling of ["pelican", `pelican${"\u4e2d\u00e9".repeat(200_000)}`]) {
      const sent = encode(Buffer.from(body("other", filling)));
      const headers = { "content-encoding": label, "content-md5": "x", "digest": "y" };
      const response = await post(router, sent, headers);
      assert.equal(response.headers.get("x-oar-upstream"), "plain");
      await response.body?.cancel();
      const seen = plain.requests.at(-1);
      assert.equal(sha256(seen?.body ?? Buffer.from("")), sha256(sent));
      assert.equal(seen?.headers.get("content-encoding"), label.trim());
      assert.equal(seen?.headers.get("content-md5"), "x");
      const record = await router.recordOf(response);
      const size = Buffer.byteLength(body("other", filling));
      assert.deepEqual([record.model, record.is_stream, record.request_bytes], ["other", 0, size]);
      assert.equal(record.body, body("other", filling));

      const again = await post(router, encode(Buffer.from(body("gpt-5", filling))), headers);
      assert.equal(again.headers.get("x-oar-upstream"), "renaming");
      await again.body?.cancel();
      const renamed = renaming.requests.at(-1);
      assert.equal(renamed?.text, body("deployment-7", filling));
      for (const name of ["content-encoding", "content-md5", "digest"]) {
        assert.equal(renamed?.headers.get(name), null, name);
      }
      assert.equal(renamed?.headers.get("content-length"), String(renamed?.body.length));
    }
    assert.equal(denying.requests.length, 0);
  });
}

Deno.test("a coded form is read, and described in its record", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, modelMap: '{"whisper":"whisper-1"}' }],
  });
  const form = (model: string) =>
    `--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n` +
    `--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--b--\r\n`;
  const response = await router.fetch("/audio/transcriptions", {
    method: "POST",
    headers: { "content-type": "multipart/form-data; boundary=b", "content-encoding": "gzip" },
    body: Uint8Array.from(zlib.gzipSync(form("whisper"))),
  });
  await response.body?.cancel();
  assert.equal(upstream.requests[0]?.text, form("whisper-1"));
  const record = await router.recordOf(response);
  assert.equal(record.model, "whisper");
  assert.deepEqual(JSON.parse(String(record.body)).fields, { model: "whisper" });
});

Deno.test("a coded request can be replayed from its record", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const response = await post(router, zlib.zstdCompressSync(body("m")), { "content-encoding": "zstd" });
  await response.body?.cancel();
  const { id } = await router.recordOf(response);
  const replay = ["records", "replay", String(id)];
  const { code, stderr } = await runProgram(replay, { cwd: router.directory });
  assert.equal(code, 0, stderr);
  const seen = upstream.requests.at(-1);
  assert.deepEqual([seen?.text, seen?.headers.get("content-encoding")], [body("m"), null]);
});

Deno.test("an alias applies at one upstream, the bytes as they came at the next", async () => {
  await using renaming = new FakeUpstream((_request, wire) => wire.close());
  await using plain = new FakeUpstream(chatReply("plain"));
  await using router = await Router.start({
    upstreams: [{ endpoint: renaming.endpoint, modelMap: '{"m":"n"}' }, { endpoint: plain.endpoint }],
  });
  const sent = zlib.zstdCompressSync(body("m"));
  const response = await post(router, sent, { "content-encoding": "zstd" });
  assert.equal(response.status, 200);
  await response.body?.cancel();
  assert.equal(renaming.requests[0]?.text, body("n"));
  assert.equal(plain.requests[0]?.headers.get("content-encoding"), "zstd");
  assert.equal(sha256(plain.requests[0]?.body ?? Buffer.from("")), sha256(sent));
});

const MIB = 1024 * 1024;

/** Peak resident memory of a process so far, in bytes. */
function peakBytes(pid: number): number {
  const status = Deno.readTextFileSync(`/proc/${pid}/status`);
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

Deno.test("what decodes to more than --max-body is a 413, without taking the memory for it", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--max-body", "1MiB"],
  });
  const spaces = (bytes: number) => Buffer.from(`${" ".repeat(bytes - 2)}{}`);
  for (const [label, encode] of Object.entries(CODINGS)) {
    const fits = await post(router, encode(spaces(MIB)), { "content-encoding": label });
    assert.equal(fits.status, 200, label);
    await fits.body?.cancel();
    const tooLarge = await post(router, encode(spaces(MIB + 1)), { "content-encoding": label });
    assert.equal(tooLarge.status, 413, label);
    const { error } = await tooLarge.json();
    assert.equal(error.code, "request_too_large");
    assert.match(error.message, /1048576 bytes after decoding; raise --max-body/);
  }
  const member = zlib.gzipSync(Buffer.alloc(64 * MIB, 0x20));
  const bombs: [label: string, body: Uint8Array][] = [
    ["gzip", Buffer.concat(Array.from({ length: 14 }, () => member))],
    ["zstd", zlib.zstdCompressSync(Buffer.alloc(256 * MIB, 0x20))],
    [
      "br",
      zlib.brotliCompressSync(Buffer.alloc(64 * MIB, 0x20), {
        params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 },
      }),
    ],
    ["gzip, gzip", zlib.gzipSync(Buffer.concat([member, member]))],
  ];
  const before = peakBytes(router.pid);
  for (const [label, bytes] of bombs) {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => post(router, bytes, { "content-encoding": label })),
    );
    for (const answer of answers) {
      await answer.body?.cancel();
      assert.equal(answer.status, 413, `${label} ${bytes.length}`);
    }
  }
  const grown = Math.round((peakBytes(router.pid) - before) / MIB);
  assert.ok(grown < 250, `peak memory grew by ${grown} MiB`);
  const after = await post(router, Buffer.from(body("m")), {});
  assert.equal(after.status, 200);
});

Deno.test("the memory of decoded bodies is counted, and released", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--max-receiving", "2MiB", "--max-body", "8MiB"],
  });
  const ask = (mib: number) => {
    const text = Buffer.from(`${" ".repeat(mib * MIB)}{"model":"m"}`);
    return post(router, zlib.zstdCompressSync(text), { "content-encoding": "zstd" });
  };
  const never = await ask(3);
  assert.equal(never.status, 413);
  assert.match((await never.json()).error.message, /--max-receiving/);
  for (let times = 0; times < 4; times++) {
    const response = await ask(1.5);
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
});

Deno.test("other requests are answered while large bodies are decoded", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const filling = "the quick brown fox ".repeat(1_500_000);
  const large = zlib.brotliCompressSync(body("m", filling), {
    params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 },
  });
  const ended: string[] = [];
  const slow = Array.from({ length: 4 }, async () => {
    const response = await post(router, large, { "content-encoding": "br" });
    assert.equal(response.status, 200);
    await response.body?.cancel();
    ended.push("large");
  });
  // Whatever the speed of the machine: many small ones are answered in turns with the large ones.
  while (ended.length === 0) {
    const response = await router.fetch("/models");
    await response.body?.cancel();
    if (ended.length === 0) ended.push("small");
  }
  assert.equal(ended[0], "small");
  await Promise.all(slow);
  await eventually(() => router.records().length > 4 ? true : null, "the records");
});
