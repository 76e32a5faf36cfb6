/**
 * What readers of HTTP requests disagree about, as changes to a valid request.
 *
 * Pure. Text is Latin-1: one character per byte.
 */
import { chunked, type ChunkOddities } from "./chunked.ts";
import { type Random, utf8 } from "./random.ts";

/** A request under construction. */
export interface Draft {
  method: string;
  target: string;
  version: string;
  readonly fields: [name: string, value: string][];
  body: string;
  /** The body before framing. */
  content: string;
  lineEnd: string;
}

type Quirk = (draft: Draft, random: Random) => void;

/** Chunk syntax that readers may interpret differently. */
export const ODDITIES: ChunkOddities = {
  lineEnds: ["\n", "\r", "", "\r\n\r\n", " \r\n"],
  sizeLines: [
    (hex) => `00${hex}\r\n`,
    (hex) => `${"0".repeat(20)}${hex}\r\n`,
    (hex) => `0x${hex}\r\n`,
    (hex) => `+${hex}\r\n`,
    (hex) => `-${hex}\r\n`,
    (hex) => `${hex}_\r\n`,
    (hex) => ` ${hex}\r\n`,
    (hex) => `${hex} \r\n`,
    (hex) => `${hex}\t\r\n`,
    (hex) => `${hex}\x0b\r\n`,
    (hex) => `${hex}\n`,
    (hex) => `${hex}\r`,
    (hex) => `${hex};name\r\n`,
    (hex) => `${hex};name=value;other="quoted"\r\n`,
    (hex) => `${hex};name="\r\n`,
    (hex) => `${hex};\n\r\n`,
    (hex) => `${hex};a\nb\r\n`,
    (hex) => `${hex};\x00\r\n`,
    (hex) => `${hex};\xff\r\n`,
    (hex) => `${hex};${"e".repeat(2000)}\r\n`,
    (hex) => `${hex},\r\n`,
    (hex) => `1${"0".repeat(15)}${hex}\r\n`,
    (hex) => `${hex.toUpperCase()}\r\n`,
    () => "\r\n",
    () => "z\r\n",
  ],
  lastChunks: [
    "000\r\n\r\n",
    "0;name=value\r\n\r\n",
    "0 \r\n\r\n",
    "0x0\r\n\r\n",
    "0\n\n",
    "0\r\n",
    "0\r\n\n",
    "",
    "0\r\nTrailer-Word: w\r\n\r\n",
    "0\r\nContent-Length: 40\r\n\r\n",
    "0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "0\r\nHost: other.example\r\n\r\n",
    "0\r\n folded: x\r\n\r\n",
    "0\r\nno colon\r\n\r\n",
    "0\r\nbad name : x\r\n\r\n",
    `0\r\nTrailer-Word: ${"t".repeat(20_000)}\r\n\r\n`,
  ],
};

/** The framing field, added when missing. */
function framingField(draft: Draft): [name: string, value: string] {
  const found = draft.fields.find(([name]) => name === "Content-Length" || name === "Transfer-Encoding");
  if (found !== undefined) return found;
  const field: [string, string] = ["Content-Length", "0"];
  draft.fields.push(field);
  return field;
}

const LENGTHS: readonly ((length: number) => string)[] = [
  (length) => String(length + 1),
  (length) => String(Math.max(0, length - 1)),
  () => "0",
  (length) => `0${length}`,
  (length) => `+${length}`,
  (length) => `-${length}`,
  (length) => `${length}.0`,
  (length) => `${length}e0`,
  (length) => `0x${length.toString(16)}`,
  (length) => `"${length}"`,
  (length) => `${length},${length}`,
  (length) => `${length}, ${length + 1}`,
  (length) => `${length};a=b`,
  (length) => `${length} ${length}`,
  (length) => `${length}\x0b`,
  (length) => `\x0c${length}`,
  (length) => `${length}\xa0`,
  (length) => `\t${length}\t`,
  (length) => `${length}\r\n `,
  (length) => `\r\n ${length}`,
  (length) => String(2 ** 32 + length),
  (length) => String(2n ** 64n + BigInt(length)),
  () => "",
  () => "chunked",
];

