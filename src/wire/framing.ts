/**
 * Where a message's body ends.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
import type { HeaderFields } from "../core/header_fields.ts";
import { MessageError, type ReplyHead, type RequestHead } from "./head.ts";

export type Framing =
  | { readonly type: "none" }
  | { readonly type: "length"; readonly bytes: number }
  | { readonly type: "chunked" }
  /** The end of the connection is the end of the body. */
  | { readonly type: "until_close" };

/** @throws MessageError when it can be read in more than one way */
export function requestFraming(head: RequestHead): Framing {
  const length = contentLength(head.headers);
  const encoding = head.headers.get("transfer-encoding");
  if (encoding !== null) {
    if (length !== null) throw new MessageError(400, "both Transfer-Encoding and Content-Length are given");
    if (encoding.toLowerCase() !== "chunked" || head.isHttp10) {
      throw new MessageError(501, "the only Transfer-Encoding that is understood is chunked");
    }
    return { type: "chunked" };
  }
  return length === null || length === 0 ? { type: "none" } : { type: "length", bytes: length };
}

/**
 * @param method of the request that it answers
 * @throws MessageError
 */
export function replyFraming(head: ReplyHead, method: string): Framing {
  const { status, headers } = head;
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return { type: "none" };
  const encoding = headers.get("transfer-encoding");
  if (encoding !== null) {
    if (encoding.toLowerCase() !== "chunked") throw new MessageError(501, "unknown Transfer-Encoding");
    return { type: "chunked" };
  }
  const length = contentLength(headers);
  return length === null ? { type: "until_close" } : { type: "length", bytes: length };
}

/** Null when there is none; fields that agree count as one. */
function contentLength(headers: HeaderFields): number | null {
  let length: string | null = null;
  for (const [name, value] of headers) {
    if (name !== "content-length") continue;
    if (!/^\d{1,15}$/.test(value) || (length !== null && value !== length)) {
      throw new MessageError(400, "the Content-Length is malformed");
    }
    length = value;
  }
  return length === null ? null : Number(length);
}

/** Whether the sender of a head lets the connection live on. */
export function isPersistent(head: { readonly isHttp10: boolean; readonly headers: HeaderFields }): boolean {
  const options = (head.headers.get("connection") ?? "").toLowerCase();
  return head.isHttp10 ? /\bkeep-alive\b/.test(options) : !/\bclose\b/.test(options);
}
