/**
 * Where alerts go: Feishu, Matrix in two forms, any webhook.
 *
 * Owns the wire form of each channel, its deadline and its single retry. An error's message says which
 * channel failed and why; it never contains the URL, which is a secret, so a fetch error is never its cause.
 */
import type { AlertSettings } from "../config/alerts.ts";
import { withoutTrailingSlashes } from "../core/slashes.ts";
import type { Clock } from "../core/clock.ts";
import type { Alert } from "./notifier.ts";
import type { Repeats } from "./texts.ts";

const TIMEOUT_MS = 10_000;
const RETRY_DELAY_MS = 1_000;
const MAX_REPLY_BYTES = 64 * 1024;

/** One message, the same for all channels; it holds no secrets. */
export interface AlertMessage {
  /** Unique; the same on a retry. */
  readonly id: string;
  readonly text: string;
  readonly alert:
    | Alert
    | { readonly type: "digest"; readonly repeats: readonly Repeats[] }
    | { readonly type: "test" };
  /** Milliseconds since the Unix epoch. */
  readonly atMs: number;
}

/** One destination. */
export interface Channel {
  /** Metric label. */
  readonly name: string;
  /** Resolves when delivered; throws {@link ChannelError} when given up, or when `signal` aborts. */
  send(message: AlertMessage, signal: AbortSignal): Promise<void>;
}

/** A channel did not accept an alert. The error's message is safe to log. */
export class ChannelError extends Error {
  override readonly name = "ChannelError";
  constructor(channel: string, reason: string, readonly isRetryable: boolean) {
    super(`Cannot send alert to ${channel}: ${reason}`);
  }
}

export interface ChannelDependencies {
  readonly fetch: typeof globalThis.fetch;
  readonly clock: Clock;
  /** Names this program among several, in the generic webhook. */
  readonly instance: string;
}

/** The configured channels. */
export function channelsOf(settings: AlertSettings, dependencies: ChannelDependencies): Channel[] {
  const channels: Channel[] = [];
  if (settings.feishu !== null) channels.push(feishuChannel(settings.feishu, dependencies));
  if (settings.matrixApi !== null) channels.push(matrixApiChannel(settings.matrixApi, dependencies));
  if (settings.matrix !== null) channels.push(matrixChannel(settings.matrix, dependencies));
  if (settings.webhook !== null) channels.push(webhookChannel(settings.webhook, dependencies));
  return channels;
}

/**
 * A Feishu custom bot. It answers 200 even when it refuses; the reply's `code` tells.
 * https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
 */
export function feishuChannel(
  settings: { readonly webhook: string; readonly secret: string | null },
  dependencies: ChannelDependencies,
): Channel {
  return httpChannel("feishu", dependencies, {
    url: () => settings.webhook,
    method: "POST",
    body: async (message) => {
      const content = { msg_type: "text", content: { text: message.text } };
      if (settings.secret === null) return content;
      // Signed again on a retry: Feishu refuses a timestamp older than an hour.
      const timestamp = String(Math.floor(dependencies.clock.now() / 1000));
      return { timestamp, sign: await feishuSign(timestamp, settings.secret), ...content };
    },
    refusal: (reply) => {
      const code = codeOf(reply);
      return code === null || code === 0 ? null : `it answered code ${code}`;
    },
  });
}

/** As Feishu defines it, the message is empty and the key holds the timestamp (seconds) and the secret. */
async function feishuSign(timestamp: string, secret: string): Promise<string> {
  const bytes = new TextEncoder().encode(`${timestamp}\n${secret}`);
  const key = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, new Uint8Array())).toBase64();
}

/** As the Go program posted it: `message` is the literal `m.text`. */
export function matrixApiChannel(url: string, dependencies: ChannelDependencies): Channel {
  return httpChannel("matrix_api", dependencies, {
    url: () => url,
    method: "POST",
    body: (message) => ({ message: "m.text", body: message.text }),
  });
}

/**
 * The Matrix client API. The transaction id makes a retry idempotent.
 * https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid
 */
