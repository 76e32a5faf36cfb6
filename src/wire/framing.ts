/**
 * Where a message's body ends.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
import type { HeaderFields, HeaderView } from "../core/header_fields.ts";
import { MessageError, type ReplyHead, type RequestHead } from "./head.ts";

export type Framing =
  | { readonly type: "none" }
  | { readonly type: "length"; readonly bytes: number }
  | { readonly type: "chunked" }
  /** The end of the connection is the end of the body. */
  | { readonly type: "until_close" };

/** @throws MessageError when the length is ambiguous */
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

/** A reply that cannot be used: its head cannot be read, or its length is ambiguous. */
export class ReplyError extends Error {
  override readonly name = "ReplyError";
  /** Its head broke off. */
  readonly isCut: boolean;

  constructor(
    message: string,
    { isCut = false, ...options }: ErrorOptions & { readonly isCut?: boolean } = {},
  ) {
    super(message, options);
    this.isCut = isCut;
  }
}

export interface ReplyFraming {
  readonly framing: Framing;
  /**
   * Length of the body in bytes; for HEAD and 304, of the body that is omitted. Null when the head does not declare it.
   */
  readonly contentLength: number | null;
  /**
   * The end of the reply is certain. Otherwise its connection is not reused: if the server sent a body where there must
   * be none, the next request would be answered with it.
   */
  readonly isSure: boolean;
}

/**
 * @param method of the request that it answers
 * @throws ReplyError when the declared length is malformed or ambiguous, even if there is no body
 */
export function replyFraming(head: ReplyHead, method: string): ReplyFraming {
  const { status, headers } = head;
  const declared = declaredLength(headers);
  const contentLength = headers.has("transfer-encoding") ? null : declared;
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) {
    const isTold = method === "HEAD" ? status >= 200 && status !== 204 : status === 304;
    return { framing: NO_BODY, contentLength: isTold ? contentLength : null, isSure: false };
  }
  const codings = transferCodings(headers);
  if (codings === null) {
    return contentLength === null
      ? { framing: { type: "until_close" }, contentLength, isSure: false }
      // Some servers send the content that a 205 must not have.
      : { framing: { type: "length", bytes: contentLength }, contentLength, isSure: status !== 205 };
  }
  if (head.isHttp10) throw new ReplyError("an HTTP/1.0 reply has a Transfer-Encoding");
  if (codings[0] === "chunked") {
    return {
      framing: { type: "chunked" },
      contentLength: null,
      // RFC 9112 section 6.3: with both, it may be an attempt to smuggle a second reply.
      isSure: codings.length === 1 && declared === null && status !== 205,
    };
  }
  return declared === null
    ? { framing: { type: "until_close" }, contentLength: null, isSure: false }
    : { framing: { type: "length", bytes: declared }, contentLength: declared, isSure: false };
}

const NO_BODY: Framing = { type: "none" };

/**
 * `chunked` or `identity`, as often as a reply says it; null when it says neither.
 * @throws ReplyError when they are not understood
 */
export function transferCodings(headers: HeaderView): readonly string[] | null {
  const value = headers.get("transfer-encoding");
  if (value === null) return null;
  const codings = value.split(",").map((coding) => coding.trim().toLowerCase());
  // Frameworks may repeat what the application has set; all repetitions mean one.
  const isChunked = codings.every((coding) => coding === "chunked");
  // From RFC 2616, removed since: no coding at all.
  const isIdentity = codings.length === 1 && codings[0] === "identity";
  if (!isChunked && !isIdentity) throw new ReplyError("its Transfer-Encoding is not one that is understood");
  return codings;
}

/** @throws ReplyError */
function declaredLength(headers: HeaderView): number | null {
  try {
    return contentLength(headers);
  } catch {
    throw new ReplyError("its Content-Length is malformed");
  }
}

/** Null when there is none; fields that agree count as one (RFC 9110 section 8.6). @throws MessageError */
export function contentLength(headers: Iterable<readonly [string, string]>): number | null {
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

/** Whether the sender of a head keeps the connection open. */
export function isPersistent(head: { readonly isHttp10: boolean; readonly headers: HeaderFields }): boolean {
  const options = (head.headers.get("connection") ?? "").toLowerCase();
  return head.isHttp10 ? /\bkeep-alive\b/.test(options) : !/\bclose\b/.test(options);
}
