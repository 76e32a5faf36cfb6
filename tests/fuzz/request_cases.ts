/**
 * Almost valid requests: complete ones with a few quirks of kinds that readers disagree about.
 *
 * Pure. Text is Latin-1: one character per byte.
 */
import { chunked } from "./chunked.ts";
import { Random, utf8 } from "./random.ts";
import { type Draft, FAMILIES, ODDITIES } from "./request_quirks.ts";

export interface RequestCase {
  readonly number: number;
  /** All bytes, in pieces as sent. */
  readonly pieces: readonly string[];
}

/** The place of a request within its case, from its target. */
export function placeOf(target: string): number | null {
  const place = /\/f-\d+-(\d+)/.exec(target)?.[1];
  return place === undefined ? null : Number(place);
}

/** The place of the request whose body contains this one; null when it is not in a body. */
export function containerOf(target: string): number | null {
  const place = /\/inner-\d+-(\d+)/.exec(target)?.[1];
  return place === undefined ? null : Number(place);
}

/** The case number of a target. */
export function caseOf(text: string): number | null {
  const number = /\/(?:f|inner)-(\d+)-/.exec(text)?.[1];
  return number === undefined ? null : Number(number);
}

export function requestCase(seed: number, number: number, token: string): RequestCase {
  const random = new Random(seed, number);
  const count = random.pick([1, 1, 2, 2, 3]);
  let text = "";
  for (let place = 1; place <= count; place++) {
    text += render(draftOf(random, { name: `f-${number}-${place}`, token, isLast: place === count }));
  }
  if (random.isLucky(0.12)) text = withFlaw(text, random);
  return { number, pieces: inPieces(text, random) };
}

function draftOf(
  random: Random,
  { name, token, isLast }: { readonly name: string; readonly token: string; readonly isLast: boolean },
): Draft {
  const draft: Draft = {
    method: "GET",
    target: `/v1/${name}`,
    version: "HTTP/1.1",
    fields: [["Host", "router.example"], ["Authorization", `Bearer ${token}`]],
    body: "",
    content: "",
    lineEnd: "\r\n",
  };
  const framing = random.pick(["none", "length", "length", "chunked", "chunked"]);
  if (framing !== "none") {
    draft.method = random.pick(["POST", "POST", "PUT", "PATCH", "GET"]);
    draft.content = contentOf(random, { name, token });
    draft.body = draft.content;
    if (framing === "length") draft.fields.push(["Content-Length", String(draft.content.length)]);
    else {
      draft.fields.push(["Transfer-Encoding", "chunked"]);
      draft.body = chunked(draft.content, random, random.isLucky(0.4) ? ODDITIES : null);
    }
  }
  if (isLast && random.isLucky(0.5)) draft.fields.push(["Connection", "close"]);
  for (let quirks = random.pick([0, 0, 1, 1, 1, 2]); quirks > 0; quirks--) {
    random.pick(random.pick(FAMILIES))(draft, random);
  }
  return draft;
}

function render({ method, target, version, fields, body, lineEnd }: Draft): string {
  const lines = fields.map(([name, value]) => `${name}:${value === "" ? "" : ` ${value}`}${lineEnd}`);
  return `${method} ${target} ${version}${lineEnd}${lines.join("")}${lineEnd}${body}`;
}

/** A body: short, empty, like a request, with line ends, or too large to be sent with its head. */
function contentOf(
  random: Random,
  { name, token }: { readonly name: string; readonly token: string },
): string {
  const kind = random.below(40);
  if (kind === 0) return `{"model":"m","pad":"${"p".repeat(140 * 1024 + random.below(9))}"}`;
  if (kind < 8) {
    const inner = name.replace("f-", "inner-");
    return `GET /v1/${inner} HTTP/1.1\r\nHost: inner.example\r\nAuthorization: Bearer ${token}\r\n\r\n`;
  }
  if (kind < 11) return "\r\n\r\n0\r\n\r\n";
  if (kind < 14) return utf8('{"model":"café"}');
  if (kind < 16) return "";
  return random.pick(['{"model":"m"}', "abcdefg", "0\r\n\r\n", "x"]);
}

/** Adds, removes or replaces one byte. */
function withFlaw(text: string, random: Random): string {
  const at = random.below(text.length);
  const byte = random.pick([
    "\x00",
    "\t",
    "\n",
    "\r",
    "\r\n",
    " ",
    ",",
    ":",
    ";",
    "\x0b",
    "\x7f",
    "\x85",
    "\xa0",
    "\xff",
    "%",
    "#",
  ]);
  const [isKept, added] = random.pick([[true, byte], [false, ""], [false, byte]] as const);
  return text.slice(0, at) + added + text.slice(isKept ? at : at + 1);
}

/** Splits the text: packet boundaries must not matter. */
function inPieces(text: string, random: Random): string[] {
  if (random.isLucky(0.6)) return [text];
  const at = random.below(text.length);
  return [text.slice(0, at), text.slice(at)].filter((piece) => piece !== "");
}
