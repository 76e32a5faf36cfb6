/**
 * What an alert channel is: interfaces and its error only.
 */
import type { Alert } from "./notifier.ts";
import type { Repeats } from "./texts.ts";

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

/** What to do with a message that a channel did not accept. */
export type Retry =
  /** Nothing: it would not be accepted another time. */
  | { readonly type: "never" }
  /** It may have arrived, or the channel is broken: once more, soon. */
  | { readonly type: "soon" }
  /** It was not taken, because the channel takes no more now; `afterMs` null: it does not say for how long. */
  | { readonly type: "later"; readonly afterMs: number | null };

/** A channel did not accept an alert. The error's message is safe to log. */
export class ChannelError extends Error {
  override readonly name = "ChannelError";
  constructor(channel: string, reason: string, readonly retry: Retry) {
    super(`Cannot send alert to ${channel}: ${reason}`);
  }
}
