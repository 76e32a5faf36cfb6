/**
 * What a request of a client and the answer to it are, whoever carries them: interfaces only.
 */
import type { HeaderView } from "../core/header_fields.ts";
import type { ByteSource } from "./byte_source.ts";

/** What a client asks, and the way to answer. */
export interface InboundExchange {
  readonly method: string;
  /** The request target as it was sent. */
  readonly target: string;
  readonly headers: HeaderView;
  readonly remoteAddress: string;
  /** Null when the request has none. */
  readonly body: RequestBody | null;
  /** The client has left, or broke the connection. */
  readonly isGone: boolean;
  /**
   * Calls back once when the client leaves; soon when it has left already. Noticed once the request has been read; a
   * client that has sent further requests already is noticed when it takes no more. Returns the function that forgets
   * it.
   */
  onGone(callback: () => void): () => void;
  /** Answers with a whole body, whose length is told. Resolves when it has been handed to the system. */
  reply(head: AnswerHead, body: Uint8Array | null): Promise<void>;
  /**
   * Begins an answer whose body follows by {@link write}: of the head's `contentLength`, or else chunked. One that comes
   * to another length is cut off.
   */
  begin(head: AnswerHead): void;
  /** Sends these bytes, and the head if it waits; resolves when the client's side can take more. Rejects when it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** The body has ended as it should; sends its last bytes together with the end. */
  end(last?: Uint8Array): Promise<void>;
  /** Ends the connection without the body's proper end, so that the client can tell. */
  cut(): void;
  /** An answer has been begun. */
  readonly isAnswered: boolean;
}

export interface RequestBody extends ByteSource {
  /** Declared length in bytes; null when chunked. */
  readonly declaredBytes: number | null;
}

export interface AnswerHead {
  /** 200 to 999. */
  readonly status: number;
  /** End-to-end headers, names in lower case; those of the framing are set here, and dropped where they come. */
  readonly headers: Iterable<readonly [string, string]>;
  /**
   * Length of the body that follows, in bytes; to a HEAD request, or with a 304, of the one that would. Null or left
   * out: not known.
   */
  readonly contentLength?: number | null;
}
