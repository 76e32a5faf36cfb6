/**
 * Every field that a client or an upstream sets, in every language, at 0, 1 and 64 KiB, and with every control character.
 * Prints a table: field, expected, statuses seen.
 *
 * Asserts only what must always hold, see outside_stage.ts: a status of the right class, and nothing broken,
 * leaked or forged.
 */
import { FaultTable } from "../support/fault_table.ts";
import { type OutsideField, OutsideStage } from "../support/outside_stage.ts";
import { asJson, asPercent, OUTSIDE_VALUES } from "../support/outside_values.ts";
import { TEST_TOKEN } from "../support/router.ts";

const AUTHORIZATION = `authorization: Bearer ${TEST_TOKEN}\r\n`;
const CLOSE = "connection: close\r\n";

/** A request without a body; `line` and `fields` contain the tested value. */
function get(target: string, fields: string, method = "GET"): string {
  return `${method} ${target} HTTP/1.1\r\n${fields}${CLOSE}\r\n`;
}

function post(path: string, type: string, body: string, fields = AUTHORIZATION): string {
  return `POST ${path} HTTP/1.1\r\nhost: router.example\r\n${fields}${CLOSE}content-type: ${type}\r\n` +
    `content-length: ${body.length}\r\n\r\n${body}`;
}

const HOST = "host: router.example\r\n";

const CLIENT_HEADERS = [
  "accept",
  "accept-encoding",
  "accept-language",
  "anthropic-version",
  "baggage",
  "cache-control",
  "content-encoding",
  "cookie",
  "forwarded",
  "http-referer",
  "idempotency-key",
  "if-none-match",
  "openai-organization",
  "origin",
  "range",
  "referer",
  "traceparent",
  "upgrade",
  "user-agent",
  "via",
  "x-forwarded-for",
  "x-request-id",
  "x-stainless-lang",
  "x-title",
];

const BOUNDARY = "outside-boundary";

/** A form of two parts. */
function form({ name = "model", fileName = "a.wav", model = "whisper-1", partType = "audio/wav" }): string {
  const body = `--${BOUNDARY}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${model}\r\n` +
    `--${BOUNDARY}\r\ncontent-disposition: form-data; name="file"; filename="${fileName}"\r\n` +
    `content-type: ${partType}\r\n\r\nRIFF\r\n--${BOUNDARY}--\r\n`;
  return post("/v1/audio/transcriptions", `multipart/form-data; boundary=${BOUNDARY}`, body);
}

function chat(fields: string): string {
  return post("/v1/chat/completions", "application/json", `{${fields}}`);
}

const MESSAGES = '"messages":[{"role":"user","content":"hi"}]';

