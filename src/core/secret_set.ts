/**
 * Masks many secrets at once.
 *
 * The cost hardly grows with their number: a text is searched for the few prefixes that the secrets share, or, when
 * there are many prefixes, scanned once.
 */
import { maskSecret, MIN_MASKABLE_LENGTH } from "./secrets.ts";

/** Length of the prefixes searched for. */
const ANCHOR_LENGTH = 4; // docs/tuning.md#core
/** With more prefixes than this, one scan of the text costs less than a search for each. */
const MAX_ANCHORS = 6; // docs/tuning.md#core

/** What masks secrets in texts. */
export interface SecretMask {
  /** Of the longest one. */
  readonly maxLength: number;
  has(secret: string): boolean;
  /** Masks every occurrence of a secret, and the beginning of one at the end of a text that was cut. */
  redact(text: string): string;
}

/** A large set that many share, and one more secret: nothing large is made for it. */
export class SecretsWithOne implements SecretMask {
  readonly maxLength: number;
  readonly #shared: SecretSet;
  readonly #one: SecretSet;
  /** Masked first, because a shorter secret within it would leave the rest of it. */
  readonly #isOneFirst: boolean;

  constructor(shared: SecretSet, one: string) {
    this.#shared = shared;
    this.#one = new SecretSet([one]);
    this.maxLength = Math.max(shared.maxLength, one.length);
    this.#isOneFirst = shared.isIn(one);
  }

  has(secret: string): boolean {
    return this.#one.has(secret) || this.#shared.has(secret);
  }

  redact(text: string): string {
    return this.#isOneFirst
      ? this.#shared.redact(this.#one.redact(text))
      : this.#one.redact(this.#shared.redact(text));
  }
}

/** Secrets of 12 characters or more. */
export class SecretSet implements SecretMask {
  readonly #secrets: ReadonlySet<string>;
  /** Of the longest one. */
  readonly maxLength: number;
  /** By their first 12 characters; the longest first. */
  readonly #byBeginning = new Map<string, string[]>();
  readonly #anchors: readonly string[];
  /** Marks the pairs of characters with which a secret begins, by their low bytes. */
  readonly #pairs: Uint8Array | null;

  constructor(secrets: Iterable<string>) {
    this.#secrets = new Set(secrets);
    this.maxLength = [...this.#secrets].reduce((max, { length }) => Math.max(max, length), 0);
    for (const secret of [...this.#secrets].sort((a, b) => b.length - a.length)) {
      const beginning = secret.slice(0, MIN_MASKABLE_LENGTH);
      const others = this.#byBeginning.get(beginning);
      if (others === undefined) this.#byBeginning.set(beginning, [secret]);
      else others.push(secret);
    }
    this.#anchors = [...new Set([...this.#secrets].map((secret) => secret.slice(0, ANCHOR_LENGTH)))];
    this.#pairs = this.#anchors.length > MAX_ANCHORS ? pairsOf(this.#anchors) : null;
  }

  has(secret: string): boolean {
    return this.#secrets.has(secret);
  }

  /** Whether a text contains a whole secret. */
  isIn(text: string): boolean {
    if (text.length < MIN_MASKABLE_LENGTH || this.#secrets.size === 0) return false;
    const places = this.#pairs === null ? this.#searchAnchors(text) : this.#searchPairs(text, this.#pairs);
    return places.some((at) => this.#wholeAt(text, at) !== undefined);
  }

  /**
   * Masks every occurrence of a secret, and the beginning of one (12 characters or longer) at the end of a text that
   * was cut.
   */
  redact(text: string): string {
    if (text.length < MIN_MASKABLE_LENGTH) return text;
    const places = this.#pairs === null ? this.#searchAnchors(text) : this.#searchPairs(text, this.#pairs);
    return places.length === 0 ? text : this.#replace(text, places);
  }

  /** Where secrets begin, in order. */
  #searchAnchors(text: string): number[] {
    const places: number[] = [];
    for (const anchor of this.#anchors) {
      for (let at = text.indexOf(anchor); at >= 0; at = text.indexOf(anchor, at + 1)) {
        if (this.#at(text, at) !== null) places.push(at);
      }
    }
    return places.sort((a, b) => a - b);
  }

  #searchPairs(text: string, pairs: Uint8Array): number[] {
    const places: number[] = [];
    const last = text.length - MIN_MASKABLE_LENGTH;
    let first = text.charCodeAt(0);
    for (let at = 0; at <= last; at++) {
      const second = text.charCodeAt(at + 1);
      if (pairs[pairOf(first, second)] === 1 && this.#at(text, at) !== null) places.push(at);
      first = second;
    }
    return places;
  }

  /** The secret that begins there: whole, or cut by the end of the text. */
  #at(text: string, at: number): string | null {
    const whole = this.#wholeAt(text, at);
    if (whole !== undefined) return whole;
    const secrets = this.#byBeginning.get(text.slice(at, at + MIN_MASKABLE_LENGTH));
    return secrets?.find((secret) => at + secret.length > text.length && secret.startsWith(text.slice(at))) ??
      null;
  }

  #wholeAt(text: string, at: number): string | undefined {
    const secrets = this.#byBeginning.get(text.slice(at, at + MIN_MASKABLE_LENGTH));
    return secrets?.find((secret) => text.startsWith(secret, at));
  }

  #replace(text: string, places: readonly number[]): string {
    let result = "";
    let done = 0;
    for (const at of places) {
      const secret = at < done ? null : this.#at(text, at);
      if (secret === null) continue;
      const isWhole = at + secret.length <= text.length;
      result += text.slice(done, at) + (isWhole ? maskSecret(secret) : `${secret.slice(0, 3)}…`);
      done = Math.min(at + secret.length, text.length);
    }
    return result + text.slice(done);
  }
}

function pairsOf(anchors: readonly string[]): Uint8Array {
  const pairs = new Uint8Array(0x10000);
  for (const anchor of anchors) pairs[pairOf(anchor.charCodeAt(0), anchor.charCodeAt(1))] = 1;
  return pairs;
}

function pairOf(first: number, second: number): number {
  return (first & 0xff) << 8 | (second & 0xff);
}
