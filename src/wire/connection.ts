/**
 * A connection as bytes: buffered reads and whole writes.
 *
 * Knows no HTTP. At most one read is pending; it may go on while buffered bytes are used.
 */

import { writeLatin1 } from "./latin1.ts";

/** A byte stream both ways, as `Deno.TcpConn` and `Deno.TlsConn` are. */
export interface ByteConnection {
  /** Bytes read into `buffer`, or null at the end. */
  read(buffer: Uint8Array): Promise<number | null>;
  /** Bytes written, perhaps fewer than given. */
  write(bytes: Uint8Array): Promise<number>;
  /** Ends our direction (TCP FIN). */
  closeWrite(): Promise<void>;
  close(): void;
}

/** Initial read buffer of a connection. */
const SMALL_BYTES = 4 * 1024; // docs/tuning.md#buffers
/** Most bytes of one read: the default receive buffer of a Linux socket (`tcp_rmem`). */
const LARGE_BYTES = 128 * 1024; // docs/tuning.md#buffers
/** After this many reads in a row that fit a small buffer, a connection returns its large one. */
const SMALL_READS = 4; // docs/tuning.md#buffers

/** A free list of equal buffers: allocating one costs more than the copy it serves. */
class BufferPool {
  readonly #bytes: number;
  readonly #max: number;
  readonly #spare: Uint8Array<ArrayBuffer>[] = [];

  constructor(bytes: number, max: number) {
    this.#bytes = bytes;
    this.#max = max;
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#spare.pop() ?? new Uint8Array(this.#bytes);
  }

  /** Returns a buffer; one of another size is ignored. */
  give(buffer: Uint8Array<ArrayBuffer>): void {
    if (buffer.length === this.#bytes && this.#spare.length < this.#max) this.#spare.push(buffer);
  }
}

const largeBuffers = new BufferPool(LARGE_BYTES, 64);
/** For writes only: few connections are written to at the same time. */
const smallBuffers = new BufferPool(SMALL_BYTES, 256);

/** Copies up to this size share a buffer. */
const MAX_SHARED_BYTES = 2 * 1024; // docs/tuning.md#buffers
/** Small, because one copy that stays keeps the whole buffer alive. */
const SHARED_BYTES = 16 * 1024; // docs/tuning.md#buffers

/** Copies small pieces into shared buffers: allocating one for each would cost more than filling it. */
class CopySlab {
  #shared = new Uint8Array(SHARED_BYTES);
  #used = 0;

