/**
 * One request of a client and the answer to it, over HTTP/1.1: the server's side.
 *
 * Owns the framing of the answer. A head waits for the first bytes of its body, so that both go out in one write.
 */
import { HeaderFields, type HeaderView } from "../core/header_fields.ts";
import { type ByteConnection, type ConnectionInput, writeAll } from "./connection.ts";
import { isPersistent, requestFraming } from "./framing.ts";
import { formatHead, type RequestHead, writeLatin1 } from "./head.ts";
import { MessageBody } from "./reading.ts";
import { reasonPhrase } from "./reason_phrases.ts";

/** What a client asks, and the way to answer. */
export interface ClientExchange {
  readonly method: string;
  /** The request target as it was sent. */
  readonly target: string;
  readonly headers: HeaderView;
  readonly remoteAddress: string;
  /** Null when the request has none. */
  readonly body: RequestBody | null;
  /** The client has left, or broke the connection. */
  readonly isGone: boolean;
  /**
   * Calls back once when the client leaves; soon when it has left already. Noticed once the request has been read; a
   * client that has sent further requests already is noticed when it takes no more. Returns the function that forgets
   * it.
   */
  onGone(callback: () => void): () => void;
  /** Answers with a whole body; `content-length` is set here. Resolves when it has been handed to the system. */
  reply(head: AnswerHead, body: Uint8Array | null): Promise<void>;
  /**
   * Begins an answer whose body follows by {@link write}. With a `content-length` header that is its length, else it
   * is sent chunked.
   */
  begin(head: AnswerHead): void;
  /** Sends these bytes, and the head if it waits; resolves when the client's side can take more. Rejects when it is gone. */
  write(bytes: Uint8Array): Promise<void>;
  /** The body has ended as it should. */
  end(): Promise<void>;
  /** Ends the connection without the body's proper end, so that the client can tell. */
  cut(): void;
  /** An answer has been begun. */
  readonly isAnswered: boolean;
}

export interface RequestBody {
  /** Declared length in bytes; null when chunked. */
  readonly declaredBytes: number | null;
  /** The next bytes, null at the end. Rejects when the client breaks off or frames it wrongly. */
  read(): Promise<Uint8Array<ArrayBuffer> | null>;
}

export interface AnswerHead {
  /** 200 to 999. */
  readonly status: number;
  /** End-to-end headers, names in lower case. */
  readonly headers: Iterable<readonly [string, string]>;
}

export interface ExchangeContext {
  readonly connection: ByteConnection;
  readonly input: ConnectionInput;
  readonly remoteAddress: string;
  /** The value of the `date` header, now. */
  readonly date: () => string;
  /** The server is stopping: no further request on this connection. */
  readonly isDraining: () => boolean;
}

const CONTINUE = new TextEncoder().encode("HTTP/1.1 100 Continue\r\n\r\n");
const LAST_CHUNK = new TextEncoder().encode("0\r\n\r\n");
const NOTHING = new Uint8Array(0);
/** Beyond this a piece is written by itself instead of being copied behind its frame. */
const COPY_LIMIT_BYTES = 64 * 1024;

export class ServerExchange implements ClientExchange {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderFields;
  readonly body: RequestBody | null;
  readonly #head: RequestHead;
  readonly #context: ExchangeContext;
  readonly #message: MessageBody;
  #isContinueDue: boolean;
  #onGone: (() => void) | null = null;
  #isWatching = false;
  #isGone = false;
  #answer: "none" | "whole" | "length" | "chunked" | "until_close" = "none";
  #waitingHead = "";
  #isEnded = false;
  #isCut = false;
  #isLast: boolean;

  /** @throws MessageError when the body's framing is ambiguous */
  constructor(head: RequestHead, context: ExchangeContext) {
    this.method = head.method;
    this.target = head.target;
    this.headers = head.headers;
    this.#head = head;
    this.#context = context;
    this.#isLast = !isPersistent(head);
    const framing = requestFraming(head);
    this.#message = new MessageBody(context.input, framing);
    this.#isContinueDue = framing.type !== "none" && !head.isHttp10 &&
      head.headers.get("expect")?.toLowerCase() === "100-continue";
    this.body = framing.type === "none" ? null : {
      declaredBytes: framing.type === "length" ? framing.bytes : null,
      read: () => this.#readBody(),
    };
  }

  get remoteAddress(): string {
    return this.#context.remoteAddress;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  get isAnswered(): boolean {
    return this.#answer !== "none";
  }

  /** The answer went out whole, and the connection can take another request. */
  get isReusable(): boolean {
    return this.#isEnded && !this.#isLast && !this.#isCut && !this.#isGone && this.#message.isDone;
  }

