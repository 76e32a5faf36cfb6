/**
 * Upstream faults, once with a working upstream behind it and once alone.
 *
 * The table's words: status, who answered (or the error code), whether the client got a whole or a cut
 * reply, the record's outcome, and each attempt's error class.
 */
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { FaultTable } from "../support/fault_table.ts";
import { writeAll } from "../support/connection_server.ts";
import { Blackhole, RawUpstream, resetAfter } from "../support/raw_upstream.ts";
import { Router } from "../support/router.ts";
import { SELF_SIGNED } from "../support/self_signed.ts";
import {
  chatCompletion,
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  cutAfter,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  raw,
  refusingEndpoint,
  reply,
  type Script,
  silentAfter,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

const ROLE = chatEvent({ role: "assistant", content: "" });
const WORD = chatEvent({ content: "half a " });
const JSON_HEAD = { "content-type": "application/json" };
const CHUNKED_JSON = { ...JSON_HEAD, "transfer-encoding": "chunked" };

/** The fault: a script of an HTTP upstream, or an endpoint that is not one. */
type Fault = Script | { readonly endpoint: string };

interface FaultCase {
  readonly name: string;
  readonly fault: Fault;
  readonly isStream?: boolean;
  /** The result with a working upstream behind it; null: not tested. */
  readonly backed: string | null;
  readonly alone: string;
}

const MOVED_ON = (errorClass: string) => `200 backup, whole, complete [${errorClass}, ok]`;
const UNREACHABLE = "502 upstream_unreachable, whole, upstream_error [connect_error]";
const TIMED_OUT = "502 upstream_timeout, whole, upstream_error [timeout]";
const CUT_OFF = "502 upstream_cut, whole, upstream_error";
const INVALID = "502 upstream_invalid, whole, upstream_error [bad_status]";
const UNREADABLE = "502 upstream_invalid, whole, upstream_error [bad_reply]";
const REDIRECT = "502 upstream_redirect, whole, upstream_error [redirect]";
const RELAYED = "200 primary, whole, complete [ok]";

const SCRIPTED: readonly FaultCase[] = [
  { name: "never answers", fault: hang, backed: MOVED_ON("timeout"), alone: TIMED_OUT },
  {
    name: "partial headers, then the end",
    fault: raw("HTTP/1.1 200 OK\r\ncontent-ty"),
    backed: MOVED_ON("bad_reply"),
    alone: `${CUT_OFF} [bad_reply]`,
  },
  {
    name: "partial headers, then silence",
    fault: async (request, wire) => {
      await wire.write("HTTP/1.1 200 OK\r\ncontent-ty");
      await request.closed;
    },
    backed: MOVED_ON("timeout"),
    alone: TIMED_OUT,
  },
  {
    name: "junk instead of HTTP",
    fault: raw(new Uint8Array(4096).map((_, at) => (at * 31) & 0xff)),
    backed: MOVED_ON("bad_reply"),
    alone: UNREADABLE,
  },
  {
    name: "headers, then silence",
    fault: async (request, wire) => {
      await wire.write(head(200, { ...JSON_HEAD, "content-length": "100" }));
      await request.closed;
    },
    backed: MOVED_ON("timeout"),
    alone: TIMED_OUT,
  },
  {
    name: "headers of a stream, then silence",
    isStream: true,
    fault: silentAfter([]),
    backed: MOVED_ON("timeout"),
    alone: TIMED_OUT,
  },
  {
    name: "200, then an error",
    fault: reply(200, '{"error":{"message":"overloaded"}}'),
    backed: MOVED_ON("bad_reply"),
    alone: "200 primary, whole, error_event [bad_reply]",
  },
  {
    name: "200, then an error in the stream",
    isStream: true,
    fault: stream([ROLE, 'data: {"error":{"message":"overloaded"}}\n\n']),
    backed: MOVED_ON("bad_stream"),
    alone: "200 primary, whole, error_event [error_event]",
  },
  {
    name: "200, then the end before content",
    isStream: true,
    fault: cutAfter([ROLE]),
    backed: MOVED_ON("bad_stream"),
    alone: `${CUT_OFF} [bad_stream]`,
  },
  {
    name: "200, then the end after content",
    isStream: true,
    fault: cutAfter([ROLE, WORD]),
    backed: "200 primary, cut, upstream_cut [upstream_cut]",
    alone: "200 primary, cut, upstream_cut [upstream_cut]",
  },
  {
    name: "stall in the middle of a stream",
    isStream: true,
    fault: silentAfter([ROLE, WORD]),
    backed: "200 primary, cut, idle_timeout [idle_timeout]",
    alone: "200 primary, cut, idle_timeout [idle_timeout]",
  },
  {
    name: "truncated chunked JSON",
    fault: raw(head(200, CHUNKED_JSON) + 'ff\r\n{"id":"chatcmpl-1","cho'),
    backed: MOVED_ON("bad_reply"),
    alone: `${CUT_OFF} [bad_reply]`,
  },
  {
    name: "an invalid chunk size",
    isStream: true,
    fault: raw(STREAM_HEAD + chunk(ROLE) + chunk(WORD) + "zz\r\nrest\r\n"),
    backed: "200 primary, cut, upstream_cut [upstream_cut]",
    alone: "200 primary, cut, upstream_cut [upstream_cut]",
  },
  {
    name: "a body shorter than its Content-Length",
    fault: raw(head(200, { ...JSON_HEAD, "content-length": "5000" }) + JSON.stringify(chatCompletion("x"))),
    backed: MOVED_ON("bad_reply"),
    alone: `${CUT_OFF} [bad_reply]`,
  },
  {
    name: "a stream shorter than its Content-Length",
    isStream: true,
    fault: raw(
      head(200, { "content-type": "text/event-stream", "content-length": "5000" }) + ROLE + WORD,
    ),
    backed: "200 primary, cut, upstream_cut [upstream_cut]",
    alone: "200 primary, cut, upstream_cut [upstream_cut]",
  },
  {
    name: "a body longer than its Content-Length",
    fault: async (_request, wire) => {
      const body = JSON.stringify(chatCompletion("the declared part"));
      await wire.write(head(200, { ...JSON_HEAD, "content-length": String(body.length) }) + body);
      await wire.write("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nsmuggle");
    },
    backed: RELAYED,
    alone: RELAYED,
  },
  {
    name: "corrupt gzip",
    fault: reply(200, "this is no gzip at all", { ...JSON_HEAD, "content-encoding": "gzip" }),
    backed: MOVED_ON("bad_reply"),
    alone: "200 primary, cut, error_event [bad_reply]",
  },
  {
    name: "gzip that breaks off",
    fault: async (_request, wire) => {
      const whole = gzipSync(JSON.stringify(chatCompletion("zipped ".repeat(500))));
      const part = whole.subarray(0, whole.length / 2);
      await wire.write(
        head(200, { ...JSON_HEAD, "content-encoding": "gzip", "content-length": String(part.length) }),
      );
      await wire.write(part);
    },
    backed: MOVED_ON("bad_reply"),
    alone: "200 primary, cut, error_event [bad_reply]",
  },
  {
    name: "a stream without [DONE] and finish_reason",
    isStream: true,
    fault: stream([ROLE, WORD]),
    backed: "200 primary, whole, upstream_cut [upstream_cut]",
    alone: "200 primary, whole, upstream_cut [upstream_cut]",
  },
  {
    name: "a stream without [DONE], finished",
    isStream: true,
    fault: stream(chatEvents(["all ", "said"]).slice(0, -1)),
    backed: RELAYED,
    alone: RELAYED,
  },
  {
    name: "103 Early Hints before the answer",
    fault: async (request, wire) => {
      await wire.write("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
      await chatReply("after the hints")(request, wire);
    },
    backed: RELAYED,
    alone: RELAYED,
  },
  ...[301, 302, 303, 307, 308].map((status): FaultCase => ({
    name: `redirect ${status}`,
    fault: reply(status, "", { location: "http://127.0.0.1:9/stolen" }),
    backed: MOVED_ON("redirect"),
    alone: REDIRECT,
  })),
  {
    name: "an unrequested 304",
    fault: raw("HTTP/1.1 304 Not Modified\r\n\r\n"),
    backed: MOVED_ON("redirect"),
    alone: REDIRECT,
  },
  {
    name: "204",
    fault: raw("HTTP/1.1 204 No Content\r\n\r\n"),
    backed: "204 primary, whole, complete [ok]",
    alone: "204 primary, whole, complete [ok]",
  },
  ...[600, 799, 999].map((status): FaultCase => ({
    name: `status ${status}`,
    fault: reply(status, "{}"),
    backed: MOVED_ON("bad_status"),
    alone: INVALID,
  })),
  {
    name: "status 99999",
    fault: raw("HTTP/1.1 99999 Odd\r\ncontent-length: 0\r\n\r\n"),
    backed: MOVED_ON("bad_reply"),
    alone: UNREADABLE,
  },
  {
    name: "500 with a body of 400 KB",
    fault: async (_request, wire) => {
      await wire.write(head(500, { "content-type": "text/plain", "transfer-encoding": "chunked" }));
      for (let at = 0; at < 400; at++) await wire.write(chunk("x".repeat(1024)));
      await wire.write(LAST_CHUNK);
    },
    backed: MOVED_ON("http_status"),
    alone: "500 primary, whole, upstream_error [http_status, http_status]",
  },
  {
    name: "headers larger than 1 MB",
    fault: raw(`HTTP/1.1 200 OK\r\nx-flood: ${"x".repeat(1_100_000)}\r\n\r\n`),
    backed: MOVED_ON("bad_reply"),
    alone: UNREADABLE,
  },
];

/** One request as seen by the client and in the database. */
async function ask(router: Router, model: string, isStream: boolean): Promise<string> {
  const response = await router.chat({ model, stream: isStream });
  let body = "";
  let end = "whole";
  try {
    body = await response.text();
  } catch {
    end = "cut";
  }
  const record = await router.recordOf(response);
  const name = response.headers.get("x-oar-upstream");
  const who = name === null ? JSON.parse(body).error.code : name.split("-")[0];
  const attempts = router.attempts(record.id).map((attempt) => attempt.error_class ?? "ok").join(", ");
  return `${response.status} ${who}, ${end}, ${record.outcome} [${attempts}]`;
}

Deno.test("faults of upstreams", async (t) => {
  const table = new FaultTable("Faults of upstreams", t);
  await using disposables = new AsyncDisposableStack();
  const rawUpstream = (...args: ConstructorParameters<typeof RawUpstream>) =>
    disposables.use(new RawUpstream(...args));
  const plain = disposables.use(new FakeUpstream(hang));
  const blackhole = disposables.use(await Blackhole.open());
  const connecting: FaultCase[] = [
    {
      name: "refused",
      fault: { endpoint: refusingEndpoint() },
      backed: MOVED_ON("connect_error"),
      alone: UNREACHABLE,
    },
    {
      name: "unknown host",
      fault: { endpoint: "http://does-not-exist.invalid/v1" },
      backed: MOVED_ON("connect_error"),
      alone: UNREACHABLE,
    },
    { name: "blackholed connect", fault: blackhole, backed: MOVED_ON("timeout"), alone: TIMED_OUT },
    {
      name: "TLS to a port without it",
      fault: overTls(plain),
      backed: MOVED_ON("timeout"),
      alone: TIMED_OUT,
    },
    {
      name: "TLS to a port that answers plain HTTP",
      fault: overTls(rawUpstream(async (connection) => {
        await connection.read(new Uint8Array(1024));
        await writeAll(connection, "HTTP/1.1 400 Bad Request\r\n\r\n");
      })),
      backed: MOVED_ON("connect_error"),
      alone: UNREACHABLE,
    },
    {
      name: "TLS, self-signed",
      fault: rawUpstream(async (connection) => void await connection.read(new Uint8Array(1)), SELF_SIGNED),
      backed: MOVED_ON("connect_error"),
      alone: UNREACHABLE,
    },
    {
      name: "reset before headers",
      fault: rawUpstream(resetAfter("")),
      backed: MOVED_ON("connect_error"),
      // The only upstream is asked once more.
      alone: "502 upstream_unreachable, whole, upstream_error [connect_error, connect_error]",
    },
    {
      name: "200, then reset before content",
      isStream: true,
      fault: rawUpstream(resetAfter(STREAM_HEAD + chunk(ROLE))),
      backed: MOVED_ON("bad_stream"),
      alone: `${CUT_OFF} [bad_stream]`,
    },
    {
      name: "200, then reset after content",
      isStream: true,
      fault: rawUpstream(resetAfter(STREAM_HEAD + chunk(ROLE) + chunk(WORD))),
      backed: "200 primary, cut, upstream_cut [upstream_cut]",
      alone: "200 primary, cut, upstream_cut [upstream_cut]",
    },
  ];
  const cases = [...connecting, ...SCRIPTED];

  const scripted = disposables.use(
    new FakeUpstream((request, wire) => {
      const at = Number(/"model":"case-(\d+)-/.exec(request.text)?.[1]);
      const fault = cases[at]?.fault;
      return typeof fault === "function" ? fault(request, wire) : wire.close();
    }),
  );
  const backup = disposables.use(
    new FakeUpstream((request, wire) => {
      const isStream = request.text.includes('"stream":true');
      return (isStream ? stream(chatEvents(["the ", "backup"])) : chatReply("the backup"))(request, wire);
    }),
  );
  const router = disposables.use(
    await Router.start({
      upstreams: [
        ...cases.map(({ fault }, at) => ({
          endpoint: endpointOf(fault, scripted),
          name: `primary-${at}`,
          timeout: 1,
          allow: `case-${at}-*`,
        })),
        { endpoint: backup.endpoint, name: "backup", allow: "case-*-backed" },
      ],
      args: ["--idle-timeout", "1", "--first-token-timeout", "1"],
    }),
  );
  for (const [at, { name, isStream = false, backed, alone }] of cases.entries()) {
    if (backed !== null) {
      await table.case(name, backed, () => ask(router, `case-${at}-backed`, isStream));
    }
    await table.case(`${name}, alone`, alone, () => ask(router, `case-${at}-alone`, isStream));
  }
  table.print();
});

function overTls({ endpoint }: { readonly endpoint: string }): { readonly endpoint: string } {
  return { endpoint: endpoint.replace("http:", "https:") };
}

function endpointOf(fault: Fault, scripted: FakeUpstream): string {
  return typeof fault === "function" ? scripted.endpoint : fault.endpoint;
}

/** A stream in pieces, and its text. */
interface OddStream {
  readonly name: string;
  readonly pieces: readonly (string | Uint8Array)[];
  readonly text: string;
  /** Without `transfer-encoding`: the body ends with the connection. */
  readonly isCloseDelimited?: boolean;
}

const WORLD = "h\u00e9llo \u{1F30D} \u4f60\u597d";
const GIANT = "All work and no play. ".repeat(950_000);

function withLineEnds(lineEnd: string): string {
  return chatEvents(["line ", "ends"]).join("").replaceAll("\n", lineEnd);
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text);
}

const ODD_STREAMS: readonly OddStream[] = [
  { name: "LF", pieces: [withLineEnds("\n")], text: "line ends" },
  { name: "CR", pieces: [withLineEnds("\r")], text: "line ends" },
  { name: "CRLF", pieces: [withLineEnds("\r\n")], text: "line ends" },
  {
    name: "CRLF, a byte at a time",
    pieces: [...bytesOf(withLineEnds("\r\n"))].map((byte) => Uint8Array.of(byte)),
    text: "line ends",
  },
  {
    name: "UTF-8 split everywhere",
    pieces: [...bytesOf(chatEvents([WORLD]).join(""))].map((byte) => Uint8Array.of(byte)),
    text: WORLD,
  },
  { name: "a byte order mark", pieces: ["\ufeff", ...chatEvents(["marked"])], text: "marked" },
  { name: "an event of 20 MB", pieces: chatEvents([GIANT]), text: GIANT },
  { name: "bytes after [DONE]", pieces: [...chatEvents(["done"]), ": and more\n\n"], text: "done" },
  {
    name: "HTTP/1.0, delimited by the connection's end",
    pieces: chatEvents(["old ", "but fine"]),
    text: "old but fine",
    isCloseDelimited: true,
  },
];

Deno.test("unusual but valid streams", async (t) => {
  const table = new FaultTable("Odd streams", t);
  await using upstream = new FakeUpstream(hang);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "primary" }] });
  for (const { name, pieces, text, isCloseDelimited = false } of ODD_STREAMS) {
    await table.case(name, "bytes equal, complete, text equal", async () => {
      upstream.script = async (_request, wire) => {
        await wire.write(
          isCloseDelimited ? "HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" : STREAM_HEAD,
        );
        for (const piece of pieces) await wire.write(isCloseDelimited ? piece : chunkOf(piece));
        if (isCloseDelimited) wire.close();
        else await wire.write(LAST_CHUNK);
      };
      const response = await router.chat({ stream: true });
      const received = Buffer.from(await response.arrayBuffer());
      const sent = Buffer.concat(pieces.map((piece) => typeof piece === "string" ? bytesOf(piece) : piece));
      const record = await router.recordOf(response);
      const isTextEqual = record.response === text ||
        (record.is_truncated === 1 && text.startsWith(String(record.response)));
      return `bytes ${received.equals(sent) ? "equal" : "differ"}, ${record.outcome}, text ${
        isTextEqual ? "equal" : `differs: ${String(record.response).slice(0, 100)}`
      }`;
    });
  }
  table.print();
});

