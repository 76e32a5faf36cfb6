/**
 * Every parser and regular expression that sees outside text takes linear time: 64 KiB for heads and names, 1
 * MiB for bodies.
 */
import assert from "node:assert/strict";
import { parse as parseCookies } from "hono/utils/cookie";
import { createCapture } from "../../src/capture/create.ts";
import { readConversation } from "../../src/control/conversation.ts";
import { requestText } from "../../src/proxy/ledger/request_text.ts";
import { EventStreamParser } from "../../src/capture/sse.ts";
import { formatTable } from "../../src/cli/output.ts";
import { csvLine } from "../../src/control/record_csv.ts";
import { toFinetuneExample } from "../../src/cli/records/finetune.ts";
import { toInbound } from "../../src/control/replay_request.ts";
import { viewRecord } from "../../src/control/record_view.ts";
import { TrustedProxies } from "../../src/core/client_ip.ts";
import { endpointKind, modelInPath, mustNameModel } from "../../src/core/api_path.ts";
import { classify } from "../../src/core/endpoint.ts";
import { formProblem } from "../../src/core/form_problem.ts";
import { JsonPieces, readFields } from "../../src/core/request_fields.ts";
import { TokenGuard } from "../../src/core/token_guard.ts";
import { pathProblem } from "../../src/core/request_path.ts";
import { HeaderFields } from "../../src/core/header_fields.ts";
import { withModel } from "../../src/core/model_alias.ts";
import { multipartBoundary, readFormParts } from "../../src/core/multipart.ts";
import { matchesGlob, retryAfterMs } from "../../src/core/policy.ts";
import { harmless, prettyJson } from "../../src/core/recorded_text.ts";
import { SecretSet } from "../../src/core/secret_set.ts";
import { redactSecrets } from "../../src/core/secrets.ts";
import { parseMoment } from "../../src/core/times.ts";
import { curlCommand } from "../../src/dashboard/curl.ts";
import { chooseLanguage } from "../../src/dashboard/messages/language.ts";
import { en } from "../../src/dashboard/messages/en.ts";
import { QUERY_NAMES, readQuery } from "../../src/dashboard/record_query.ts";
import { refuseContentType } from "../../src/http/head_guard.ts";
import { readTarget } from "../../src/http/target.ts";
import { AlertNotifier } from "../../src/notify/alerts.ts";
import { configureLogging, getLog, logRequest } from "../../src/observe/log.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { redactor } from "../../src/observe/redact.ts";
import { beginsLikeEvents, isEventStream } from "../../src/core/body_form.ts";
import { bearerToken } from "../../src/core/credentials.ts";
import { clientHeaders } from "../../src/proxy/relay/reply_headers.ts";
import { upstreamHeaders, upstreamUrl } from "../../src/proxy/attempt/upstream_request.ts";
import { SecretMask } from "../../src/proxy/relay/masking.ts";
import { parseCountRange, parseDuration } from "../../src/core/bounds.ts";
import { callsText, callText, errorSentence } from "../../src/core/reply_text.ts";
import { systemZone, zoneOf } from "../../src/core/zones.ts";
import { decodeImage, imageInText, withoutImages } from "../../src/control/recorded_images.ts";
import { MAX_MARKDOWN_LENGTH, parseMarkdown } from "../../src/dashboard/markdown.ts";
import { promptStart } from "../../src/store/read/prompt_start.ts";
import { hitPassage } from "../../src/store/search/hit.ts";
import { parseSearch, termPattern } from "../../src/store/search/query.ts";
import { MemoryIndex } from "../../src/store/search/memory_index.ts";
import { searchText } from "../../src/store/search/text.ts";
import { isPersistent, requestFraming } from "../../src/wire/framing.ts";
import { parseReplyHead, parseRequestHead } from "../../src/wire/head.ts";
import { plainMs, superlinear } from "../support/processor_time.ts";
import { plainText, WORST_TEXTS } from "../support/worst_texts.ts";
import { record as settledRecord } from "../unit/observe/fixtures.ts";
import { record as storedRecord } from "../unit/dashboard/fake_service.ts";
import { FakeClock } from "../support/fake_clock.ts";