  onGone(callback: () => void): () => void {
    this.#onGone = callback;
    if (this.#isGone) queueMicrotask(() => this.#tellGone());
    else void this.#watch();
    return () => {
      if (this.#onGone === callback) this.#onGone = null;
    };
  }

  async reply(head: AnswerHead, body: Uint8Array | null): Promise<void> {
    const { status } = head;
    const isBodyless = this.method === "HEAD" || status === 204 || status === 304;
    const bytes = isBodyless || body === null ? NOTHING : body;
    this.#answer = "whole";
    const text = this.#format(head, isBodyless ? null : bytes.length);
    const message = new Uint8Array(text.length + bytes.length);
    writeLatin1(text, message);
    message.set(bytes, text.length);
    await this.#write(message);
    this.#isEnded = true;
  }

  begin(head: AnswerHead): void {
    const { status } = head;
    const isBodyless = this.method === "HEAD" || status === 204 || status === 304;
    let hasLength = false;
    for (const [name] of head.headers) hasLength ||= name === "content-length";
    if (isBodyless) this.#answer = "whole";
    else if (hasLength) this.#answer = "length";
    else this.#answer = this.#head.isHttp10 ? "until_close" : "chunked";
    if (this.#answer === "until_close") this.#isLast = true;
    this.#waitingHead = this.#format(head, null);
  }

  async write(bytes: Uint8Array): Promise<void> {
    const text = this.#waitingHead;
    this.#waitingHead = "";
    const isChunk = this.#answer === "chunked" && bytes.length > 0;
    if (!isChunk && text === "") return await this.#write(bytes);
    const size = isChunk ? `${bytes.length.toString(16)}\r\n` : "";
    if (bytes.length > COPY_LIMIT_BYTES) {
      await this.#write(encoded(text + size));
      await this.#write(bytes);
      if (isChunk) await this.#write(encoded("\r\n"));
      return;
    }
    const head = text + size;
    const message = new Uint8Array(head.length + bytes.length + (isChunk ? 2 : 0));
    writeLatin1(head, message);
    message.set(bytes, head.length);
    if (isChunk) message.set(LINE_END, head.length + bytes.length);
    await this.#write(message);
  }

  async end(): Promise<void> {
    if (this.#isCut) return;
    if (this.#waitingHead !== "") await this.write(NOTHING);
    if (this.#answer === "chunked") await this.#write(LAST_CHUNK);
    this.#isEnded = true;
  }

  cut(): void {
    this.#isCut = true;
  }

  async #readBody(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#isContinueDue) {
      this.#isContinueDue = false;
      if (!this.isAnswered && this.#context.input.availableBytes === 0) await this.#write(CONTINUE);
    }
    const bytes = await this.#message.read();
    if (bytes === null || this.#message.isDone) void this.#watch();
    return bytes;
  }

  /** Reads on while the request is being answered: its end is the client's leaving. */
  async #watch(): Promise<void> {
    if (this.#isWatching || this.#onGone === null || !this.#message.isDone) return;
    this.#isWatching = true;
    const { input } = this.#context;
    try {
      // What comes now belongs to the next request, and waits in the buffer, which must not grow.
      while (!this.#isEnded && input.availableBytes === 0) {
        if (!await input.fill()) break;
      }
      this.#isWatching = false;
      if (this.#isEnded || input.availableBytes > 0) return;
    } catch {
      // The connection broke.
    }
    this.#gone();
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#tellGone();
  }

  #tellGone(): void {
    const callback = this.#onGone;
    this.#onGone = null;
    callback?.();
  }

  #format({ status, headers }: AnswerHead, length: number | null): string {
    const fields: (readonly [string, string])[] = [];
    let hasDate = false;
    for (const field of headers) {
      if (field[0] === "content-length" && length !== null) continue;
      hasDate ||= field[0] === "date";
      fields.push(field);
    }
    if (length !== null) fields.push(["content-length", String(length)]);
    if (this.#answer === "chunked") fields.push(["transfer-encoding", "chunked"]);
    if (!hasDate) fields.push(["date", this.#context.date()]);
    if (!this.#message.isDone || this.#context.isDraining()) this.#isLast = true;
    if (this.#isLast) fields.push(["connection", "close"]);
    else if (this.#head.isHttp10) fields.push(["connection", "keep-alive"]);
    return formatHead(`HTTP/1.1 ${status} ${reasonPhrase(status)}`, fields);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await writeAll(this.#context.connection, bytes);
    } catch (error) {
      this.#gone();
      throw error;
    }
  }
}

const LINE_END = encoded("\r\n");

function encoded(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  writeLatin1(text, bytes);
  return bytes;
}