const ENCODINGS: readonly string[] = [
  "Chunked",
  "CHUNKED",
  "\tchunked",
  "chunked\t",
  "chunked ",
  "chunked\x0b",
  "\x0cchunked",
  "chunked\xa0",
  "chunked\x00",
  "chunked,",
  ", chunked",
  "chunked, chunked",
  "chunked,identity",
  "identity",
  "identity,chunked",
  "gzip, chunked",
  "xchunked",
  "chunked-not",
  "chunked;q=0.5",
  '"chunked"',
  "chun ked",
  "chunked\r\n ",
  "\r\n chunked",
  "",
];

const SPELLINGS: readonly ((name: string) => string)[] = [
  (name) => name.toLowerCase(),
  (name) => name.toUpperCase(),
  (name) => `${name} `,
  (name) => `${name}\t`,
  (name) => ` ${name}`,
  (name) => `\t${name}`,
  (name) => `${name}\x00`,
  (name) => `${name}\x0b`,
  (name) => `\xa0${name}`,
  (name) => name.replace("-", "_"),
  (name) => name.replace("-", "\xad"),
  (name) => `X-Before: 1\r${name}`,
  (name) => `X-Before: 1\n${name}`,
  (name) => `X-Before: 1\r\n ${name}`,
  (name) => `${name}:`,
];

const FRAMING: readonly Quirk[] = [
  (draft, random) => framingField(draft)[1] = random.pick(LENGTHS)(draft.content.length),
  (draft, random) => framingField(draft)[1] = random.pick(ENCODINGS),
  (draft, random) => {
    const field = framingField(draft);
    field[0] = random.pick(SPELLINGS)(field[0]);
  },
  (draft, random) => draft.fields.push(["Content-Length", random.pick(LENGTHS)(draft.content.length)]),
  (draft) => draft.fields.push(["Content-Length", String(draft.content.length)]),
  (draft, random) => draft.fields.unshift(["Content-Length", String(random.below(30))]),
  (draft, random) => draft.fields.push(["Transfer-Encoding", random.pick(["chunked", ...ENCODINGS])]),
  (draft, random) => draft.fields.unshift(["Transfer-Encoding", random.pick(["chunked", ...ENCODINGS])]),
  (draft, random) => draft.fields.push([random.pick(SPELLINGS)("Transfer-Encoding"), "chunked"]),
  (draft) => draft.fields.push(["Connection", "Content-Length, Transfer-Encoding"]),
  (draft, random) => {
    draft.body = chunked(draft.content, random, ODDITIES);
    const field = framingField(draft);
    field[0] = "Transfer-Encoding";
    field[1] = "chunked";
  },
  (draft) => draft.body += "0\r\n\r\n",
  (draft) => draft.body += "\r\n",
];

const LINES: readonly Quirk[] = [
  (draft) => draft.lineEnd = "\n",
  (draft) => draft.lineEnd = "\r",
  (draft) => draft.lineEnd = "\r\r\n",
  (draft, random) => draft.method = random.pick(["\r\n", "\n", "\r\n\r\n", " ", "\t"]) + draft.method,
  (draft, random) => draft.method += random.pick([" ", "\t", "\x0b", ""]),
  (draft, random) => draft.target += random.pick([" ", "\t", " x", "\xa0"]),
  (draft, random) => draft.fields.push([random.pick(["X-Line", ""]), "1\r\n\t2"]),
  (draft) => draft.fields.unshift(["X-First\r\n ", "1"]),
  (draft) => draft.fields.push(["X-No-Colon\r\nX-Line", "1"]),
];

