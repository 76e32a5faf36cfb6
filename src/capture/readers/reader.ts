/** The interface of a reader, which knows the replies of one API, both as event streams and as documents. */
import type { JsonObject } from "../json.ts";

/** An event that is not neutral, as a reader sees it. */
export interface ReadableEvent {
  readonly name: string;
  readonly data: string;
  /** The data as an object; null when it is anything else. */
  readonly json: JsonObject | null;
}

/** Writes what a reply says into a draft. May throw; the capture counts that as a parse error. */
export interface ReplyReader {
  /** `[DONE]` ends this API's streams. */
  readonly endsWithDone: boolean;
  /** This API's protocol is unknown: a clean end of the body is the end, and data need not be JSON. */
  readonly isOpaque: boolean;
  readEvent(event: ReadableEvent): void;
  /** An event too large to be kept; only its name is known. */
  readOversized(name: string): void;
  /** Reads a whole reply; false when it is not in this API's shape: its text is then kept verbatim. */
  readDocument(document: JsonObject): boolean;
  /** The reply has its finish reason, even if the stream's terminal event is missing. */
  isFinished(): boolean;
  /** The reply is bulk data: when it cannot be read, one line describes it. */
  readonly isBulk: boolean;
}
