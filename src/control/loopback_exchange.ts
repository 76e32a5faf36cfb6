/**
 * An exchange without a client: hands a request to the proxy and discards the reply.
 */
import type { HeaderView } from "../core/header_fields.ts";
import type { AnswerHead, InboundExchange, RequestBody } from "../wire/exchange.ts";

export interface LoopbackRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderView;
  readonly body: Uint8Array<ArrayBuffer> | null;
}

export class LoopbackExchange implements InboundExchange {
  readonly method: string;
  readonly target: string;
  readonly headers: HeaderView;
  readonly remoteAddress = "";
  readonly body: RequestBody | null;
  readonly isGone = false;
  #requestId: string | null = null;
  #isAnswered = false;

  constructor({ method, path, headers, body }: LoopbackRequest) {
    this.method = method;
    this.target = path;
    this.headers = headers;
    this.body = body === null ? null : new HeldBody(body);
  }

  get isAnswered(): boolean {
    return this.#isAnswered;
  }

  /** The answer's `x-oar-request-id`: the id of its record. */
  get requestId(): string | null {
    return this.#requestId;
  }

  onGone(): () => void {
    return () => {};
  }

  reply(head: AnswerHead): Promise<void> {
    this.begin(head);
    return Promise.resolve();
  }

  begin({ headers }: AnswerHead): void {
    this.#isAnswered = true;
    for (const [name, value] of headers) if (name === "x-oar-request-id") this.#requestId = value;
  }

  write(): Promise<void> {
    return Promise.resolve();
  }

  end(): Promise<void> {
    return Promise.resolve();
  }

  cut(): void {}
}

/** A body that is in memory already. */
class HeldBody implements RequestBody {
  readonly declaredBytes: number;
  #bytes: Uint8Array<ArrayBuffer> | null;

  constructor(bytes: Uint8Array<ArrayBuffer>) {
    this.declaredBytes = bytes.length;
    this.#bytes = bytes.length > 0 ? bytes : null;
  }

  get isDone(): boolean {
    return this.#bytes === null;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    const bytes = this.#bytes;
    this.#bytes = null;
    return bytes;
  }

  read(): Promise<Uint8Array<ArrayBuffer> | null> {
    return Promise.resolve(this.take());
  }

  cancel(): void {}
}
