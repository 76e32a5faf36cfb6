/**
 * SHA-256 digests and signatures, and the comparison of secrets.
 */
import type { Buffer } from "node:buffer";
import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** 32 bytes. */
export function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/** 32 bytes. */
export function hmacSha256(key: string, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}

/** Compares digests, so that the time taken reveals nothing about either text. */
export function isSameSecret(a: string, b: string): boolean {
  return timingSafeEqual(sha256(a), sha256(b));
}
