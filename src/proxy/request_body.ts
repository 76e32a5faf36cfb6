/**
 * Reads a client's request body once, whole, into bytes that can be sent again.
 */
import { RouterError } from "../core/errors.ts";
import { concat } from "./gate.ts";

export type BodyRead =
  | { readonly type: "body"; readonly bytes: Uint8Array<ArrayBuffer> | null }
  /** The client left while it was sending; what had arrived. */
  | { readonly type: "cut"; readonly bytes: Uint8Array<ArrayBuffer> };

/** @throws RouterError 413 when the body is larger than `maxBytes`. */
export async function readBody(request: Request, maxBytes: number): Promise<BodyRead> {
  if (request.body === null) return { type: "body", bytes: null };
  const declared = Number(request.headers.get("content-length") ?? NaN);
  if (declared > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  const reader = request.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
      bytes += value.length;
      if (bytes > maxBytes) {
        reader.cancel().catch(() => {});
        throw tooLarge(maxBytes);
      }
    }
  } catch (error) {
    if (error instanceof RouterError) throw error;
    return { type: "cut", bytes: concat(chunks) };
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