const FIELDS: readonly Quirk[] = [
  (draft, random) =>
    draft.fields.push(["X-Title", utf8(random.pick(["Café", "é".repeat(26), "标题", "🦜 🦜"]))]),
  (draft, random) => draft.fields.push(["X-Title", "\xe9".repeat(1 + random.below(40))]),
  (draft, random) => draft.fields.push(["X-Word", `a${String.fromCharCode(random.below(0x20))}b`]),
  (draft, random) => draft.fields.push(["X-Word", random.pick(["\x7f", "\x80\x9f", "", "\t", "a\tb", '"'])]),
  (draft, random) =>
    draft.fields.push([random.pick(["X Word", "X-(Word)", "X-W\xe9", "@", "X/W", "X;W", '"X"', ""]), "1"]),
  (draft, random) => draft.fields.push([`X-${"n".repeat(random.below(3000))}`, "1"]),
  (draft, random) => draft.fields.push(["X-Long", "v".repeat(random.below(6000))]),
  (draft, random) =>
    draft.fields.push([
      "Expect",
      random.pick(["100-continue", "100-Continue", "200-ok", "100-continue, x", ""]),
    ]),
  (draft, random) =>
    draft.fields.push([
      "Connection",
      random.pick([
        "close",
        "Close",
        "keep-alive",
        "close, x",
        "x-title",
        "Host",
        "closed",
        '"close"',
        "authorization",
      ]),
    ]),
  (draft, random) =>
    draft.fields.push(["Upgrade", random.pick(["h2c", "websocket", "TLS/1.0"])], ["Connection", "Upgrade"]),
  (draft) => draft.fields.push(["Host", "second.example"]),
  (draft, random) => {
    draft.fields.shift();
    const host = random.pick([
      "",
      "a b",
      "a,b",
      "a/b",
      "a@b",
      "[::1]:80",
      "a:b:c",
      "%",
      "\xe9",
      "a\x00b",
      "a:99999",
    ]);
    draft.fields.unshift(["Host", host]);
  },
  (draft) => draft.fields.shift(),
  (draft, random) => draft.fields.push(["Trailer", random.pick(["X-Word", "Content-Length"])]),
  (draft) => draft.fields.push(["TE", "trailers, chunked"]),
  (draft, random) => draft.fields.sort(() => random.next() - 0.5),
];

const METHODS = [
  "get",
  "Post",
  "HEAD",
  "DELETE",
  "QUERY",
  "M-SEARCH",
  "PRI",
  "PROPFIND",
  "G\xcbT",
  "G(T",
  "X".repeat(50),
];
const VERSIONS = [
  "HTTP/1.0",
  "HTTP/1.2",
  "HTTP/1.9",
  "HTTP/2.0",
  "HTTP/0.9",
  "HTTP/1.10",
  "HTTP/01.1",
  "HTTP/1",
  "http/1.1",
  "HTTP/1.1 ",
  "HTTPS/1.1",
  "HTTP/1,1",
  "",
];

const START_LINE: readonly Quirk[] = [
  (draft, random) => draft.method = random.pick(METHODS),
  (draft, random) => draft.version = random.pick(VERSIONS),
  (draft, random) =>
    draft.target += random.pick([
      "?a=b",
      "?a=%00",
      "?",
      "?x=/../y",
      "#part",
      "?a=b#part",
      "%00",
      "%zz",
      ";v=1",
      "/",
      "//",
      "|{}^`",
      '"<>',
    ]),
  (draft, random) =>
    draft.target += random.pick(["\xe9", "?q=\xc3\xa9", "\x80", "\xff#", "\x01", "\x7f", "\x0b", "\x00"]),
  (draft, random) =>
    draft.target += random.pick([
      "/..",
      "/../x",
      "/./x",
      "/%2e%2e/x",
      "/..%2fx",
      "\\..\\x",
      "/..;/x",
      "%2F..%2Fx",
    ]),
  (draft, random) =>
    draft.target = random.pick([
      "http://a",
      "HTTP://a:80",
      "http://u:p@a",
      "https://a",
      "ftp://a",
      "//a",
      "a",
      "http:/",
      "http://a?",
    ]) + draft.target,
  (draft, random) => draft.target = random.pick(["*", "/", "", "/v1", "http://a", "?", "#"]),
];

/** Repeated entries are more likely. */
export const FAMILIES: readonly (readonly Quirk[])[] = [
  FRAMING,
  FRAMING,
  FRAMING,
  LINES,
  FIELDS,
  FIELDS,
  START_LINE,
  START_LINE,
];
