/**
 * One request to an upstream and the reply to it, on one connection.
 *
 * Returns the connection to its pool if it can serve another request, and closes it otherwise.
 */
import type { Cancellation } from "../core/cancellation.ts";
import type { LendingSource } from "./byte_source.ts";
import { isPersistent, ReplyError, replyFraming } from "./framing.ts";
import { CutHeadError, MessageError, parseReplyHead, type ReplyHead } from "./head.ts";
import type { Pool, PooledConnection } from "./pool.ts";
import { MessageBody, readHead, takeHead } from "./reading.ts";
import { isConnectionEnd } from "./connection_end.ts";
import type { UpstreamReply, UpstreamRequest } from "./upstream_client.ts";

/** Interim replies before the final one; the limit of Go's client. */
const MAX_INTERIM_REPLIES = 5;
/** Enough of a credential to contain the name of its scheme. */
const SCHEME_LENGTH = 16;

/** A request as it is sent, perhaps twice. */
export interface OutgoingMessage {
  readonly head: string;
  readonly body: Uint8Array | undefined;
}

export class OutboundExchange implements LendingSource {
  readonly #connection: PooledConnection;
  readonly #method: string;
  readonly #cancellation: Cancellation;
  readonly #pool: Pool;
  readonly #abort = () => this.cancel();
  readonly #onUploaded = (): void => {
    this.#isUploading = false;
  };
  readonly #onFilled = (hasMore: boolean): void => {
    if (hasMore || this.#isOver || this.#body === null) return;
    try {
      this.#body.endOfInput();
      this.#finish();
    } catch (error) {
      this.#onBroken(error);
    }
  };
  readonly #onBroken = (error: unknown): never => {
    this.#error ??= error;
    this.#close();
    throw this.#error;
  };
  /** The request carries a credential that authenticates the whole connection. */
  readonly #isAuthenticating: boolean;
  #body: MessageBody | null = null;
  #isReusable = false;
  #isUploading = true;
  #isOver = false;
  /** The last bytes of the body are lent; the next reply would overwrite them. */
  #isEndLent = false;
  #error: unknown = null;

  constructor(connection: PooledConnection, request: UpstreamRequest, pool: Pool) {
    this.#connection = connection;
    // Keeps no reference to the request: its body can be collected while the reply is read.
    this.#method = request.method;
    this.#cancellation = request.cancellation;
    this.#isAuthenticating = OF_CONNECTION.test(
      request.headers.get("authorization")?.slice(0, SCHEME_LENGTH) ?? "",
    );
    this.#pool = pool;
    pool.begun();
    request.cancellation.onCancel(this.#abort);
  }

  /** Null when the connection ended before the first byte of the reply. */
  async run(message: OutgoingMessage, { isReused }: { isReused: boolean }): Promise<UpstreamReply | null> {
    try {
      // Errors show in the reply, or in its absence: the server may answer before it has read everything.
      const upload = this.#connection.output.write(message.head, message.body).then(
        this.#onUploaded,
        () => {},
      );
      const { input } = this.#connection;
      let head: ReplyHead | null = null;
      for (let interim = 0; head === null && (input.availableBytes > 0 || await input.fill()); interim++) {
        const text = takeHead(input) ?? await readHead(input, checkBeginning);
        if (text === null) break;
        head = finalHead(text);
        if (head === null && interim === MAX_INTERIM_REPLIES) {
          throw new ReplyError(`more than ${MAX_INTERIM_REPLIES} interim replies`);
        }
      }
      if (head === null) {
        if (!isReused) await upload;
        this.#close();
        throwIfCancelled(this.#cancellation);
        return null;
      }
      const { framing, contentLength, isSure } = replyFraming(head, this.#method);
      // RFC 9112 section 6.3: the chunks say where the body ends, and the length is removed.
      if (framing.type === "chunked") head.headers.delete("content-length");
      this.#body = new MessageBody(input, framing);
      this.#isReusable = isSure && isPersistent(head) && !this.#isAuthenticating && !isChallenge(head);
      if (this.#body.isDone) this.#finish();
      return { status: head.status, headers: head.headers, contentLength, body: this };
    } catch (error) {
      this.#close();
      throwIfCancelled(this.#cancellation);
      const isBegun = this.#connection.input.availableBytes > 0;
      if (isReused && !isBegun && isConnectionEnd(error)) return null;
      throw headError(error, { isBegun });
    }
  }

  get isDone(): boolean {
    return (this.#isOver || this.#isEndLent) && this.#error === null;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    const lent = this.lend();
    if (lent === null || this.#body === null) return null;
    const bytes = this.#body.copyOf(lent);
    this.release();
    return bytes;
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    this.release();
    if (this.#isOver || this.#body === null) return null;
    try {
      const bytes = this.#body.lend();
      if (this.#body.isDone) {
        if (bytes !== null) this.#isEndLent = true;
        else this.#finish();
      }
      return bytes;
    } catch (error) {
      this.#error = error;
      this.#close();
      return null;
    }
  }

  release(): void {
    if (!this.#isEndLent) return;
    this.#isEndLent = false;
    this.#finish();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const bytes = this.take();
      if (bytes !== null) return bytes;
      if (this.isDone) return null;
      await this.ready();
    }
  }

  ready(): Promise<void> {
    this.release();
    if (this.#error !== null) return Promise.reject(this.#error);
    if (this.#isOver || this.#body === null) return Promise.resolve();
    return this.#connection.input.fill().then(this.#onFilled, this.#onBroken);
  }

  cancel(): void {
    this.#close();
  }

  /** The reply has been read to its end. */
  #finish(): void {
    if (!this.#leave()) return;
    const isFree = this.#isReusable && !this.#isUploading && this.#connection.input.availableBytes === 0;
    if (isFree) this.#pool.give(this.#connection);
    else this.#connection.close();
  }

  #close(): void {
    if (this.#leave()) this.#connection.close();
  }

  /** False when this exchange has already left its connection. */
  #leave(): boolean {
    if (this.#isOver) return false;
    this.#isOver = true;
    this.#cancellation.offCancel(this.#abort);
    this.#pool.ended();
    return true;
  }
}

/** Null for an interim one (1xx), which another follows. */
function finalHead(text: string): ReplyHead | null {
  const head = parseReplyHead(text);
  return head.status >= 200 || head.status < 100 || head.status === 101 ? head : null;
}

const BEGINNING = "HTTP/1.";
/** First bytes of a TLS alert and a TLS handshake (RFC 8446 section 5.1). */
const TLS_RECORDS = [0x15, 0x16];
/** A frame of settings (RFC 9113 section 6.5): a length below 64 KiB, and the type. */
const HTTP2_SETTINGS = 0x04;
const CR = 0x0d;

/** Notices at once what is no HTTP, and may never end. @throws MessageError */
function checkBeginning(bytes: Uint8Array): void {
  if (bytes[0] === CR) return;
  for (let at = 0; at < Math.min(bytes.length, BEGINNING.length); at++) {
    if (bytes[at] === BEGINNING.charCodeAt(at)) continue;
    if (TLS_RECORDS.includes(bytes[0] ?? 0)) {
      throw new MessageError(400, "it is TLS, not HTTP; the endpoint should begin with https");
    }
    if (bytes[0] === 0 && bytes[3] === HTTP2_SETTINGS) {
      throw new MessageError(400, "it is HTTP/2, which is not spoken here");
    }
    throw new MessageError(400, "it does not begin like a reply in HTTP/1.1");
  }
}

/** What a failure before the end of a head means; `isBegun`: a part of it has come. */
function headError(error: unknown, { isBegun }: { readonly isBegun: boolean }): unknown {
  if (error instanceof CutHeadError || (isBegun && isConnectionEnd(error))) {
    return new ReplyError("it broke off within its head", { isCut: true, cause: error });
  }
  return error instanceof MessageError ? new ReplyError(error.message, { cause: error }) : error;
}

export function throwIfCancelled({ isCancelled }: Cancellation): void {
  if (isCancelled) throw new Error("the exchange was given up");
}

/**
 * Schemes that authenticate a connection instead of a request: later requests on it count as the same person's.
 * @see https://www.rfc-editor.org/rfc/rfc4559#section-6
 */
const OF_CONNECTION = /\b(?:negotiate|ntlm)\b/i;

function isChallenge({ status, headers }: ReplyHead): boolean {
  if (status !== 401 && status !== 407) return false;
  return CHALLENGES.some((name) => OF_CONNECTION.test(headers.get(name) ?? ""));
}
const CHALLENGES = ["www-authenticate", "proxy-authenticate"] as const;
