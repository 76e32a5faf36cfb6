/**
 * Stands for an upstream's endpoint and key together, without showing either. Pure.
 */
import { sha256 } from "./digest.ts";
import type { Upstream } from "./types.ts";

export type UpstreamKeys = Pick<Upstream, "endpoint" | "sk"> & Partial<Pick<Upstream, "keys">>;

/** The beginning of a digest, in hexadecimal. Of several keys it is the first one. */
export function targetOf({ endpoint, sk, keys }: UpstreamKeys): string {
  return sha256(JSON.stringify([endpoint, keys?.[0] ?? sk])).toString("hex").slice(0, 32);
}

/** Whether what is known of one upstream holds for the other: the same endpoint, and a key that both have. */
export function isSameTarget(
  one: Pick<Upstream, "endpoint" | "keys">,
  other: Pick<Upstream, "endpoint" | "keys">,
): boolean {
  if (one.endpoint !== other.endpoint) return false;
  if (one.keys === other.keys) return true;
  const keys = new Set(other.keys);
  return one.keys.some((key) => keys.has(key));
}
