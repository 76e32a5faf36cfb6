/**
 * Stands for an upstream's endpoint and key together, without showing either. Pure.
 */
import { sha256 } from "./digest.ts";
import type { Upstream } from "./types.ts";

export type UpstreamKeys =
  & Pick<Upstream, "endpoint" | "sk">
  & Partial<Pick<Upstream, "keys" | "keyN">>;

/** The beginning of a digest, in hexadecimal. Of several keys it is the first one, whichever is used. */
export function targetOf(upstream: UpstreamKeys): string {
  return sha256(JSON.stringify([upstream.endpoint, firstKey(upstream)])).toString("hex").slice(0, 32);
}

/** Whether what is known of one upstream holds for the other: the same endpoint, and a key that both have. */
export function isSameTarget(one: Upstream, other: Upstream): boolean {
  if (one.endpoint !== other.endpoint) return false;
  if (one.keys.length < 2 && other.keys.length < 2) return one.sk === other.sk;
  if (one.keys === other.keys) return true;
  const keys = new Set(other.keys);
  return one.keys.some((key) => keys.has(key));
}

function firstKey({ sk, keys, keyN }: UpstreamKeys): string {
  const isChosen = keyN !== null && keyN !== undefined;
  return isChosen ? keys?.[0] ?? sk : sk;
}
