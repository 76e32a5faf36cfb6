/**
 * Masks an upstream's keys in a byte stream, keeping its length, so that Content-Length stays correct.
 *
 * This is the only change that the proxy makes to a reply: a key of the upstream that answered is masked in its error
 * body, in the error event of its stream, and in headers. Keys shorter than 12 characters are not masked: they may be
 * ordinary words, as in `server: ollama` or `"param":null`.
 */
import { Buffer } from "node:buffer";
import { keysOf, MIN_MASKABLE_LENGTH, type SecretHolder } from "../../core/secrets.ts";

const NOTHING: Buffer<ArrayBuffer> = Buffer.alloc(0);
const STAR = 0x2a;
const SHOWN_HEAD_BYTES = 3;
const HEAD_LENGTH = 4;

/** Search patterns, prepared once for each upstream. */
class Patterns {
  readonly texts: readonly string[];
  /** How they begin: of many keys, most begin alike. */
  readonly #heads: readonly string[];
  #needles: readonly Needle[] | null = null;
  #beginnings: Uint8Array | null = null;

  constructor(secrets: readonly string[]) {
    const texts = secrets.filter((secret) => secret.length >= MIN_MASKABLE_LENGTH);
    // Longest first, so that no rest remains of a secret that contains a shorter one.
    this.texts = [...new Set(texts)].sort((a, b) => b.length - a.length);
    this.#heads = [...new Set(this.texts.map((text) => text.slice(0, HEAD_LENGTH)))];
  }

  /** Whether a secret may be in the text. */
  mayBeIn(text: string): boolean {
    return this.#heads.some((head) => text.includes(head));
  }

  /** Made on demand: most masks only see headers. */
  get needles(): readonly Needle[] {
    this.#needles ??= this.texts.map((text) => new Needle(Buffer.from(text, "utf8")));
    return this.#needles;
  }

  /** Whether a needle begins with a byte. */
  get beginnings(): Uint8Array {
    if (this.#beginnings === null) {
      this.#beginnings = new Uint8Array(256);
      for (const { bytes } of this.needles) this.#beginnings[bytes[0] ?? 0] = 1;
    }
    return this.#beginnings;
  }
}

/** One secret and its failure table (Knuth, Morris, Pratt 1977), so that the search never goes back. */
class Needle {
  readonly bytes: Uint8Array;
  /** For each number of matched bytes: how many still match when the next byte does not. */
  readonly #fallbacks: Uint32Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#fallbacks = new Uint32Array(bytes.length);
    for (let at = 1, matched = 0; at < bytes.length; at++) {
      matched = this.next(matched, bytes[at] ?? 0);
      this.#fallbacks[at] = matched;
    }
  }

  /** Matched bytes after one more byte; not called once all match. */
  next(matched: number, byte: number): number {
    let still = matched;
    while (still > 0 && this.bytes[still] !== byte) still = this.#fallbacks[still - 1] ?? 0;
    return this.bytes[still] === byte ? still + 1 : 0;
  }
}

/** Incremental masking. Holds back at most one byte less than the longest secret is long. */
export class SecretMask {
  readonly #patterns: Patterns;
  #held = NOTHING;
  /** Matched bytes of each needle at the end of what was pushed. */
  #matched: Uint32Array | null = null;

  constructor(secrets: readonly string[] | Patterns) {
    this.#patterns = secrets instanceof Patterns ? secrets : new Patterns(secrets);
  }

  /** A header's value with the secrets masked. */
  maskText(text: string): string {
    if (text.length < MIN_MASKABLE_LENGTH || !this.#patterns.mayBeIn(text)) return text;
    let result = text;
    for (const secret of this.#patterns.texts) {
      if (!result.includes(secret)) continue;
      result = result.replaceAll(
        secret,
        () => secret.slice(0, SHOWN_HEAD_BYTES) + "*".repeat(secret.length - SHOWN_HEAD_BYTES),
      );
    }
    return result;
  }

  /** The chunk with every whole occurrence masked; holds nothing back. */
  maskWithin(chunk: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const places = this.#search(chunk, new Uint32Array(this.#patterns.needles.length));
    if (places.length === 0) return chunk;
    const masked = Uint8Array.from(chunk);
    mask(masked, places);
    return masked;
  }

  /** Returns the bytes that can be sent now. */
  push(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
    const { needles } = this.#patterns;
    const matched = this.#matched ??= new Uint32Array(needles.length);
    const before = this.#held.length;
    const bytes = Buffer.concat([this.#held, chunk]);
    mask(
      bytes,
      this.#search(chunk, matched).map(({ start, end }) => ({ start: start + before, end: end + before })),
    );
    let open = 0;
    for (const count of matched) open = Math.max(open, count);
    const keepFrom = bytes.length - open;
    this.#held = bytes.subarray(keepFrom);
    return Uint8Array.from(bytes.subarray(0, keepFrom));
  }

  /** What was held back, at the end of the body. */
  flush(): Uint8Array<ArrayBuffer> {
    const rest = Uint8Array.from(this.#held);
    this.#held = NOTHING;
    this.#matched = null;
    return rest;
  }

  /** Finds secrets; one that began before `bytes` has a negative start. Continues from `matched`, and updates it. */
  #search(bytes: Uint8Array, matched: Uint32Array): Place[] {
    const { needles, beginnings } = this.#patterns;
    const places: Place[] = [];
    let isOpen = matched.some((count) => count > 0);
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (!isOpen && beginnings[byte] === 0) continue;
      isOpen = false;
      for (let n = 0; n < needles.length; n++) {
        const needle = needles[n];
        if (needle === undefined) continue;
        let count = needle.next(matched[n] ?? 0, byte);
        if (count === needle.bytes.length) {
          places.push({ start: at + 1 - count, end: at + 1 });
          count = 0;
        }
        matched[n] = count;
        isOpen ||= count > 0;
      }
    }
    return places;
  }
}

interface Place {
  readonly start: number;
  readonly end: number;
}

function mask(bytes: Uint8Array, places: readonly Place[]): void {
  for (const { start, end } of places) bytes.fill(STAR, Math.min(start + SHOWN_HEAD_BYTES, end), end);
}

/** By the array of keys, which the objects of one upstream for single keys share, or by the upstream. */
const patternsOf = new WeakMap<object, KnownPatterns>();

interface KnownPatterns extends Pick<SecretHolder, "endpoint" | "sk"> {
  readonly patterns: Patterns;
}

/** A mask for all keys of an upstream, or null when it has none to hide. */
export function maskFor(upstream: SecretHolder): SecretMask | null {
  const { endpoint, sk, keys } = upstream;
  const owner = keys ?? upstream;
  let known = patternsOf.get(owner);
  if (known?.endpoint !== endpoint || (known.sk !== sk && !keys?.includes(sk))) {
    known = { endpoint, sk, patterns: new Patterns(keysOf(upstream)) };
    patternsOf.set(owner, known);
  }
  return known.patterns.texts.length === 0 ? null : new SecretMask(known.patterns);
}
