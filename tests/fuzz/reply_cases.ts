/**
 * Almost valid replies: complete ones with a few quirks of kinds that confuse clients.
 *
 * Pure. Text is Latin-1: one character per byte.
 */
import { chunked, type ChunkOddities } from "./chunked.ts";
import { Random, utf8 } from "./random.ts";

export interface ReplyCase {
  readonly number: number;
  readonly method: "GET" | "HEAD" | "POST";
  /** Below `/v1`, without a query. */
  readonly path: string;
  readonly isStream: boolean;
  /** What the upstream sends, in pieces. */
  readonly pieces: readonly string[];
  /** Whether the upstream then ends the connection. */
  readonly ends: boolean;
  /** Bytes that the upstream sends after the next request on the connection, before its answer. */
  readonly late: string;
}

interface Draft {
  readonly method: ReplyCase["method"];
  statusLine: string;
  readonly fields: [name: string, value: string][];
  content: string;
  body: string;
  before: string;
  after: string;
  ends: boolean;
}

type Quirk = (draft: Draft, random: Random) => void;

const PATHS = [
  "chat/completions",
  "chat/completions",
  "completions",
  "responses",
  "messages",
  "embeddings",
  "models",
  "files/f1/content",
  "audio/speech",
];

/** Marks smuggled second replies; no client may ever get it. */
export const POISON = "POISON";

export function replyCase(seed: number, number: number): ReplyCase {
  const random = new Random(seed, number);
  const method = random.pick(["GET", "POST", "POST", "POST", "HEAD"] as const);
  const draft = draftOf(random, method);
  for (let quirks = random.pick([0, 1, 1, 1, 2, 2, 3]); quirks > 0; quirks--) {
    random.pick(random.pick(FAMILIES))(draft, random);
  }
  const head = draft.before + draft.statusLine + "\r\n" +
    draft.fields.map(([name, value]) => `${name}: ${value}\r\n`).join("") + "\r\n";
  let text = head + draft.body + draft.after;
  let late = "";
  // A broken upstream sends a body with a reply that has none; with HEAD, the client decides when.
  const isBodyless = method === "HEAD" || /^HTTP\/1\.1 (?:204|304)/.test(draft.statusLine);
  if (isBodyless && draft.body !== "" && random.isLucky(0.5)) {
    late = draft.body;
    text = head;
  }
  if (random.isLucky(0.1)) text = withFlaw(text, random);
  return {
    number,
    method,
    path: random.pick(PATHS),
    isStream: random.isLucky(0.4),
    // Split in the head only: bytes after a reply must arrive with its last bytes, or they are the next
    // reply.
    pieces: random.isLucky(0.6) ? [text] : inTwo(text, 1 + random.below(head.length - 1)),
    ends: draft.ends,
    late,
  };
}

function draftOf(random: Random, method: ReplyCase["method"]): Draft {
  const [type, content] = random.pick(CONTENTS)(random);
  const draft: Draft = {
    method,
    statusLine: `HTTP/1.1 ${
      random.pick(["200 OK", "200 OK", "200 OK", "200 OK", "201 Created", "400 Bad Request", "500 Oh"])
    }`,
    fields: [["Content-Type", type]],
    content,
    body: content,
    before: "",
    after: "",
    ends: random.isLucky(0.15),
  };
  const framing = random.pick(["length", "length", "chunked", "chunked", "until close"]);
  if (framing === "length") draft.fields.push(["Content-Length", String(content.length)]);
  else if (framing === "chunked") {
    draft.fields.push(["Transfer-Encoding", "chunked"]);
    draft.body = chunked(content, random, null);
  } else draft.ends = true;
  return draft;
}

const EVENTS =
  ["hello", " world"].map((word) => `data: {"choices":[{"index":0,"delta":{"content":"${word}"}}]}\n\n`)
    .join("") + "data: [DONE]\n\n";
const COMPLETION =
  '{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}';

const CONTENTS: readonly ((random: Random) => [type: string, content: string])[] = [
  () => ["application/json", COMPLETION],
  () => ["application/json", COMPLETION],
  () => ["application/json", utf8(COMPLETION.replace("hi", "café 🦜"))],
  () => ["text/event-stream", EVENTS],
  () => ["text/event-stream; charset=utf-8", EVENTS],
  () => ["application/json", '{"error":{"message":"no"}}'],
  () => ["text/plain", ""],
  () => ["application/octet-stream", "\x00\xff\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"],
  (random) => ["application/octet-stream", "o".repeat(100 + random.below(200_000))],
  (random) => ["application/json", `{"data":"${"d".repeat(120_000 + random.below(30_000))}"}`],
];