const CLIENT_FIELDS: readonly OutsideField[] = [
  { name: "method", request: (bytes) => get("/v1/models", HOST + AUTHORIZATION, bytes) },
  { name: "path", request: (bytes) => get(`/v1/files/${bytes}`, HOST + AUTHORIZATION) },
  { name: "path, percent-encoded", request: (bytes) => get(`/v1/${asPercent(bytes)}`, HOST + AUTHORIZATION) },
  { name: "name in the query", request: (bytes) => get(`/v1/models?${bytes}=1`, HOST + AUTHORIZATION) },
  { name: "value in the query", request: (bytes) => get(`/v1/models?q=${bytes}`, HOST + AUTHORIZATION) },
  {
    name: "value in the query, percent-encoded",
    request: (bytes) => get(`/v1/models?q=${asPercent(bytes)}`, HOST + AUTHORIZATION),
  },
  { name: "version", request: (bytes) => `GET /v1/models HTTP/1.1${bytes}\r\n${HOST}${CLOSE}\r\n` },
  { name: "host", request: (bytes) => get("/v1/models", `host: ${bytes}\r\n${AUTHORIZATION}`) },
  { name: "header name", request: (bytes) => get("/v1/models", `${HOST}${AUTHORIZATION}x-${bytes}: 1\r\n`) },
  {
    name: "connection",
    request: (bytes) => get("/v1/models", `${HOST}${AUTHORIZATION}connection: ${bytes}\r\n`),
  },
  ...CLIENT_HEADERS.map((name) => ({
    name,
    request: (bytes: string) => get("/v1/models", `${HOST}${AUTHORIZATION}${name}: ${bytes}\r\n`),
  })),
  {
    name: "user-agent, with a body",
    request: (bytes) => post("/v1/x", "text/plain", "x", `${AUTHORIZATION}user-agent: ${bytes}\r\n`),
  },
  { name: "content-type", request: (bytes) => post("/v1/chat/completions", bytes, `{${MESSAGES}}`) },
  {
    name: "content-type's parameter",
    request: (bytes) => post("/v1/audio/transcriptions", `multipart/form-data; boundary=${bytes}`, "--x--"),
  },
  ...["authorization: Bearer ", "authorization: ", "authorization: Basic ", "x-api-key: ", "api-key: "].map((
    name,
  ) => ({
    name: `credential, ${name}`,
    request: (bytes: string) => get("/v1/models", `${HOST}${name}${bytes}\r\n`),
  })),
  {
    name: "x-api-key beside the token",
    request: (bytes) => get("/v1/models", `${HOST}${AUTHORIZATION}x-api-key: ${bytes}\r\n`),
  },
  { name: "model", request: (bytes) => chat(`"model":${asJson(bytes)},${MESSAGES}`) },
  { name: "model, as it is", request: (bytes) => chat(`"model":"${bytes}",${MESSAGES}`) },
  {
    name: "model of a stream",
    request: (bytes) => chat(`"stream":true,"model":${asJson(bytes)},${MESSAGES}`),
  },
  { name: "name in the body", request: (bytes) => chat(`"model":"m",${asJson(bytes)}:1,${MESSAGES}`) },
  {
    name: "prompt",
    request: (bytes) => chat(`"model":"m","messages":[{"role":"user","content":${asJson(bytes)}}]`),
  },
  { name: "user", request: (bytes) => chat(`"model":"m","user":${asJson(bytes)},${MESSAGES}`) },
  {
    name: "tool's name",
    request: (bytes) =>
      chat(`"model":"m",${MESSAGES},"tools":[{"type":"function","function":{"name":${asJson(bytes)}}}]`),
  },
  {
    name: "a body that is not JSON",
    request: (bytes) => post("/v1/chat/completions", "application/json", bytes),
  },
  { name: "a body of plain text", request: (bytes) => post("/v1/things", "text/plain", bytes) },
  { name: "form: field's name", request: (bytes) => form({ name: bytes }) },
  { name: "form: model", request: (bytes) => form({ model: bytes }) },
  { name: "form: file's name", request: (bytes) => form({ fileName: bytes }) },
  { name: "form: part's type", request: (bytes) => form({ partType: bytes }) },
  {
    name: "chunk extension and trailer",
    request: (bytes) =>
      `POST /v1/x HTTP/1.1\r\n${HOST}${AUTHORIZATION}${CLOSE}transfer-encoding: chunked\r\n\r\n` +
      `1;x=${bytes}\r\na\r\n0\r\nx-trailer: ${bytes}\r\n\r\n`,
  },
];

/** The upstream answers every request with a 200: any other status is a refusal of the router. */
function isClientsFault(status: number): boolean {
  return (status >= 200 && status < 300) || (status >= 400 && status < 500) || status === 501 ||
    status === 505;
}

Deno.test("no field of a client breaks, forges or leaks anything", async (t) => {
  const table = new FaultTable("fields of clients", t);
  await using stage = await OutsideStage.start("text");
  for (const field of CLIENT_FIELDS) {
    await table.case(field.name, "held", async () => `held: ${await stage.check(field, isClientsFault)}`);
  }
  await table.case("the records", "readable", async () => `readable: ${await stage.checkRecords()}`);
  table.print();
});

/** A reply with a complete head. */
function reply(fields: string, body: string, statusLine = "HTTP/1.1 200 OK"): string {
  return `${statusLine}\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`;
}

const JSON_TYPE = "content-type: application/json\r\n";

