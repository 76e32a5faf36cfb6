/** What a reader is: the knowledge of one API's replies, shared by its event stream and its document form. */
import type { JsonObject } from "../json.ts";

/** An event that is not neutral, as a reader sees it. */
export interface ReadableEvent {
  readonly name: string;
  readonly data: string;
  /** The data as an object; null when it is anything else. */
  readonly json: JsonObject | null;
}

/** Writes what a reply says into the draft that it was made with. May throw; the capture counts that. */
export interface ReplyReader {
  /** `[DONE]` ends this API's streams. */
  readonly endsWithDone: boolean;
  /** The body's clean end is an end, and data need not be JSON: nothing more is known of this API. */
  readonly isOpaque: boolean;
  readEvent(event: ReadableEvent): void;
  /** An event too large to be kept; only its name is known. */
  readOversized(name: string): void;
  /** A whole reply; false when it is not in this API's shape, and its text is kept as it is. */
  readDocument(document: JsonObject): boolean;
  /** The reply ended by its own account, without the stream's terminal event (a finish reason). */
  isFinished(): boolean;
  /** The reply is bulk data, which a line about it stands for when it cannot be read. */
  readonly isBulk: boolean;
}