type Case = readonly [name: string, run: (text: string) => unknown];

/** One for each reader of replies. */
const ENDPOINT_KINDS = ["chat", "completions", "responses", "messages", "other"] as const;

const encoder = new TextEncoder();
const SECRETS = ["aaaaaaaaaaaaaaaaaaaa", "eyJeyJeyJeyJeyJeyJ", `${"-".repeat(60)}b`, `b${" ".repeat(60)}`];
const FORM_TYPE = "multipart/form-data; boundary=boundary";
const GUARD = new TokenGuard(SECRETS);
const redact = redactor(() => ["known-secret-0123456789"]);

/** Heads, names, addresses: at most 64 KiB reach the program. */
const NAMES: readonly Case[] = [
  ["a request's head: the target", (text) => parseRequestHead(`GET /${text} HTTP/1.1\r\nhost: x`)],
  ["a request's head: a field", (text) => parseRequestHead(`GET / HTTP/1.1\r\nhost: x\r\nx: ${text}`)],
  ["a request's head: fields", (text) => parseRequestHead(`GET / HTTP/1.1\r\n${text}`)],
  ["a reply's head: the reason", (text) => parseReplyHead(`HTTP/1.1 200 ${text}\r\na: b`)],
  ["a reply's head: a field", (text) => parseReplyHead(`HTTP/1.1 200 OK\r\na: ${text}`)],
  ["framing: Transfer-Encoding", (text) => requestFraming(headOf("transfer-encoding", text))],
  ["framing: Content-Length", (text) => requestFraming(headOf("content-length", text))],
  ["framing: Connection", (text) => isPersistent(headOf("connection", text))],
  [
    "a target",
    (text) =>
      readTarget({ method: "GET", headers: new HeaderFields([["host", "x"]]), target: `/v1/${text}` }),
  ],
  [
    "an absolute target",
    (text) => readTarget({ method: "GET", headers: new HeaderFields(), target: `http://${text}` }),
  ],
  [
    "a Host",
    (text) => readTarget({ method: "GET", headers: new HeaderFields([["host", text]]), target: "/v1/x" }),
  ],
  ["a path", (text) => pathProblem(`/v1/${text}`)],
  ["the kind of a path", (text) => endpointKind(`/v1/${text}/models/${text}`)],
  ["whether a path is a model's", (text) => mustNameModel("POST", `/v1/${text}`)],
  ["the model in any path", (text) => modelInPath(`/v1/${text}`)],
  ["the model in a path", (text) => classify(`/v1/models/${text}`, { contentType: null, bytes: null })],
  ["a Content-Type: boundary", (text) => multipartBoundary(`multipart/form-data${text}; boundary=${text}`)],
  ["a Content-Type: of a form or JSON", (text) => refuseContentType(`multipart/form-data; ${text}`)],
  ["the beginning of a stream", (text) => beginsLikeEvents(encoder.encode(text))],
  ["a Content-Type: of a stream", (text) => isEventStream(`${text}text/event-stream`)],
  ["an Accept-Language", (text) => chooseLanguage(`en${text}x`)],
  ["a Cookie", (text) => parseCookies(`a=${text}`, "oar_admin")],
  ["an X-Forwarded-For", (text) => proxies.clientIp("127.0.0.1", `${text}, 127.0.0.1`)],
  ["an Authorization", (text) => bearerToken(`bearer ${text}x`)],
  ["headers to an upstream", (text) => upstreamHeaders({ headers: fieldsOf(text) }, UPSTREAM, GUARD)],
  [
    "headers to a client",
    (text) => clientHeaders(fieldsOf(text), { ...ROUTER, mask: new SecretMask([SECRETS[2] ?? ""]) }),
  ],
  ["the URL at an upstream", (text) => upstreamUrl("https://h/v1?a=b", `/v1/${text}`, text)],
  ["a Retry-After", (text) => retryAfterMs(new HeaderFields([["retry-after", text]]), 0)],
  ["a glob", (text) => matchesGlob("*a*a*?b*", text)],
  ["a moment in a zone", (text) => parseMoment(text, { nowMs: 0, isEnd: true, zone: systemZone() })],
  ["a zone", (text) => zoneOf(text)],
  ["a number of attempts", (text) => parseCountRange(`>${text}`)],
  ["a duration", (text) => parseDuration(`5${text}`)],
  ["a moment", (text) => parseMoment(text, { nowMs: 0, isEnd: false })],
  ["an access line", (text) => logRequest(settledRecord({ model: text, path: text, method: text }), text)],
  ["a log line", (text) => getLog("x").error("{text} {error}", { text, error: new Error(text), sk: text })],
  ["an alert", (text) => raised({ ip: text, model: text, message: text })],
  ["metrics", (text) => metrics.requestSettled("chat", settledRecord({ model: text }), text)],
  ["a search", (text) => parseSearch(text)],
  ["a phrase", (text) => parseSearch(`"${text}"`)],
  ["a filter of records", (text) => QUERY_NAMES.map((name) => readQuery(queryOf(name, text), QUERY_OPTIONS))],
];