function events(text: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n` +
    `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`;
}

const CONTENT_EVENT = 'data: {"choices":[{"index":0,"delta":{"content":"hi"}}]}\n\n';

function completion(
  fields: string,
  message = '"role":"assistant","content":"hi"',
  choice = '"finish_reason":"stop"',
): string {
  return reply(JSON_TYPE, `{${fields}"choices":[{"index":0,"message":{${message}},${choice}}]}`);
}

const REPLY_HEADERS = [
  "anthropic-ratelimit-requests-reset",
  "cache-control",
  "connection",
  "content-disposition",
  "content-encoding",
  "content-type",
  "date",
  "etag",
  "location",
  "openai-processing-ms",
  "retry-after",
  "retry-after-ms",
  "server",
  "set-cookie",
  "vary",
  "www-authenticate",
  "x-ratelimit-remaining-tokens",
  "x-request-id",
  "x-should-retry",
  "x-word",
];

const UPSTREAM_FIELDS:
  readonly (readonly [name: string, reply: (bytes: string) => string, isStream?: boolean])[] = [
    ["status line's reason", (bytes) => reply(JSON_TYPE, "{}", `HTTP/1.1 200 ${bytes}`)],
    ["version", (bytes) => reply(JSON_TYPE, "{}", `HTTP/1.1${bytes} 200 OK`)],
    ["header's name", (bytes) => reply(`${JSON_TYPE}x-${bytes}: 1\r\n`, "{}")],
    ...REPLY_HEADERS.map((name) => [name, (bytes: string) => reply(`${name}: ${bytes}\r\n`, "{}")] as const),
    [
      "a header of a failure",
      (bytes) => reply(`${JSON_TYPE}x-word: ${bytes}\r\n`, "{}", "HTTP/1.1 429 Slow"),
    ],
    ["a header without a body", (bytes) => `HTTP/1.1 204 No Content\r\nx-word: ${bytes}\r\n\r\n`],
    ["chunk extension", (bytes) => events("").replace("\r\n0\r\n\r\n", `\r\n0;x=${bytes}\r\n\r\n`)],
    ["body", (bytes) => reply("content-type: text/plain\r\n", bytes)],
    ["body that is no JSON", (bytes) => reply(JSON_TYPE, bytes)],
    ["id", (bytes) => completion(`"id":${asJson(bytes)},`)],
    ["model", (bytes) => completion(`"model":${asJson(bytes)},`)],
    ["content", (bytes) => completion("", `"role":"assistant","content":${asJson(bytes)}`)],
    ["refusal", (bytes) => completion("", `"role":"assistant","refusal":${asJson(bytes)}`)],
    ["finish_reason", (bytes) => completion("", '"content":"hi"', `"finish_reason":${asJson(bytes)}`)],
    [
      "tool call's name, id and arguments",
      (bytes) => {
        const text = asJson(bytes);
        return completion(
          "",
          `"tool_calls":[{"id":${text},"function":{"name":${text},"arguments":${text}}}]`,
        );
      },
    ],
    [
      "error message",
      (bytes) => reply(JSON_TYPE, `{"error":{"message":${asJson(bytes)}}}`, "HTTP/1.1 400 Bad"),
    ],
    [
      "error's type and code",
      (bytes) =>
        reply(JSON_TYPE, `{"error":{"type":${asJson(bytes)},"code":${asJson(bytes)}}}`, "HTTP/1.1 429 Slow"),
    ],
    ["error in a success", (bytes) => reply(JSON_TYPE, `{"error":{"message":${asJson(bytes)}}}`)],
    ["error in plain text", (bytes) => reply("content-type: text/html\r\n", bytes, "HTTP/1.1 503 Gone")],
    ["event's data", (bytes) => events(`${CONTENT_EVENT}data: ${bytes}\n\ndata: [DONE]\n\n`), true],
    ["event's name", (bytes) => events(`event: ${bytes}\n${CONTENT_EVENT}data: [DONE]\n\n`), true],
    [
      "event's id and retry",
      (bytes) => events(`id: ${bytes}\nretry: ${bytes}\n${CONTENT_EVENT}data: [DONE]\n\n`),
      true,
    ],
    ["comment", (bytes) => events(`: ${bytes}\n\n${CONTENT_EVENT}data: [DONE]\n\n`), true],
    [
      "delta",
      (bytes) =>
        events(
          `data: {"model":${asJson(bytes)},"choices":[{"delta":{"content":${
            asJson(bytes)
          }}}]}\n\ndata: [DONE]\n\n`,
        ),
      true,
    ],
    ["error event", (bytes) => events(`data: {"error":{"message":${asJson(bytes)}}}\n\n`), true],
    [
      "error after content",
      (bytes) => events(`${CONTENT_EVENT}event: error\ndata: ${asJson(bytes)}\n\n`),
      true,
    ],
  ];

/** The router's own statuses must not occur; the upstream's own and those for a failed upstream may. */
function isUpstreamsFault(status: number): boolean {
  return [200, 204, 400, 429, 502, 503].includes(status);
}

Deno.test("no field of an upstream breaks, forges or leaks anything", async (t) => {
  const table = new FaultTable("fields of upstreams", t);
  await using stage = await OutsideStage.start("json");
  for (const [name, answer, isStream = false] of UPSTREAM_FIELDS) {
    stage.replies.clear();
    OUTSIDE_VALUES.forEach(({ bytes }, place) => stage.replies.set(place, answer(bytes)));
    const field: OutsideField = {
      name,
      request: (_bytes, place) =>
        post(
          `/v1/chat/completions?place=${place}`,
          "application/json",
          `{"model":"m","stream":${isStream},${MESSAGES}}`,
        ),
    };
    await table.case(name, "held", async () => `held: ${await stage.check(field, isUpstreamsFault)}`);
  }
  await table.case("the records", "readable", async () => `readable: ${await stage.checkRecords()}`);
  table.print();
});