const ODDITIES: ChunkOddities = {
  lineEnds: ["\n", "", "X\r\n", "\r"],
  sizeLines: [
    (hex) => `0${hex}\r\n`,
    (hex) => `${hex};name=value\r\n`,
    (hex) => `${hex};name="a\x1b[2Jb"\r\n`,
    (hex) => `${hex};\xe9\r\n`,
    (hex) => `${hex};${"e".repeat(900)}\r\n`,
    (hex) => `${hex} \r\n`,
    (hex) => `0x${hex}\r\n`,
    (hex) => `+${hex}\r\n`,
    (hex) => `-${hex}\r\n`,
    (hex) => `${hex}\n`,
    (hex) => `${hex}0\r\n`,
    () => "ffffffffffffffff\r\n",
    () => "g\r\n",
    () => "\r\n",
  ],
  lastChunks: [
    "0\r\n",
    "00\r\n\r\n",
    "0;x\r\n\r\n",
    "0\r\nX-Trailer: t\r\n\r\n",
    "0\r\nContent-Length: 3\r\n\r\n",
    "0\r\nbad trailer\r\n\r\n",
    "0\n\n",
    "",
    "x",
  ],
};

const LENGTHS: readonly ((length: number) => string)[] = [
  (length) => String(length),
  (length) => String(length + 4),
  (length) => String(Math.max(0, length - 4)),
  () => "0",
  (length) => `-${length}`,
  (length) => `+${length}`,
  (length) => `0${length}`,
  (length) => `0x${length.toString(16)}`,
  (length) => `${length}, ${length}`,
  (length) => `${length},${length + 1}`,
  (length) => `${length}.5`,
  () => "9".repeat(25),
  () => "many",
  () => "",
];

function lengthField(draft: Draft): [name: string, value: string] {
  const found = draft.fields.find(([name]) => name === "Content-Length");
  if (found !== undefined) return found;
  const field: [string, string] = ["Content-Length", String(draft.content.length)];
  draft.fields.push(field);
  return field;
}

const FRAMING: readonly Quirk[] = [
  (draft, random) => lengthField(draft)[1] = random.pick(LENGTHS)(draft.content.length),
  (draft, random) => lengthField(draft)[1] = random.pick(LENGTHS)(draft.content.length),
  (draft, random) => draft.fields.push(["content-length", random.pick(LENGTHS)(draft.content.length)]),
  (draft, random) => draft.fields.unshift(["Content-Length", random.pick(LENGTHS)(draft.content.length)]),
  (draft, random) => {
    draft.body = chunked(draft.content, random, ODDITIES);
    draft.fields.push(["Transfer-Encoding", "chunked"]);
  },
  (draft, random) =>
    draft.fields.push([
      "Transfer-Encoding",
      random.pick([
        "chunked",
        "Chunked",
        "identity",
        "gzip, chunked",
        "chunked, chunked",
        "xchunked",
        "chunked;a",
        "",
      ]),
    ]),
  // A second reply within the first one's declared length, for readers that trust the other field.
  (draft) => {
    const inner = `hello${secondReply()}`;
    draft.fields.push(["Content-Length", "5"], ["Transfer-Encoding", "chunked"]);
    draft.body = `${inner.length.toString(16)}\r\n${inner}\r\n0\r\n\r\n`;
  },
];

