/**
 * A channel over HTTP: one message is one request, with a deadline and a single retry where the channel is broken.
 *
 * An error's message says which channel failed and why; it never contains the URL, which is a secret, so a fetch error
 * is never its cause. Must not follow a redirect.
 */
import type { Clock } from "../core/clock.ts";
import { type AlertMessage, type Channel, ChannelError, type Retry } from "./channel.ts";
import { isLater, namedWaitMs } from "./later.ts";

const TIMEOUT_MS = 10_000;
const RETRY_DELAY_MS = 1_000;
const MAX_REPLY_BYTES = 64 * 1024;

/** The part of `fetch` that is used. */
export type AlertFetch = (url: string, request: {
  readonly method: "POST" | "PUT";
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly redirect: "manual";
  readonly signal: AbortSignal;
}) => Promise<Response>;

export interface ChannelDependencies {
  readonly fetch: AlertFetch;
  readonly clock: Clock;
  /** Names this program among several, in the generic webhook. */
  readonly instance: string;
}

export interface HttpForm {
  readonly url: (message: AlertMessage) => string;
  readonly method: "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: (message: AlertMessage) => unknown;
  /** Why a 2xx reply is a failure; null when it is not. Without this function the reply is not read. */
  readonly refusal?: (reply: string) => string | null;
}

export function httpChannel(name: string, dependencies: ChannelDependencies, form: HttpForm): Channel {
  return {
    name,
    send: async (message, signal) => {
      try {
        await sendOnce(name, dependencies, { form, message, signal });
      } catch (error) {
        if (!(error instanceof ChannelError) || error.retry.type !== "soon") throw error;
        await delay(dependencies.clock, RETRY_DELAY_MS, signal);
        await sendOnce(name, dependencies, { form, message, signal });
      }
    },
  };
}

interface Sending {
  readonly form: HttpForm;
  readonly message: AlertMessage;
  readonly signal: AbortSignal;
}

async function sendOnce(
  name: string,
  { fetch, clock }: ChannelDependencies,
  { form, message, signal }: Sending,
): Promise<void> {
  const deadline = new AbortController();
  const timer = clock.setTimer(() => deadline.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(form.url(message), {
      method: form.method,
      headers: { "content-type": "application/json", ...form.headers },
      body: JSON.stringify(await form.body(message)),
      // The URL or a header holds a credential, which must not follow a redirect.
      redirect: "manual",
      signal: AbortSignal.any([signal, deadline.signal]),
    });
    if (response.ok && form.refusal === undefined) return await response.body?.cancel();
    const body = await boundedText(response);
    const refusal = response.ok ? form.refusal?.(body) ?? null : `it answered ${response.status}`;
    if (refusal === null) return;
    throw new ChannelError(name, refusal, retryOf(response, { body, nowMs: clock.now() }));
  } catch (error) {
    if (error instanceof ChannelError) throw error;
    if (signal.aborted) throw new ChannelError(name, "the program is stopping", { type: "never" });
    if (deadline.signal.aborted) {
      throw new ChannelError(name, `no answer within ${TIMEOUT_MS / 1000} s`, { type: "soon" });
    }
    throw new ChannelError(name, networkReason(error), { type: "soon" });
  } finally {
    clock.clearTimer(timer);
  }
}

function retryOf(
  { status, headers }: Pick<Response, "status" | "headers">,
  { body, nowMs }: { readonly body: string; readonly nowMs: number },
): Retry {
  const afterMs = namedWaitMs({ status, headers, body, nowMs });
  // A server that is down for a while may say so, too.
  const isAsking = status >= 500 && afterMs !== null;
  if (isAsking || (status < 500 && isLater({ status, body }))) return { type: "later", afterMs };
  return { type: status >= 500 ? "soon" : "never" };
}

/** At most 64 KiB of a reply, as text. */
async function boundedText(response: Response): Promise<string> {
  if (response.body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.length;
    text += decoder.decode(chunk, { stream: true });
    // Leaving the loop cancels the body.
    if (bytes > MAX_REPLY_BYTES) break;
  }
  return text;
}

/** A reason without the URL, which Deno includes in the cause of fetch errors. */
function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause ?? error : error;
  const message = String(cause).toLowerCase();
  if (message.includes("refused")) return "connection refused";
  if (message.includes("dns error") || message.includes("lookup")) return "host name not found";
  if (message.includes("certificate") || message.includes("corrupt message")) return "TLS handshake failed";
  if (message.includes("invalid url")) return "its URL is not valid";
  return "network error";
}

/** Resolves after the delay, or as soon as `signal` aborts. */
export function delay(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      clock.clearTimer(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = clock.setTimer(finish, delayMs);
    signal.addEventListener("abort", finish);
    if (signal.aborted) finish();
  });
}
