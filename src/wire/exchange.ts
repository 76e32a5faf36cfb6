/**
 * A client's request and the answer to it, whatever the transport: interfaces only.
 */
import type { HeaderView } from "../core/header_fields.ts";
import type { ByteSource } from "./byte_source.ts";

/** A request of a client, and how to answer it. */
export interface InboundExchange {
  readonly method: string;
  /** The request target as it was sent. */
  readonly target: string;
  readonly headers: HeaderView;
  readonly remoteAddress: string;
  /** Null when the request has no body. */
  readonly body: RequestBody | null;
  /** The client has closed or broken the connection. */
  readonly isGone: boolean;
  /**
   * Calls back once when the client leaves, or soon if it has left. Works once the request has been read; a client that
   * has already sent another request is noticed only when it accepts no more. Returns a function that unsubscribes.
   */
  onGone(callback: () => void): () => void;
  /** Answers with a whole body and its length. Resolves when the system has accepted it. */
  reply(head: AnswerHead, body: Uint8Array | null): Promise<void>;
  /**
   * Begins an answer whose body follows by {@link write}: of the head's `contentLength`, otherwise chunked. An answer
   * of another length is cut off.
   */
  begin(head: AnswerHead): void;
  /** Sends these bytes, after the head if it waits; resolves when more can be sent. Rejects when the client is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the body properly, together with its last bytes. */
  end(last?: Uint8Array): Promise<void>;
  /** Ends the connection without the body's proper end, so that the client can tell. */
  cut(): void;
  /** An answer has begun. */
  readonly isAnswered: boolean;
}

export interface RequestBody extends ByteSource {
  /** Declared length in bytes; null when chunked. */
  readonly declaredBytes: number | null;
}

export interface AnswerHead {
  /** 200 to 999. */
  readonly status: number;
  /** End-to-end headers, names in lower case; framing headers among them are dropped, and set by the exchange. */
  readonly headers: Iterable<readonly [string, string]>;
  /**
   * Length of the body that follows, in bytes; for HEAD and 304, of the body that is omitted. Null or absent: unknown.
   */
  readonly contentLength?: number | null;
}
