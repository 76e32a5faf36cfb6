/**
 * Masks one secret in a byte stream, keeping its length, so that Content-Length stays true.
 *
 * The only edit that the proxy makes to a reply: an upstream's own key, echoed in its error body, in the error
 * event of its stream, or in a header.
 */
import { Buffer } from "node:buffer";
import { ASIS } from "../core/types.ts";

const NOTHING: Buffer = Buffer.alloc(0);
const STAR = 0x2a;
const SHOWN_HEAD_BYTES = 3;

/** A shorter secret may be an ordinary word of a header, as in `server: ollama`. */
const MIN_HEADER_SECRET_LENGTH = 12;

/** Incremental masking. Holds back at most one byte less than the secret is long. */
export class SecretMask {
  readonly #text: string;
  #bytes: Buffer | null = null;
  #held: Buffer = NOTHING;

  constructor(secret: string) {
    this.#text = secret;
  }

  /** Made when it is needed: most masks only ever look at headers. */
  get #secret(): Buffer {
    this.#bytes ??= Buffer.from(this.#text, "utf8");
    return this.#bytes;
  }

  /** A header's value with the secret masked. */
  maskText(text: string): string {
    if (this.#text.length < MIN_HEADER_SECRET_LENGTH) return text;
    return text.replaceAll(
      this.#text,
      (secret) => secret.slice(0, SHOWN_HEAD_BYTES) + "*".repeat(secret.length - SHOWN_HEAD_BYTES),
    );
  }

  /** The chunk with every whole occurrence masked; holds nothing back. */
  maskWithin(chunk: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    if (bytes.indexOf(this.#secret) < 0) return chunk;
    const masked = Buffer.from(bytes);
    this.#mask(masked);
    return Uint8Array.from(masked);
  }

  /** Bytes that may go out now. */
  push(chunk: Uint8Array): Uint8Array<ArrayBuffer> {
    const bytes = Buffer.concat([this.#held, chunk]);
    const maskedEnd = this.#mask(bytes);
    const keepFrom = Math.max(maskedEnd, bytes.length - this.#longestPrefixAtEnd(bytes));
    this.#held = bytes.subarray(keepFrom);
    return Uint8Array.from(bytes.subarray(0, keepFrom));
  }

  /** What was held back, at the end of the body. */
  flush(): Uint8Array<ArrayBuffer> {
    const rest = Uint8Array.from(this.#held);
    this.#held = NOTHING;
    return rest;
  }

  /** Masks in place; returns the end of the last occurrence. */
  #mask(bytes: Buffer): number {
    let end = 0;
    for (let at = bytes.indexOf(this.#secret); at >= 0; at = bytes.indexOf(this.#secret, end)) {
      end = at + this.#secret.length;
      bytes.fill(STAR, Math.min(at + SHOWN_HEAD_BYTES, end), end);
    }
    return end;
  }

  #longestPrefixAtEnd(bytes: Buffer): number {
    const last = bytes.at(-1);
    // Events end in a line end, which no key holds: the usual case costs nothing.
    if (last === undefined || !this.#secret.includes(last)) return 0;
    for (let length = Math.min(this.#secret.length - 1, bytes.length); length > 0; length--) {
      if (bytes.subarray(bytes.length - length).equals(this.#secret.subarray(0, length))) return length;
    }
    return 0;
  }
}

/** A mask for an upstream's key, or null when it has none to hide. */
export function maskFor(sk: string): SecretMask | null {
  return sk.length >= 4 && sk !== ASIS ? new SecretMask(sk) : null;
}
