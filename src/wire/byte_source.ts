/**
 * A message's body, read piece by piece: by waiting, or, where it has come already, at once.
 */
export interface ByteSource {
  /** Nothing more will come. */
  readonly isDone: boolean;
  /** Bytes that have come already, or null: {@link read} would have to wait, or to tell what went wrong. */
  take(): Uint8Array<ArrayBuffer> | null;
  /** The next bytes, or null at the end. Rejects, then always, when the connection breaks or the framing is wrong. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Gives the rest up. Idempotent, never throws. */
  cancel(): void;
}

/** A source whose bytes can be looked at where they lie, which spares a stream the copy of each event. */
export interface LendingSource extends ByteSource {
  /**
   * As {@link take}, without a copy: valid until the source is asked again, or told that it is no longer needed.
   */
  lend(): Uint8Array<ArrayBuffer> | null;
  /**
   * What was lent last is no longer needed. Asking again says the same; a source that {@link isDone} waits for one of
   * them, or for {@link cancel}, before its connection serves another request.
   */
  release(): void;
  /** Waits until asking again is of use. Rejects, then always, as {@link read} does. */
  ready(): Promise<void>;
}
