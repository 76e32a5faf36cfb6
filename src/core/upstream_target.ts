/**
 * Stands for an upstream's endpoint and key together, without showing either. Pure.
 */
import { sha256 } from "./digest.ts";
import type { Upstream } from "./types.ts";

/** The beginning of a digest, in hexadecimal. */
export function targetOf({ endpoint, sk }: Pick<Upstream, "endpoint" | "sk">): string {
  return sha256(JSON.stringify([endpoint, sk])).toString("hex").slice(0, 32);
}
