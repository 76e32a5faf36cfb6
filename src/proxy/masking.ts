/**
 * Masks one secret in a byte stream, keeping its length, so that Content-Length stays true.
 *
 * The only edit that the proxy makes to a reply: an upstream's own key, echoed in its error body.
 */
import { Buffer } from "node:buffer";
import { ASIS } from "../core/types.ts";

const STAR = 0x2a;
const SHOWN_HEAD_BYTES = 3;

/** Incremental masking. Holds back at most one byte less than the secret is long. */
export class SecretMask {
  readonly #secret: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(secret: string) {
    this.#secret = Buffer.from(secret, "utf8");
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
    this.#held = Buffer.alloc(0);
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