/** Bodies, and the recorded parts of them. */
const TEXTS: readonly Case[] = [
  [
    "a JSON body",
    (text) => classify("/v1/chat/completions", jsonBody(`{"a":"${text}`)),
  ],
  ["a JSON body of anything", (text) => classify("/v1/chat/completions", jsonBody(`{${text}`))],
  ["a JSON body to another model", (text) => renamed(`{"model":"a","b":${text}}`)],
  ["a JSON body in pieces", (text) => inPieces(encoder.encode(`{"a":"${text}`))],
  ["a JSON body of anything in pieces", (text) => inPieces(encoder.encode(text))],
  ["a body labelled as something else", (text) => mislabelled(encoder.encode(text))],
  ["a form that must be plain", (text) => formProblem(encoder.encode(text), FORM_TYPE, "boundary")],
  [
    "a form of parts that must be plain",
    (text) => formProblem(encoder.encode(`--boundary\r\n${formOf(text)}`), FORM_TYPE, "boundary"),
  ],
  ["a form", (text) => readFormParts(encoder.encode(text), "boundary")],
  ["a form's part", (text) => readFormParts(encoder.encode(`--boundary\r\n${text}\r\n\r\n`), "boundary")],
  ["a form with a boundary of dashes", (text) => readFormParts(encoder.encode(text), `${"-".repeat(198)}x`)],
  ["a form's parts", (text) => readFormParts(encoder.encode(formOf(text)), "boundary")],
  ["the text of a request", (text) => requestText(encoder.encode(text), "application/json", 2 ** 24)],
  ["events", (text) => parseEvents(text)],
  ["the data of an event", (text) => parseEvents(`data: ${text}`)],
  ...ENDPOINT_KINDS.flatMap((kind): Case[] => [
    [`a reply of ${kind}`, (text) => captured(text, { kind, isEventStream: false })],
    [`a stream of ${kind}`, (text) => captured(text, { kind, isEventStream: true })],
  ]),
  [
    "an error in a stream",
    (text) => captured(`data: {"error":{"message":${JSON.stringify(text)}}}\n\n`, STREAM),
  ],
  [
    "a delta",
    (text) => captured(`data: {"choices":[{"delta":{"content":${JSON.stringify(text)}}}]}\n\n`, STREAM),
  ],
  ["known secrets", (text) => redactSecrets(text, SECRETS)],
  ["known secrets, few beginnings", (text) => new SecretSet(SECRETS).redact(text)],
  ["known secrets, many beginnings", (text) => manySecrets.redact(text)],
  ["a mask of bytes", (text) => masked(encoder.encode(text))],
  ["forms of credentials", (text) => redact(text)],
  ["the words of a request", (text) => searchText({ ...SEARCHED, body: text })],
  ["the words of a message", (text) => searchText({ ...SEARCHED, body: messageOf(text) })],
  ["the words of a reply", (text) => searchText({ ...SEARCHED, response: text })],
  ["the words of a tool call", (text) => searchText({ ...SEARCHED, toolCalls: [callOf(text)] })],
  ["the passage of a hit", (text) => passages(text)],
  ["harmless text", (text) => harmless(text)],
  ["indented JSON", (text) => prettyJson(text)],
  ["a conversation", (text) => readConversation(messageOf(text))],
  ["a conversation of images", (text) => readConversation(imageOf(`data:${text}`))],
  ["a command that repeats a request", (text) => curlCommand(recordOf(text), "http://x")],
  ["a replay", (text) => toInbound({ ...recordOf(text), requestBytes: text.length }, CLOCK)],
  ["Markdown", (text) => parseMarkdown(text.slice(0, MAX_MARKDOWN_LENGTH))],
  ["pictures in a text", (text) => withoutImages(`data:image/png;base64,${text}`)],
  ["a picture in a text", (text) => imageInText(`data:image/png;base64,${text}`, 5)],
  ["the bytes of a picture", (text) => decodeImage(text)],
  ["a call of a tool", (text) => callText("f", text)],
  ["calls of tools", (text) => callsText(text)],
  ["what an error says", (text) => errorSentence(`{"error":{"message":"${text}`)],
  ["what was asked", (text) => promptStart(messageOf(text), { isWhole: true })],
  [
    "what was asked, by the end",
    (text) => promptStart(`${text}"role":"user"`.slice(-32 * KIB), { isWhole: false }),
  ],
  ["a line of CSV", (text) => csvLine(viewRecord(recordOf(text), { nameOf: () => text }))],
  ["an example for fine-tuning", (text) => toFinetuneExample(recordOf(messageOf(text)))],
  ["a table", (text) => formatTable([text + "wide".repeat(40)], { columns: [COLUMN], width: 80 })],
];