function secondReply(): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${POISON.length}\r\n\r\n${POISON}`;
}

const ENDS: readonly Quirk[] = [
  (draft) => draft.ends = !draft.ends,
  (draft, random) => {
    draft.body = draft.body.slice(0, random.below(draft.body.length + 1));
    draft.ends = random.isLucky(0.9);
  },
  (draft, random) =>
    draft.after = random.pick([
      secondReply(),
      POISON,
      "\r\n",
      "0\r\n\r\n",
      "HTTP/1.1 200 OK\r\n",
      "HTTP/1.1 200 OK\r\n\r\n",
    ]),
  (draft, random) =>
    draft.fields.push(["Connection", random.pick(["close", "keep-alive", "Close, x-word", "upgrade"])]),
];

const STATUS_LINES = [
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
  "HTTP/1.1 205 Reset",
  "HTTP/1.1 206 Partial",
  "HTTP/1.1 301 Moved",
  "HTTP/1.1 101 Switching",
  "HTTP/1.1 100 Continue",
  "HTTP/1.1 199 Odd",
  "HTTP/1.1 099 Low",
  "HTTP/1.1 600 High",
  "HTTP/1.1 999 High",
  "HTTP/1.1 20 Short",
  "HTTP/1.1 2000 Long",
  "HTTP/1.1 -20 Minus",
  "HTTP/1.1 200",
  "HTTP/1.1 200 ",
  "HTTP/1.1 200 O\x00K",
  "HTTP/1.1 200 O\rK",
  "HTTP/1.1 200 \xe9\xe9",
  "HTTP/1.1  200 OK",
  "HTTP/1.1\t200\tOK",
  "HTTP/1.0 200 OK",
  "HTTP/1.2 200 OK",
  "HTTP/2 200 OK",
  "HTTP/0.9 200 OK",
  "http/1.1 200 OK",
  "ICY 200 OK",
  "200 OK",
  "",
  "HTTP/1.1 429 Slow",
  "HTTP/1.1 407 Proxy",
  "HTTP/1.1 503 Gone",
];

const HEADS: readonly Quirk[] = [
  (draft, random) => draft.statusLine = random.pick(STATUS_LINES),
  (draft, random) => draft.statusLine = random.pick(["HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"]),
  (draft, random) => {
    const interim = random.pick([
      "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n",
      "HTTP/1.1 102 Busy\r\n\r\n",
    ]);
    draft.before = interim.repeat(random.pick([1, 1, 2, 30]));
  },
  (draft, random) => draft.before = random.pick(["\r\n", "\r\n\r\n", "\n", "junk ", " "]),
];

const FIELDS: readonly Quirk[] = [
  (draft, random) => draft.fields.push(["X-Word", utf8(random.pick(["Café", "é".repeat(26), "标题", "🦜"]))]),
  (draft, random) => draft.fields.push(["X-Word", "\xe9".repeat(1 + random.below(60))]),
  (draft, random) => draft.fields.unshift(["X-Word", utf8("é".repeat(1 + random.below(60)))]),
  (draft, random) => draft.fields.push(["X-Word", `a${String.fromCharCode(random.below(0x20))}b`]),
  (draft, random) =>
    draft.fields.push([
      random.pick(["X Word", "X-W\xe9", "", "X-Word ", " X-Word", "X\x00", "X-Word\r\nNo-Colon"]),
      "1",
    ]),
  (draft, random) =>
    draft.fields.push(["X-Word", random.pick(["1\r\n folded", "\x7f", "a\nInjected: 1", "a\rInjected: 1"])]),
  (draft, random) => draft.fields.push(["X-Word", "w".repeat(random.pick([8_000, 70_000]))]),
  (draft, random) => {
    for (let count = random.pick([3, 140]); count > 0; count--) draft.fields.push([`X-${count}`, "1"]);
  },
  (draft, random) =>
    draft.fields.push(
      random.pick<[string, string]>([
        ["Date", "never"],
        ["Server", "x"],
        ["Set-Cookie", "a=b"],
        ["Content-Encoding", "gzip"],
        ["X-Oar-Attempts", "9"],
        ["X-Oar-Request-Id", "x"],
        ["Trailer", "X-Trailer"],
        ["Keep-Alive", "timeout=1"],
        ["Upgrade", "h2c"],
        ["Location", "http://other.example/"],
      ]),
    ),
  (draft) => draft.fields.push(["Date", "a"], ["Date", "b"]),
];

const FAMILIES: readonly (readonly Quirk[])[] = [FRAMING, FRAMING, ENDS, HEADS, FIELDS, FIELDS];

function withFlaw(text: string, random: Random): string {
  const at = random.below(Math.min(text.length, 500));
  const byte = random.pick(["", "\x00", "\r", "\n", " ", ":", "\xff", "\x7f"]);
  return text.slice(0, at) + byte + text.slice(random.isLucky(0.5) ? at : at + 1);
}

function inTwo(text: string, at: number): string[] {
  return [text.slice(0, at), text.slice(at)].filter((piece) => piece !== "");
}
