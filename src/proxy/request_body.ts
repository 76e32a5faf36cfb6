/**
 * Reads a client's request body once, whole, into bytes that can be sent again.
 */
import { RouterError } from "../core/errors.ts";
import type { Clock } from "../core/types.ts";
import { concat } from "./gate.ts";

export type BodyRead =
  | { readonly type: "body"; readonly bytes: Uint8Array<ArrayBuffer> | null }
  /** The client left while it was sending; what had arrived. */
  | { readonly type: "cut"; readonly bytes: Uint8Array<ArrayBuffer> };

export interface BodyLimits {
  readonly maxBodyBytes: number;
  /** How long the client may send nothing. */
  readonly clientTimeoutMs: number;
  readonly clock: Clock;
}

/** @throws RouterError 413 when the body is too large, 408 when it stops coming. */
export async function readBody(request: Request, limits: BodyLimits): Promise<BodyRead> {
  const { maxBodyBytes: maxBytes, clientTimeoutMs, clock } = limits;
  if (request.body === null) return { type: "body", bytes: null };
  const declared = Number(request.headers.get("content-length") ?? NaN);
  if (declared > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = request.body.getReader();
  let isStalled = false;
  let lastMs = clock.monotonic();
  const check = () => {
    const leftMs = lastMs + clientTimeoutMs - clock.monotonic();
    if (leftMs > 0) {
      timer = clock.setTimer(check, leftMs);
    } else {
      isStalled = true;
      reader.cancel().catch(() => {});
    }
  };
  let timer = clock.setTimer(check, clientTimeoutMs);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (isStalled) throw stalled(clientTimeoutMs);
      if (done) break;
      lastMs = clock.monotonic();
      chunks.push(value);
      bytes += value.length;
      if (bytes > maxBytes) {
        reader.cancel().catch(() => {});
        throw tooLarge(maxBytes);
      }
    }
  } catch (error) {
    if (error instanceof RouterError) throw error;
    if (isStalled) throw stalled(clientTimeoutMs);
    return { type: "cut", bytes: concat(chunks) };
  } finally {
    clock.clearTimer(timer);
  }
  const whole = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : concat(chunks);
  return { type: "body", bytes: bytes === 0 ? null : whole };
}

function tooLarge(maxBytes: number): RouterError {
  return new RouterError(
    413,
    "request_too_large",
    `The request body is larger than ${maxBytes} bytes; raise --max-body or send less`,
  );
}

function stalled(limitMs: number): RouterError {
  const message = `The request body stopped coming for ${limitMs / 1000} s; send it again`;
  return new RouterError(408, "request_timeout", message);
}