  of(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (bytes.length > MAX_SHARED_BYTES) return bytes.slice();
    if (this.#used + bytes.length > SHARED_BYTES) {
      this.#shared = new Uint8Array(SHARED_BYTES);
      this.#used = 0;
    }
    const copy = this.#shared.subarray(this.#used, this.#used += bytes.length);
    copy.set(bytes);
    return copy;
  }
}

/** For what a connection lent. */
export const copies = new CopySlab();

/** The reading side. */
export class ConnectionInput {
  readonly #connection: Pick<ByteConnection, "read">;
  #buffer = new Uint8Array(SMALL_BYTES);
  #start = 0;
  #end = 0;
  #wasFilled = false;
  /** Reads in a row that would have fitted a small buffer. */
  #smallReads = 0;
  #completedReads = 0;
  #reading: Promise<boolean> | null = null;
  // Created once: an async function would allocate several objects for each event of a stream.
  readonly #onRead = (count: number | null): boolean => {
    this.#reading = null;
    if (count === null) return false;
    this.#completedReads++;
    this.#end += count;
    this.#wasFilled = this.#end === this.#buffer.length;
    this.#smallReads = count < SMALL_BYTES ? this.#smallReads + 1 : 0;
    return true;
  };
  readonly #onBroken = (error: unknown): never => {
    this.#reading = null;
    throw error;
  };

  constructor(connection: Pick<ByteConnection, "read">) {
    this.#connection = connection;
  }

  /** Bytes that have arrived and were not consumed; valid until the next {@link fill}. */
  get available(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  get availableBytes(): number {
    return this.#end - this.#start;
  }

  /** Increases whenever the other side sends something. */
  get completedReads(): number {
    return this.#completedReads;
  }

  /** The next `bytes` of what is available, consumed; not a copy, and valid until the next {@link fill}. */
  lend(bytes: number): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#start, this.#start += bytes);
  }

  consume(bytes: number): void {
    this.#start += bytes;
  }

  /**
   * Waits for more bytes; false at the end. Calls during a pending read share it. Rejects when the connection breaks.
   */
  fill(): Promise<boolean> {
    if (this.#reading === null) {
      if (this.#smallReads >= SMALL_READS) this.shrink();
      this.#makeRoom();
      const room = this.#end === 0 ? this.#buffer : this.#buffer.subarray(this.#end);
      this.#reading = this.#connection.read(room).then(this.#onRead, this.#onBroken);
    }
    return this.#reading;
  }

  /** Returns a large buffer, unless bytes wait in it. */
  shrink(): void {
    if (this.#reading !== null || this.#start < this.#end || this.#buffer.length === SMALL_BYTES) return;
    largeBuffers.give(this.#buffer);
    this.#buffer = new Uint8Array(SMALL_BYTES);
    this.#start = this.#end = 0;
    this.#wasFilled = false;
  }

  #makeRoom(): void {
    const isEmpty = this.#start === this.#end;
    const isFull = !isEmpty && this.#start === 0 && this.#end === this.#buffer.length;
    const isSmall = this.#buffer.length < LARGE_BYTES;
    if (isFull || (this.#wasFilled && isSmall)) {
      const grown = isSmall ? largeBuffers.take() : new Uint8Array(this.#buffer.length * 2);
      grown.set(this.available);
      this.#buffer = grown;
    } else if (!isEmpty && this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
    }
    this.#end -= this.#start;
    this.#start = 0;
    this.#wasFilled = false;
  }
}

/** Larger pieces are written separately instead of being copied behind their head. */
const COPY_LIMIT_BYTES = LARGE_BYTES - 1024; // docs/tuning.md#buffers
const NOTHING: Uint8Array = new Uint8Array(0);

/** The writing side: a message is one write where possible. At most one write is pending. */
export class ConnectionOutput {
  readonly #connection: Pick<ByteConnection, "write">;
  /** What is being written. */
  #message = NOTHING;
  /** The pooled buffer that it lies in; null: none. */
  #buffer: Uint8Array<ArrayBuffer> | null = null;
  /** The pending write. */
  #writing: Promise<void> | null = null;
  #acceptedWrites = 0;
  readonly #onWritten = (count: number): void | Promise<void> => {
    this.#acceptedWrites++;
    this.#writing = null;
    if (count < this.#message.length) return this.#write(this.#message.subarray(count));
    this.#message = NOTHING;
    if (this.#buffer !== null) {
      smallBuffers.give(this.#buffer);
      largeBuffers.give(this.#buffer);
    }
    this.#buffer = null;
  };
  readonly #onBroken = (error: unknown): never => {
    this.#writing = null;
    // The system may still read the buffer, so it does not go back to the pool.
    this.#buffer = null;
    throw error;
  };

  constructor(connection: Pick<ByteConnection, "write">) {
    this.#connection = connection;
  }

  /**
   * Writes all of `head` (Latin-1), `bytes` and `tail` (Latin-1); resolves when the system has accepted it. Rejects
   * when the connection breaks.
   */
  write(head: string, bytes: Uint8Array = NOTHING, tail = ""): Promise<void> {
    if (this.#writing !== null) return this.#writeAfter(this.#writing, head, bytes, tail);
    if (bytes.length > COPY_LIMIT_BYTES) return this.#writeApart(head, bytes, tail);
    return this.#write(this.#compose(head, bytes, tail));
  }

  /** A write is pending: the other side has not accepted everything yet. */
  get isWriting(): boolean {
    return this.#writing !== null;
  }

  /** Increases whenever the other side accepts something. */
  get acceptedWrites(): number {
    return this.#acceptedWrites;
  }

  /** For an answer while a `100 Continue` is still being written. */
  async #writeAfter(
    writing: Promise<void>,
    ...message: [head: string, bytes: Uint8Array, tail: string]
  ): Promise<void> {
    await writing;
    return await this.write(...message);
  }

  async #writeApart(head: string, bytes: Uint8Array, tail: string): Promise<void> {
    if (head !== "") await this.#write(this.#compose(head, NOTHING, ""));
    await this.#write(bytes);
    if (tail !== "") await this.#write(this.#compose(tail, NOTHING, ""));
  }

  #write(bytes: Uint8Array): Promise<void> {
    this.#message = bytes;
    this.#writing = this.#connection.write(bytes).then(this.#onWritten, this.#onBroken);
    return this.#writing;
  }

  #compose(head: string, bytes: Uint8Array, tail: string): Uint8Array {
    const length = head.length + bytes.length + tail.length;
    const target = this.#room(length);
    if (head !== "") writeLatin1(head, target, 0);
    target.set(bytes, head.length);
    if (tail !== "") writeLatin1(tail, target, head.length + bytes.length);
    return target;
  }

  #room(length: number): Uint8Array {
    if (length > LARGE_BYTES) return new Uint8Array(length);
    this.#buffer = (length > SMALL_BYTES ? largeBuffers : smallBuffers).take();
    return this.#buffer.subarray(0, length);
  }
}

/** Closes it, whether or not it is closed already. */
export function closeQuietly(connection: Pick<ByteConnection, "close">): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