export function matrixChannel(
  settings: { readonly homeserver: string; readonly room: string; readonly token: string },
  dependencies: ChannelDependencies,
): Channel {
  const room = `${withoutTrailingSlashes(settings.homeserver)}/_matrix/client/v3/rooms/${
    encodeURIComponent(settings.room)
  }`;
  return httpChannel("matrix", dependencies, {
    url: (message) => `${room}/send/m.room.message/${encodeURIComponent(message.id)}`,
    method: "PUT",
    headers: { authorization: `Bearer ${settings.token}` },
    body: (message) => ({ msgtype: "m.text", body: message.text }),
  });
}

/**
 * Any program that takes JSON: `{ text, alert, at, instance }`.
 *
 * `text` is the line for people. `alert` is the alert's `type` with its fields (see {@link Alert}), or
 * `{ type: "digest", repeats: [{ count, last }] }`, or `{ type: "test" }`. `at` is ISO 8601 in UTC. `instance`
 * names the sender.
 */
export function webhookChannel(url: string, dependencies: ChannelDependencies): Channel {
  return httpChannel("webhook", dependencies, {
    url: () => url,
    method: "POST",
    body: (message) => ({
      text: message.text,
      alert: message.alert,
      at: new Date(message.atMs).toISOString(),
      instance: dependencies.instance,
    }),
  });
}

interface HttpForm {
  readonly url: (message: AlertMessage) => string;
  readonly method: "POST" | "PUT";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: (message: AlertMessage) => unknown;
  /** Why a 2xx reply is a failure; null when it is not. Without this function the reply is not read. */
  readonly refusal?: (reply: string) => string | null;
}

function httpChannel(name: string, dependencies: ChannelDependencies, form: HttpForm): Channel {
  return {
    name,
    send: async (message, signal) => {
      try {
        await sendOnce(name, dependencies, { form, message, signal });
      } catch (error) {
        if (!(error instanceof ChannelError) || !error.isRetryable) throw error;
        await delay(dependencies.clock, RETRY_DELAY_MS, signal);
        await sendOnce(name, dependencies, { form, message, signal });
      }
    },
  };
}

async function sendOnce(
  name: string,
  { fetch, clock }: ChannelDependencies,
  { form, message, signal }: {
    readonly form: HttpForm;
    readonly message: AlertMessage;
    readonly signal: AbortSignal;
  },
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
    if (!response.ok || form.refusal === undefined) {
      await response.body?.cancel();
      if (!response.ok) {
        const isRetryable = response.status >= 500 || response.status === 429;
        throw new ChannelError(name, `it answered ${response.status}`, isRetryable);
      }
      return;
    }
    const refusal = form.refusal(await boundedText(response));
    if (refusal !== null) throw new ChannelError(name, refusal, false);
  } catch (error) {
    if (error instanceof ChannelError) throw error;
    if (signal.aborted) throw new ChannelError(name, "the program is stopping", false);
    if (deadline.signal.aborted) {
      throw new ChannelError(name, `no answer within ${TIMEOUT_MS / 1000} s`, true);
    }
    throw new ChannelError(name, networkReason(error), true);
  } finally {
    clock.clearTimer(timer);
  }
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

/** Feishu's result code, null when the reply has none. */
function codeOf(reply: string): number | null {
  try {
    const value: unknown = JSON.parse(reply);
    if (typeof value !== "object" || value === null) return null;
    const code = "code" in value ? value.code : null;
    return typeof code === "number" ? code : null;
  } catch {
    return null;
  }
}

/** A reason without the URL, which Deno includes in the cause of fetch errors. */
function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause ?? error : error;
  const message = String(cause).toLowerCase();
  if (message.includes("refused")) return "connection refused";
  if (message.includes("dns error")) return "host name not found";
  if (message.includes("certificate") || message.includes("corrupt message")) return "TLS handshake failed";
  if (message.includes("invalid url")) return "its URL is not valid";
  return "network error";
}

function delay(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
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
