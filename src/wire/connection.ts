/**
 * A connection as bytes: buffered reading, whole writes, and the end noticed while nobody reads.
 *
 * Knows no HTTP. One read is under way at most; it may go on while others use what has come.
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

/** What an idle connection holds. */
const SMALL_BYTES = 4 * 1024;
/** What one read may bring at most. */
const LARGE_BYTES = 64 * 1024;

/** Large buffers that nobody uses, for the next who needs one; making one costs more than a relayed request. */
const spare: Uint8Array<ArrayBuffer>[] = [];
const MAX_SPARE = 64;

function takeLarge(): Uint8Array<ArrayBuffer> {
  return spare.pop() ?? new Uint8Array(LARGE_BYTES);
}

/** The reading side. */
export class ConnectionInput {
  readonly #connection: Pick<ByteConnection, "read">;
  #buffer = new Uint8Array(SMALL_BYTES);
  #start = 0;
  #end = 0;
  #wasFilled = false;
  #reading: Promise<boolean> | null = null;

  constructor(connection: Pick<ByteConnection, "read">) {
    this.#connection = connection;
  }

  /** Bytes that have come and were not consumed; valid until the next {@link fill}. */
  get available(): Uint8Array<ArrayBuffer> {
    return this.#buffer.subarray(this.#start, this.#end);
  }

  get availableBytes(): number {
    return this.#end - this.#start;
  }

  consume(bytes: number): void {
    this.#start += bytes;
  }

  /**
   * Waits for more bytes; false at the end. Calls while a read is under way share it. Rejects when the connection
   * breaks.
   */
  fill(): Promise<boolean> {
    this.#reading ??= this.#read();
    return this.#reading;
  }

  /** Gives a large buffer back; for a connection that becomes idle. */
  shrink(): void {
    if (this.#reading !== null || this.#start < this.#end || this.#buffer.length === SMALL_BYTES) return;
    if (this.#buffer.length === LARGE_BYTES && spare.length < MAX_SPARE) spare.push(this.#buffer);
    this.#buffer = new Uint8Array(SMALL_BYTES);
    this.#start = this.#end = 0;
    this.#wasFilled = false;
  }

  async #read(): Promise<boolean> {
    try {
      this.#makeRoom();
      const count = await this.#connection.read(this.#buffer.subarray(this.#end));
      if (count === null) return false;
      this.#end += count;
      this.#wasFilled = this.#end === this.#buffer.length;
      return true;
    } finally {
      this.#reading = null;
    }
  }

  #makeRoom(): void {
    const isEmpty = this.#start === this.#end;
    const isFull = !isEmpty && this.#start === 0 && this.#end === this.#buffer.length;
    const isSmall = this.#buffer.length < LARGE_BYTES;
    if (isFull || (this.#wasFilled && isSmall)) {
      const grown = isSmall ? takeLarge() : new Uint8Array(this.#buffer.length * 2);
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

/** Beyond this, bytes are written by themselves instead of being copied behind what goes before them. */
const COPY_LIMIT_BYTES = 64 * 1024;
const NOTHING = new Uint8Array(0);

/** The writing side: what goes out together goes out in one write. One write is under way at most. */
export class ConnectionOutput {
  readonly #connection: Pick<ByteConnection, "write">;
  #buffer = NOTHING;
  #openWrites = 0;
  #acceptedWrites = 0;

  constructor(connection: Pick<ByteConnection, "write">) {
    this.#connection = connection;
  }

  /**
   * Writes all of `head` (Latin-1), `bytes` and `tail` (Latin-1); resolves when the system has taken it. Rejects when
   * the connection breaks.
   */
  async write(head: string, bytes: Uint8Array = NOTHING, tail = ""): Promise<void> {
    if (bytes.length > COPY_LIMIT_BYTES) {
      if (head !== "") await this.#send(this.#compose(head, NOTHING, ""));
      await this.#send(bytes);
      if (tail !== "") await this.#send(this.#compose(tail, NOTHING, ""));
      return;
    }
    const message = this.#compose(head, bytes, tail);
    const sent = await this.#writeSome(message);
    if (sent < message.length) await this.#send(message.subarray(sent));
  }

  /** A write is under way: the other side has not taken everything yet. */
  get isWriting(): boolean {
    return this.#openWrites > 0;
  }

  /** Grows whenever the other side takes something. */
  get acceptedWrites(): number {
    return this.#acceptedWrites;
  }

  async #writeSome(bytes: Uint8Array): Promise<number> {
    this.#openWrites++;
    try {
      const count = await this.#connection.write(bytes);
      this.#acceptedWrites++;
      return count;
    } finally {
      this.#openWrites--;
    }
  }

  #compose(head: string, bytes: Uint8Array, tail: string): Uint8Array {
    const length = head.length + bytes.length + tail.length;
    if (length > SMALL_BYTES) return composeInto(new Uint8Array(length), head, bytes, tail);
    if (this.#buffer.length === 0) this.#buffer = new Uint8Array(SMALL_BYTES);
    return composeInto(this.#buffer.subarray(0, length), head, bytes, tail);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#writeSome(bytes.subarray(at));
  }
}

function composeInto(target: Uint8Array, head: string, bytes: Uint8Array, tail: string): Uint8Array {
  if (head !== "") writeLatin1(head, target);
  target.set(bytes, head.length);
  if (tail !== "") writeLatin1(tail, target.subarray(head.length + bytes.length));
  return target;
}

/** Closes it, whether or not it is closed already. */
export function closeQuietly(connection: Pick<ByteConnection, "close">): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
