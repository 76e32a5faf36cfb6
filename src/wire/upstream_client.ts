/**
 * What a request to an upstream and its reply are, whoever carries them: interfaces only.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { HeaderView } from "../core/header_fields.ts";
import type { LendingSource } from "./byte_source.ts";

/** Sends requests to upstreams; the composition root makes it. */
export interface UpstreamClient {
  /** @throws when no reply's head comes, whatever the reason */
  send(request: UpstreamRequest): Promise<UpstreamReply>;
}

export interface UpstreamRequest {
  /** Absolute, `http:` or `https:`. */
  readonly url: string;
  readonly method: string;
  /** End-to-end headers, names in lower case; `host` and `content-length` are set here. */
  readonly headers: HeaderView;
  readonly body: Uint8Array<ArrayBuffer> | null;
  /** Ends the exchange, whatever it is at; the upstream sees its connection close. */
  readonly cancellation: Cancellation;
}

export interface UpstreamReply {
  readonly status: number;
  /** As they came; what they say of the length counts for nothing: see {@link contentLength}. */
  readonly headers: HeaderView;
  /**
   * Length of the body in bytes as its framing says; of an answer to HEAD, or a 304, the length that it would have.
   * Null when that is not known beforehand.
   */
  readonly contentLength: number | null;
  /** Cancelling it ends the exchange: the upstream sees its connection close. */
  readonly body: LendingSource;
}