const KIB = 1024;
const LENGTHS: readonly (readonly [readonly Case[], number])[] = [[NAMES, 64 * KIB], [TEXTS, 1024 * KIB]];

for (const [cases, length] of LENGTHS) {
  for (const [name, run] of cases) {
    Deno.test(`worst case, ${length / KIB} KiB: ${name}`, () => {
      const quietly = (text: string): void => {
        try {
          run(text);
        } catch {
          // A refusal is also an answer.
        }
      };
      const plain = plainMs(quietly, plainText, length);
      const slow = [...WORST_TEXTS].flatMap(([what, make]) => {
        const problem = superlinear(quietly, { length, make, plainMs: plain });
        return problem === null ? [] : [`${what}: ${problem}`];
      });
      assert.deepEqual(slow, []);
    });
  }
}

Deno.test("worst case: a search for many equal words in a text that consists of them", () => {
  const query = `"${"a ".repeat(450)}b"`;
  const pattern = termPattern(parseSearch(query));
  assert.ok(pattern !== null);
  const run = (text: string) => void hitPassage({ request: "", reply: text }, pattern);
  const words = (length: number) => "a ".repeat(length / 2);
  const plain = plainMs(run, plainText, 128 * KIB);
  assert.equal(superlinear(run, { length: 128 * KIB, make: words, plainMs: plain }), null);
});

Deno.test("worst case: the tokenizer of the index", () => {
  const index = new MemoryIndex();
  const run = (text: string) => {
    index.add(1, { request: text, reply: "" });
    index.takeMatching('"a"');
  };
  try {
    const plain = plainMs(run, plainText, 512 * KIB);
    for (const [what, make] of WORST_TEXTS) {
      assert.equal(superlinear(run, { length: 512 * KIB, make, plainMs: plain }), null, what);
    }
  } finally {
    index.close();
  }
});

const proxies = new TrustedProxies([{ address: "127.0.0.1", prefix: 8 }]);
const UPSTREAM = { sk: "asis", endpoint: "https://h/v1", authStyle: null };
const ROUTER = { requestId: "x", upstreamName: null, attempts: 1 };
const QUERY_OPTIONS = { m: en, nowMs: 0, zone: systemZone(), upstreams: [] };
const SEARCHED = { body: null, response: null, reasoning: null, toolCalls: [] };
const STREAM = { kind: "chat", isEventStream: true } as const;
const CLOCK = { now: () => 0, monotonic: () => 0 };
const COLUMN = { title: "x", cell: (text: string) => text, isFlexible: true };
const manySecrets = new SecretSet([...SECRETS, ..."cdefghij".split("").map((letter) => letter.repeat(20))]);
const metrics = new Metrics({ version: "1", deno: "2", databaseBytes: () => 0 });
configureLogging({ format: "json", level: "info", secrets: () => SECRETS, write: () => {} });
const notifier = new AlertNotifier({
  channels: [{ name: "none", send: () => Promise.resolve() }],
  clock: new FakeClock(0),
  redact,
});

