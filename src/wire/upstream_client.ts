/**
 * A request to an upstream and its reply, whatever the transport: interfaces only.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { HeaderView } from "../core/header_fields.ts";
import type { LendingSource } from "./byte_source.ts";

/** Sends requests to upstreams; the composition root makes it. */
export interface UpstreamClient {
  /** @throws when no head of a reply arrives, for whatever reason */
  send(request: UpstreamRequest): Promise<UpstreamReply>;
}

export interface UpstreamRequest {
  /** Absolute, `http:` or `https:`. */
  readonly url: string;
  readonly method: string;
  /** End-to-end headers, names in lower case; `host` and `content-length` are set here. */
  readonly headers: HeaderView;
  readonly body: Uint8Array<ArrayBuffer> | null;
  /** Ends the exchange at any time; the upstream sees its connection close. */
  readonly cancellation: Cancellation;
  /** URL of the proxy to take, whatever else is set; null or absent: the usual way. May hold a password. */
  readonly proxy?: string | null;
}

export interface UpstreamReply {
  readonly status: number;
  /** As they came. For the length, use {@link contentLength} instead. */
  readonly headers: HeaderView;
  /**
   * Length of the body in bytes according to its framing; for HEAD and 304, of the body that is omitted. Null: unknown.
   */
  readonly contentLength: number | null;
  /** Cancelling it ends the exchange: the upstream sees its connection close. */
  readonly body: LendingSource;
}
