/**
 * Who owns the ids that replies named: a response, a file or a batch is known to its upstream (and key) only.
 *
 * Owns what an id is remembered as, and the bounded memory of the latest. Ids themselves, which may be secrets
 * (`ek_…`), are never kept: only a part of their SHA-256, equal on all replicas.
 */
import { createHash } from "node:crypto";
import type { IdOwner, OwnedId, Upstream } from "./types.ts";

/** Of ids that one reply names. */
export const MAX_REPLY_IDS = 128;
/** Ids in memory, about 10 MB; others are in the table. */
const MAX_REMEMBERED = 100_000;
/** The row of an id that is seen again is written anew after so long, so that what is in use is kept. */
const REWRITE_MS = 24 * 3_600_000;

/** Finds who owns an id. */
export interface IdOwners {
  /** null: nobody knows. Never throws. @param hash {@link hashOfId} */
  find(hash: string): IdOwner | null;
  /**
   * Returns whether it has to be written: it is new, or was seen long ago.
   *
   * @param isMention the request did not ask for it: one that is known to be another upstream's stays that one's
   */
  remember(owned: OwnedId, how?: { readonly isMention: boolean }): boolean;
}

/** The first eight bytes of its SHA-256 as a signed number in decimal digits, because it is beyond 2^53. */
export function hashOfId(id: string): string {
  return createHash("sha256").update(id).digest().readBigInt64BE(0).toString();
}

const keyHashes = new WeakMap<Upstream, number>();

/** Tells the keys of one upstream apart; null: it has only one. 32 bits, which tell nobody what the key is. */
export function keyHashOf(upstream: Upstream): number | null {
  if (upstream.keys.length < 2) return null;
  let hash = keyHashes.get(upstream);
  if (hash === undefined) {
    hash = createHash("sha256").update(upstream.sk).digest().readUInt32BE(0);
    keyHashes.set(upstream, hash);
  }
  return hash;
}

interface Remembered extends IdOwner {
  readonly seenMs: number;
}

/** The latest ids in memory; older ones are looked up. */
export class OwnerMemory implements IdOwners {
  readonly #lookUp: (hash: string) => OwnedId | null;
  readonly #max: number;
  /** In order of use. */
  readonly #known = new Map<string, Remembered>();

  /** @param lookUp in the table; may throw, and then nobody knows */
  constructor(lookUp: (hash: string) => OwnedId | null, max = MAX_REMEMBERED) {
    this.#lookUp = lookUp;
    this.#max = max;
  }

  find(hash: string): IdOwner | null {
    const known = this.#known.get(hash);
    if (known !== undefined) {
      this.#keep(hash, known);
      return known;
    }
    const found = this.#stored(hash);
    if (found !== null) this.#keep(hash, found);
    return found;
  }

  remember(
    { hash, upstreamId, keyHash, seenMs }: OwnedId,
    { isMention }: { readonly isMention: boolean } = { isMention: false },
  ): boolean {
    const known = this.#known.get(hash);
    if (isMention && known !== undefined && known.upstreamId !== upstreamId) return false;
    const isSame = known !== undefined && known.upstreamId === upstreamId && known.keyHash === keyHash;
    if (isSame && seenMs - known.seenMs < REWRITE_MS) {
      this.#keep(hash, known);
      return false;
    }
    this.#keep(hash, { upstreamId, keyHash, seenMs });
    return true;
  }

  #stored(hash: string): OwnedId | null {
    try {
      return this.#lookUp(hash);
    } catch {
      return null;
    }
  }

  #keep(hash: string, { upstreamId, keyHash, seenMs }: Remembered): void {
    this.#known.delete(hash);
    this.#known.set(hash, { upstreamId, keyHash, seenMs });
    if (this.#known.size <= this.#max) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
