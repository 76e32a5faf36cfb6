/**
 * The bridge between an exchange and the web's `Request` and `Response`, which Hono speaks.
 *
 * Making a `Request` costs more than routing it, so it is made only when something needs more than its method;
 * relaying never does.
 */
import { isEventStream } from "../core/body_form.ts";
import { RouterError } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import { TimedReader } from "../wire/timed_reader.ts";
import type { InboundExchange, RequestBody } from "../wire/exchange.ts";
import { MessageError } from "../wire/head.ts";

/** Returned by a handler that has answered through the exchange itself. */
export const ALREADY_ANSWERED: Response = new Response(null, { status: 204 });

const EXCHANGE = Symbol("exchange");
const REQUEST = Symbol("request");

/** How long a body may take. */
export interface BodyTimes {
  readonly clock: Clock;
  /** Between two of its pieces. */
  readonly idleMs: number;
  /** For all of it, from the first read; null: no limit. */
  readonly totalMs: number | null;
}

const TIMES = Symbol("times");

/** A request whose `Request` is made when it is needed. */
interface LazyRequest {
  readonly [TIMES]: BodyTimes;
  readonly [EXCHANGE]: InboundExchange;
  [REQUEST]?: Request;
}

const NOTHING = new Uint8Array(0);
const OWN_ORIGIN = "http://localhost";

/**
 * The exchange as a `Request`, which is made lazily for what is to be relayed. Its URL has a host of our own: the
 * client's `host` header need not be valid in a URL.
 */
export function webRequest(exchange: InboundExchange, times: BodyTimes): Request {
  if (!exchange.target.startsWith("/v1/")) return makeRequest(exchange, times);
  const request = Object.create(PROTOTYPE);
  request[TIMES] = times;
  request[EXCHANGE] = exchange;
  return request;
}

function made(lazy: LazyRequest): Request {
  lazy[REQUEST] ??= makeRequest(lazy[EXCHANGE], lazy[TIMES]);
  return lazy[REQUEST];
}

const PROTOTYPE: object = Object.create(Request.prototype, {
  method: {
    get(this: LazyRequest) {
      return this[EXCHANGE].method;
    },
  },
});
for (const name of ["url", "headers", "body", "bodyUsed", "signal", "redirect"] as const) {
  Object.defineProperty(PROTOTYPE, name, {
    get(this: LazyRequest) {
      return made(this)[name];
    },
  });
}
for (const name of ["arrayBuffer", "blob", "bytes", "clone", "formData", "json", "text"] as const) {
  Object.defineProperty(PROTOTYPE, name, {
    value(this: LazyRequest) {
      return made(this)[name]();
    },
  });
}

function makeRequest(exchange: InboundExchange, times: BodyTimes): Request {
  const { method, target, headers, body } = exchange;
  const path = target.startsWith("/") ? target : `/${target.replace(/^[a-z]+:\/\/[^/]*\/?/i, "")}`;
  // `Request` allows no body with these methods, in upper or lower case (https://fetch.spec.whatwg.org/#dom-request).
  const hasBody = body !== null && !/^(?:get|head)$/i.test(method);
  return new Request(`${OWN_ORIGIN}${path}`, {
    method,
    headers: [...headers],
    ...(hasBody ? { body: streamOf(body, times), duplex: "half" } : {}),
  } as RequestInit);
}

/**
 * Errors with a RouterError 408 when the body comes too late, and 400 when it is broken: no fault of this program.
 */
function streamOf(body: RequestBody, { clock, idleMs, totalMs }: BodyTimes): ReadableStream<Uint8Array> {
  const reader = new TimedReader(body, clock);
  let endMs: number | null = null;
  return new ReadableStream({
    pull: async (controller) => {
      const nowMs = clock.monotonic();
      endMs ??= totalMs === null ? Infinity : nowMs + totalMs;
      const read = await reader.read(Math.min(idleMs, endMs - nowMs));
      switch (read.type) {
        case "chunk":
          return controller.enqueue(read.bytes);
        case "end":
          return controller.close();
        case "late":
          return controller.error(
            new RouterError(408, "request_timeout", "The request's body did not come in time; send it again"),
          );
        case "broken":
          return controller.error(
            new RouterError(
              400,
              "invalid_request",
              `The request's body is refused: ${problemOf(read.error)}`,
            ),
          );
        default:
          return read satisfies never;
      }
    },
  }, { highWaterMark: 0 });
}

function problemOf(error: unknown): string {
  return error instanceof MessageError ? error.message : "it broke off";
}

/**
 * Sends a response over the exchange, unless that is answered or its client has gone: for a HEAD request, Hono makes
 * another response of {@link ALREADY_ANSWERED}. A stream is cancelled when the client
 * leaves. Never rejects.
 */
export async function sendResponse(exchange: InboundExchange, response: Response): Promise<void> {
  // Whoever makes the body counts it as open until it is cancelled.
  if (exchange.isAnswered || exchange.isGone) return void response.body?.cancel().catch(() => {});
  const head = { status: response.status, headers: response.headers };
  try {
    if (response.body === null) return await exchange.reply(head, null);
    await sendBody(exchange, head, response.body.getReader());
  } catch {
    exchange.cut();
  }
}

async function sendBody(
  exchange: InboundExchange,
  head: { readonly status: number; readonly headers: Headers },
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<void> {
  const forget = exchange.onGone(() => void reader.cancel().catch(() => {}));
  try {
    if (!isEventStream(head.headers.get("content-type"))) {
      const first = await reader.read();
      const second = first.done ? first : await reader.read();
      // Nearly every page and document is one piece, so its length is known.
      if (second.done) return await exchange.reply(head, first.value ?? null);
      exchange.begin(head);
      await exchange.write(first.value ?? NOTHING);
      await exchange.write(second.value);
    } else {
      exchange.begin(head);
      // The head of an event stream must not wait for the first event.
      await exchange.write(NOTHING);
    }
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      await exchange.write(next.value);
    }
    if (!exchange.isGone) await exchange.end();
  } catch (error) {
    await reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    forget();
  }
}
