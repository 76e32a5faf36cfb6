/**
 * Writes log lines to a stream that may be slow, full or gone.
 *
 * Owns the queue between the program and one of its streams. Must not block the event loop, throw, or grow
 * without bound: during a write, further lines are collected for the next one, up to 1 MiB; lines beyond that
 * are dropped, and a line says how many.
 */
import { nextPiece } from "./pipe_pieces.ts";

const MAX_PENDING_CHARACTERS = 1024 * 1024; // docs/tuning.md#observe
/** Pause between two writes, in which lines are collected. */
const GATHER_MS = 20; // docs/tuning.md#observe
/** Pause before a write is repeated that would have blocked: the stream is a full pipe in non-blocking mode. */
const FULL_MS = 20;

/** The part of `Deno.stderr` that is used. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<number>;
  writeSync?(bytes: Uint8Array): number;
}

/** Lines in, batches out. */
export class LogWriter {
  readonly #sink: ByteSink;
  /** The line that says how many were dropped; without its line end. */
  describeDropped = (count: number): string =>
    `(${count} log lines were dropped: the log's reader is too slow)`;
  readonly #encoder = new TextEncoder();
  #pending: string[] = [];
  #pendingCharacters = 0;
  #droppedLines = 0;
  #writing: Promise<void> | null = null;
  #isFlushing = false;
  #endGathering: (() => void) | null = null;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  /** Takes one line with its line end; returns at once. */
  write(line: string): void {
    if (this.#pendingCharacters + line.length > MAX_PENDING_CHARACTERS) {
      this.#droppedLines++;
      return;
    }
    this.#pending.push(line);
    this.#pendingCharacters += line.length;
    this.#writing ??= this.#drain();
  }

  /** The same, written before it returns, unless the stream takes nothing now or earlier lines wait. Never throws. */
  writeNow(line: string): void {
    let rest = this.#encoder.encode(line);
    try {
      while (this.#writing === null && this.#sink.writeSync !== undefined && rest.length > 0) {
        rest = rest.subarray(this.#sink.writeSync(nextPiece(rest)));
      }
    } catch (error) {
      // A stream that is closed, or a full disk, must not stop the program.
      if (!(error instanceof Deno.errors.WouldBlock)) return;
    }
    if (rest.length > 0) this.write(new TextDecoder().decode(rest));
  }

  /** Resolves when every line taken has been written or dropped. */
  async flush(): Promise<void> {
    this.#isFlushing = true;
    this.#endGathering?.();
    await this.#writing;
    this.#isFlushing = false;
  }

  /** Waits for more lines: under load, a write per line would cost more than the lines. */
  #gathered(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS);
      this.#endGathering = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Bytes written; 0 after a pause, when the stream takes none now. */
  async #writeSome(bytes: Uint8Array): Promise<number> {
    try {
      return await this.#sink.write(bytes);
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      await new Promise((resolve) => setTimeout(resolve, FULL_MS));
      return 0;
    }
  }

  async #drain(): Promise<void> {
    // Lines of the same turn of the event loop share one write.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      if (this.#droppedLines > 0) {
        this.#pending.push(`${this.describeDropped(this.#droppedLines)}\n`);
        this.#droppedLines = 0;
      }
      const bytes = this.#encoder.encode(this.#pending.join(""));
      this.#pending = [];
      this.#pendingCharacters = 0;
      try {
        let offset = 0;
        while (offset < bytes.length) offset += await this.#writeSome(nextPiece(bytes.subarray(offset)));
      } catch {
        // A closed standard error must not stop the program, and the failure cannot be reported anywhere.
      }
      if (!this.#isFlushing) await this.#gathered();
    }
    this.#writing = null;
  }
}
