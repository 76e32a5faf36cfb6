/**
 * Reads a client's request body once, whole, into bytes that can be sent again.
 */
import { concat } from "../core/bytes.ts";
import { RouterError } from "../core/errors.ts";
import type { Clock } from "../core/types.ts";
import type { RequestBody } from "../wire/exchange.ts";
import { MessageError } from "../wire/head.ts";
import { TimedReader } from "./timed_reader.ts";

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

/** @throws RouterError 413 when the body is too large, 408 when it stops coming, 400 when it is framed wrongly. */
export async function readBody(body: RequestBody | null, limits: BodyLimits): Promise<BodyRead> {
  const { maxBodyBytes: maxBytes, clientTimeoutMs, clock } = limits;
  if (body === null) return { type: "body", bytes: null };
  if ((body.declaredBytes ?? 0) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = new TimedReader(body, clock);
  for (;;) {
    const read = await reader.read(clientTimeoutMs);
    switch (read.type) {
      case "chunk":
        chunks.push(read.bytes);
        bytes += read.bytes.length;
        if (bytes > maxBytes) throw tooLarge(maxBytes);
        continue;
      case "late":
        throw stalled(clientTimeoutMs);
      case "broken":
        if (read.error instanceof MessageError) {
          throw new RouterError(400, "invalid_request", `The request body is refused: ${read.error.message}`);
        }
        return { type: "cut", bytes: concat(chunks) };
      case "end": {
        const whole = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : concat(chunks);
        return { type: "body", bytes: bytes === 0 ? null : whole };
      }
      default:
        read satisfies never;
    }
  }
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