function chunkOf(piece: string | Uint8Array): Uint8Array {
  const bytes = typeof piece === "string" ? bytesOf(piece) : piece;
  return Buffer.concat([bytesOf(`${bytes.length.toString(16)}\r\n`), bytes, bytesOf("\r\n")]);
}

Deno.test("answers of several upstreams, or of none", async (t) => {
  const table = new FaultTable("Several upstreams, or none", t);
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, name: "first" }, { endpoint: second.endpoint, name: "second" }],
  });
  const told = async (init: RequestInit & { method: string } = { method: "POST" }) => {
    const response = init.method === "POST"
      ? await router.chat()
      : await router.fetch("/models", { method: init.method });
    const body = await response.text();
    const names = ["x-oar-upstream", "x-oar-attempts", "retry-after"];
    const values = names.map((name) => response.headers.get(name) ?? "none");
    return `${response.status}, ${values.join(", ")}, ${body.length} bytes`;
  };

  await table.case("HEAD", "200, first, 1, none, 0 bytes", () => {
    first.script = (_request, wire) => wire.write(head(200, { ...JSON_HEAD, "content-length": "1234" }));
    return told({ method: "HEAD" });
  });
  await table.case("HEAD with failover", "200, second, 2, none, 0 bytes", () => {
    first.script = (_request, wire) => wire.write(head(500, { "content-length": "1234" }));
    second.script = (_request, wire) => wire.write(head(200, { ...JSON_HEAD, "content-length": "1234" }));
    return told({ method: "HEAD" });
  });
  await table.case("all of them fail", "503, second, 2, none, 18 bytes", () => {
    first.script = reply(500, "{}");
    second.script = reply(503, '{"error":"second"}');
    return told();
  });
  await table.case("429 with Retry-After everywhere", "429, second, 2, 9, 2 bytes", () => {
    first.script = reply(429, "{}", { "retry-after": "7" });
    second.script = reply(429, "{}", { "retry-after": "9" });
    return told();
  });
  await table.case("again, while all of them cool", "429, second, 2, 9, 2 bytes", () => told());
  await table.case("all cool, and one is well again", "200, second, 2, none, 11 bytes", () => {
    second.script = reply(200, '{"c":[1,2]}');
    return told();
  });
  table.print();
});

Deno.test("no upstream at all", async (t) => {
  const table = new FaultTable("No upstream", t);
  await using router = await Router.start();
  await table.case("zero upstreams", "503 no_upstream, no_upstream", async () => {
    const response = await router.chat();
    const { error } = await response.json();
    return `${response.status} ${error.code}, ${(await router.recordOf(response)).outcome}`;
  });
  table.print();
});

Deno.test("the total deadline", async (t) => {
  const table = new FaultTable("Deadline", t);
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, timeout: 30 }, { endpoint: second.endpoint, timeout: 30 }],
    args: ["--deadline", "1"],
  });
  await table.case(
    "--deadline 1 before upstreams that hang",
    "504 deadline_exceeded, upstream_error",
    async () => {
      const response = await router.chat();
      const { error } = await response.json();
      await first.requests[0]?.closed;
      return `${response.status} ${error.code}, ${(await router.recordOf(response)).outcome}`;
    },
  );
  table.print();
});
