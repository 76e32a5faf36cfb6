/**
 * One request of a client and the answer to it, over HTTP/1.1.
 *
 * Owns the framing of the answer. A head waits for the first bytes of its body, so that both are sent in one write.
 */
import type { HeaderFields } from "../core/header_fields.ts";
import type { ConnectionInput, ConnectionOutput } from "./connection.ts";
import type { AnswerHead, InboundExchange, RequestBody } from "./exchange.ts";
import { isPersistent, requestFraming } from "./framing.ts";
import { fieldLine, type RequestHead } from "./head.ts";
import { MessageBody } from "./reading.ts";
import { reasonPhrase } from "./reason_phrases.ts";
export interface InboundExchangeContext {
  readonly output: ConnectionOutput;
  readonly input: ConnectionInput;
  readonly remoteAddress: string;
  /** The current value of the `date` header. */
  readonly date: () => string;
  /** The server is stopping: no further request on this connection. */
  readonly isDraining: () => boolean;
  /** Closes the connection, whatever is under way on it. */
  readonly abort: () => void;
}

const NOTHING = new Uint8Array(0);

export class HttpInboundExchange implements InboundExchange {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderFields;
  readonly body: IncomingBody | null;
  readonly #head: RequestHead;
  readonly #context: InboundExchangeContext;
  readonly #message: MessageBody;
  #isContinueDue: boolean;
  #onGone: (() => void) | null = null;
  #isWatching = false;
  #isGone = false;
  #answer: "none" | "whole" | "length" | "chunked" | "until_close" = "none";
  /** Bytes left of an answer with a declared length. */
  #leftBytes = 0;
  #waitingHead = "";
  #isEnded = false;
  #isCut = false;
  #isLast: boolean;
  readonly #onReplied = (): void => {
    this.#isEnded = true;
  };
  readonly #onBroken = (error: unknown): never => {
    this.#gone();
    throw error;
  };

  /** @throws MessageError when the body's framing is ambiguous */
  constructor(head: RequestHead, context: InboundExchangeContext) {
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
    const declaredBytes = framing.type === "length" ? framing.bytes : null;
    this.body = framing.type === "none" ? null : new IncomingBody(this.#message, {
      declaredBytes,
      onRead: () => this.#continue(),
      onDone: () => this.#watch(),
    });
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

  /** A read of the request's body is pending. */
  get isBodyAwaited(): boolean {
    return this.body?.isAwaited ?? false;
  }

  /** The answer was sent completely, and the connection can serve another request. */
  get isReusable(): boolean {
    return this.#isEnded && !this.#isLast && !this.#isCut && !this.#isGone && this.#message.isDone;
  }

  onGone(callback: () => void): () => void {
    this.#onGone = callback;
    if (this.#isGone) queueMicrotask(() => this.#tellGone());
    else this.#watch();
    return () => {
      if (this.#onGone === callback) this.#onGone = null;
    };
  }

  reply(head: AnswerHead, body: Uint8Array | null): Promise<void> {
    const { status } = head;
    const isBodyless = this.#isBodyless(status);
    const bytes = isBodyless || body === null ? NOTHING : body;
    this.#answer = "whole";
    const text = this.#format(head, isBodyless ? toldLength(head) : bytes.length);
    return this.#context.output.write(text, bytes).then(this.#onReplied, this.#onBroken);
  }

  begin(head: AnswerHead): void {
    const length = head.contentLength ?? null;
    if (this.#isBodyless(head.status)) {
      this.#answer = "whole";
      this.#waitingHead = this.#format(head, toldLength(head));
      return;
    }
    if (length !== null) this.#answer = "length";
    else this.#answer = this.#head.isHttp10 ? "until_close" : "chunked";
    if (this.#answer === "until_close") this.#isLast = true;
    this.#leftBytes = length ?? 0;
    this.#waitingHead = this.#format(head, length);
  }

  write(bytes: Uint8Array): Promise<void> {
    const head = this.#waitingHead;
    this.#waitingHead = "";
    if (this.#answer === "chunked" && bytes.length > 0) {
      return this.#write(`${head}${bytes.length.toString(16)}\r\n`, bytes, "\r\n");
    }
    return this.#account(bytes) ? this.#write(head, bytes) : this.#overflow(head, bytes);
  }

  async end(last: Uint8Array = NOTHING): Promise<void> {
    if (this.#isCut) return;
    const head = this.#waitingHead;
    this.#waitingHead = "";
    if (this.#answer !== "chunked") {
      if (!this.#account(last)) return await this.#overflow(head, last).catch(() => {});
      if (head !== "" || last.length > 0) await this.#write(head, last);
      if (this.#answer === "length" && this.#leftBytes > 0) return this.cut();
    } else if (last.length > 0) {
      await this.#write(`${head}${last.length.toString(16)}\r\n`, last, "\r\n0\r\n\r\n");
    } else await this.#write(`${head}0\r\n\r\n`, NOTHING);
    this.#isEnded = true;
  }

  /** Counts bytes; false beyond the declared length. */
  #account(bytes: Uint8Array): boolean {
    const limit = this.#answer === "length" ? this.#leftBytes : this.#answer === "whole" ? 0 : Infinity;
    if (bytes.length > limit) return false;
    if (this.#answer === "length") this.#leftBytes -= bytes.length;
    return true;
  }

  /** Sends what was declared, and ends the connection: the rest would pass for the next answer. Rejects. */
  async #overflow(head: string, bytes: Uint8Array): Promise<never> {
    const fitting = bytes.subarray(0, this.#leftBytes);
    this.#leftBytes = 0;
    this.#isCut = true;
    if (head !== "" || fitting.length > 0) await this.#write(head, fitting);
    this.cut();
    throw new Error("the answer is too long");
  }

  cut(): void {
    this.#isCut = true;
    // A client that accepts nothing would hold the connection forever; otherwise it ends in an orderly way.
    if (this.#context.output.isWriting) this.#context.abort();
  }

  /** Asks a client that waits for it to send its body (RFC 9110 section 10.1.1). */
  async #continue(): Promise<void> {
    if (!this.#isContinueDue) return;
    this.#isContinueDue = false;
    if (!this.isAnswered && this.#context.input.availableBytes === 0) {
      await this.#write("HTTP/1.1 100 Continue\r\n\r\n", NOTHING);
    }
  }

  /** Reads on during the answer, to notice when the client leaves. */
  #watch(): void {
    if (this.#isWatching || this.#onGone === null || !this.#message.isDone) return;
    this.#isWatching = true;
    void this.#readOn();
  }

  async #readOn(): Promise<void> {
    const { input } = this.#context;
    input.shrink();
    try {
      // Bytes that arrive now belong to the next request; they wait in the buffer, which must not grow.
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

  #isBodyless(status: number): boolean {
    return this.method === "HEAD" || status === 204 || status === 304;
  }

  #format({ status, headers }: AnswerHead, length: number | null): string {
    let text = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
    let hasDate = false;
    for (const [name, value] of headers) {
      if (name === "content-length" || name === "transfer-encoding") continue;
      hasDate ||= name === "date";
      text += fieldLine(name, value);
    }
    if (length !== null) text += fieldLine("content-length", String(length));
    if (this.#answer === "chunked") text += fieldLine("transfer-encoding", "chunked");
    if (!hasDate) text += fieldLine("date", this.#context.date());
    if (!this.#message.isDone || this.#context.isDraining()) this.#isLast = true;
    if (this.#isLast) text += fieldLine("connection", "close");
    else if (this.#head.isHttp10) text += fieldLine("connection", "keep-alive");
    return `${text}\r\n`;
  }

  #write(head: string, bytes: Uint8Array, tail = ""): Promise<void> {
    return this.#context.output.write(head, bytes, tail).then(undefined, this.#onBroken);
  }
}

/** The declared length of an answer without a body; a 204 must not have one (RFC 9110 section 8.6). */
function toldLength({ status, contentLength }: AnswerHead): number | null {
  return status === 204 ? null : contentLength ?? null;
}

/** The body of a request. */
class IncomingBody implements RequestBody {
  readonly declaredBytes: number | null;
  isAwaited = false;
  readonly #message: MessageBody;
  readonly #hooks: { onRead(): Promise<void>; onDone(): void };

  constructor(
    message: MessageBody,
    hooks: { readonly declaredBytes: number | null; onRead(): Promise<void>; onDone(): void },
  ) {
    this.#message = message;
    this.declaredBytes = hooks.declaredBytes;
    this.#hooks = hooks;
  }

  get isDone(): boolean {
    return this.#message.isDone;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    let bytes: Uint8Array<ArrayBuffer> | null = null;
    try {
      bytes = this.#message.take();
    } catch {
      // The next read throws it again.
    }
    if (this.isDone) this.#hooks.onDone();
    return bytes;
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    await this.#hooks.onRead();
    this.isAwaited = true;
    try {
      return await this.#message.read();
    } finally {
      this.isAwaited = false;
      if (this.isDone) this.#hooks.onDone();
    }
  }

  /** Nothing to do: if a request was not read completely, its connection ends with the answer. */
  cancel(): void {}
}