function raised(texts: { readonly ip: string; readonly model: string; readonly message: string }): void {
  notifier.raise({ type: "request_failed", status: 502, requestId: "x", ...texts });
  notifier.raise({ type: "upstream_down", upstream: texts.model, reason: texts.message });
}

function headOf(name: string, value: string) {
  return { method: "POST", target: "/", isHttp10: false, headers: new HeaderFields([[name, value]]) };
}

function fieldsOf(text: string): HeaderFields {
  return new HeaderFields([["connection", text], ["authorization", `Bearer ${text}`], ["x-title", text]]);
}

function queryOf(name: string, text: string): URLSearchParams {
  return new URLSearchParams([[name, text]]);
}

function formOf(text: string): string {
  const head = `content-disposition: form-data; name="a"${text.slice(0, 3_000)}\r\ncontent-type: ${
    text.slice(0, 5_000)
  }x`;
  return `--boundary\r\n${head}\r\n\r\nx\r\n`.repeat(text.length / 8_100) + "--boundary--";
}

/** With the most restrictive filter. */
function jsonBody(text: string): Parameters<typeof classify>[1] {
  return { contentType: "application/json", bytes: encoder.encode(text), text, isStrict: true };
}

function renamed(text: string): void {
  const { modelPlace } = classify("/v1/chat/completions", jsonBody(text));
  if (modelPlace !== null) withModel(encoder.encode(text), modelPlace, "b");
}

function inPieces(bytes: Uint8Array): void {
  const pieces = new JsonPieces({ isStrict: true });
  for (let at = 0; at < bytes.length; at += 4096) pieces.push(bytes.subarray(at, at + 4096));
  pieces.end();
}

function mislabelled(bytes: Uint8Array): void {
  for (
    const contentType of ["audio/wav", "application/x-www-form-urlencoded", "application/json; charset=x"]
  ) {
    readFields({ contentType, bytes, isStrict: true });
  }
}

function parseEvents(text: string): void {
  const parser = new EventStreamParser({ onEvent: () => {} });
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += 4096) parser.push(bytes.subarray(at, at + 4096));
  parser.end();
}

function captured(
  text: string,
  options: Pick<Parameters<typeof createCapture>[0], "kind" | "isEventStream">,
): void {
  const contentType = options.isEventStream ? "text/event-stream" : "application/json";
  const capture = createCapture({ ...options, contentType, status: 200 });
  const bytes = encoder.encode(text);
  for (let at = 0; at < bytes.length; at += 16_384) capture.push(bytes.subarray(at, at + 16_384));
  capture.partial();
  capture.finish(true);
}

function masked(bytes: Uint8Array<ArrayBuffer>): void {
  for (const secret of SECRETS) {
    const mask = new SecretMask([secret]);
    for (let at = 0; at < bytes.length; at += 1024) mask.push(bytes.subarray(at, at + 1024));
    mask.flush();
    new SecretMask([secret]).maskWithin(bytes);
  }
}

function passages(text: string): void {
  for (const query of ["a b", '"a a a b"', "\u4f60\u597d", "\u0301\u0316", "eyj"]) {
    const pattern = termPattern(parseSearch(query));
    if (pattern !== null) hitPassage({ request: text.slice(0, 128 * KIB), reply: "" }, pattern);
  }
}

function messageOf(text: string): string {
  return JSON.stringify({ messages: [{ role: "user", content: text }] });
}

function imageOf(url: string): string {
  return JSON.stringify({
    messages: [{ role: "user", content: [{ type: "image_url", image_url: { url } }] }],
  });
}

function callOf(text: string) {
  return { id: null, name: "f", arguments: text };
}

function recordOf(text: string) {
  return storedRecord(1, { body: text, response: text, model: text, toolCalls: [callOf(text)] });
}
