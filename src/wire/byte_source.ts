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
