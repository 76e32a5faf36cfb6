/**
 * Tells when the event loop has made a turn: when the runtime has looked at all sockets.
 *
 * Only a socket can tell that at once: one byte goes from one end of a connection of the program with itself to the
 * other, and is read together with whatever else has arrived. A timer takes a millisecond and more; the runtime (tokio)
 * looks at sockets after 61 immediates, and not at all while messages of a `MessageChannel` come. Where there can be no
 * such connection, a timer is used.
 */

const ONE = new Uint8Array(1);
/** Connections of others to our listener, of which another program may know, before we do without. */
const MAX_STRANGERS = 8;

interface Ends {
  readonly near: Deno.TcpConn;
  readonly far: Deno.TcpConn;
}

/** Makes its connection when it is first used. */
export class LoopTurns {
  #state: "new" | "opening" | "open" | "unusable" = "new";
  #ends: Ends | null = null;
  #callback: (() => void) | null = null;
  readonly #buffer = new Uint8Array(16);
  readonly #onRead = (count: number | null): void => {
    if (count === null) this.close();
    else this.#endTurn();
  };
  readonly #onBroken = (): void => this.close();

  /** Calls back after the next turn; only one call at a time. */
  readonly after = (callback: () => void): void => {
    if (this.#state === "new") void this.#open();
    if (this.#ends === null) {
      setTimeout(callback, 0);
      return;
    }
    this.#callback = callback;
    // First the read, so that it has to wait until the runtime looks.
    this.#ends.far.read(this.#buffer).then(this.#onRead, this.#onBroken);
    this.#ends.near.write(ONE).catch(this.#onBroken);
  };

  /** From now on a timer is used; who waits is called back. */
  close(): void {
    this.#state = "unusable";
    const ends = this.#ends;
    this.#ends = null;
    if (ends !== null) { for (const end of [ends.near, ends.far]) closeQuietly(end); }
    this.#endTurn();
  }

  #endTurn(): void {
    const callback = this.#callback;
    this.#callback = null;
    callback?.();
  }

  async #open(): Promise<void> {
    this.#state = "opening";
    const ends = await connectToSelf().catch(() => null);
    // It may have been closed in the meantime.
    if (this.#state === "opening" && ends !== null) {
      this.#ends = ends;
      this.#state = "open";
      return;
    }
    this.#state = "unusable";
    if (ends !== null) { for (const end of [ends.near, ends.far]) closeQuietly(end); }
  }
}

/** @throws what the runtime throws, and RangeError when others fill the listener */
async function connectToSelf(): Promise<Ends> {
  const hostname = "127.0.0.1";
  const listener = Deno.listen({ hostname, port: 0 });
  let near: Deno.TcpConn | null = null;
  try {
    near = await Deno.connect({ hostname, port: listener.addr.port });
    near.setNoDelay();
    for (let strangers = 0; strangers < MAX_STRANGERS; strangers++) {
      const far = await listener.accept();
      const { remoteAddr } = far;
      if (remoteAddr.port === near.localAddr.port && remoteAddr.hostname === near.localAddr.hostname) {
        return { near, far };
      }
      closeQuietly(far);
    }
    throw new RangeError("others have connected to the listener");
  } catch (error) {
    if (near !== null) closeQuietly(near);
    throw error;
  } finally {
    listener.close();
  }
}

function closeQuietly(connection: Deno.TcpConn): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}
