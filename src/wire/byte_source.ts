/**
 * A message's body, read piece by piece: synchronously if bytes have arrived, otherwise by waiting.
 */
export interface ByteSource {
  /** No more bytes will come. */
  readonly isDone: boolean;
  /** Bytes that have arrived; null when {@link read} would have to wait, or would reject. */
  take(): Uint8Array<ArrayBuffer> | null;
  /** The next bytes, or null at the end. Rejects, from then on always, when connection or framing is broken. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Discards the rest. Idempotent, never throws. */
  cancel(): void;
}

/** A source that can lend its buffer, which saves a stream a copy of each event. */
export interface LendingSource extends ByteSource {
  /**
   * As {@link take}, without a copy: valid until any other call.
   */
  lend(): Uint8Array<ArrayBuffer> | null;
  /**
   * Returns what was lent last; so does any further read. A source that {@link isDone} waits for one of these, or for
   * {@link cancel}, before its connection serves another request.
   */
  release(): void;
  /** Resolves when {@link lend} may have more. Rejects as {@link read} does. */
  ready(): Promise<void>;
}
