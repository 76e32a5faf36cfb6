/**
 * Sends alerts to channels: the first of each cause at once, repeats in a digest each minute. Of failed requests,
 * ten a minute are sent at once; the others are in the digest.
 *
 * Owns the digest, and a bounded queue with a worker per channel, so that a channel that hangs delays neither
 * another channel nor the caller. Must not throw, and must not let a secret out.
 */
import { MAX_SHOWN_NAME_LENGTH, redactableStart, redactedStart } from "../core/cut_text.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { AlertBudget, ServedModels } from "./alert_budget.ts";
import { type AlertMessage, type Channel, ChannelError } from "./channels.ts";
import type { Alert, Notifier } from "./notifier.ts";
import { alertText, causeKey, digestText, isUrgent, type Repeats } from "./texts.ts";

const DIGEST_INTERVAL_MS = 60_000;
/** Messages waiting for one channel; more are dropped and counted. */
const MAX_PENDING = 100;
/** Distinct causes besides failed requests; further ones count as one per type of alert. */
const MAX_CAUSES = 1000;
/** Distinct causes of failed requests. */
const MAX_FAILURE_CAUSES = 200;
/** For a message as a field; in the text for people it is shorter. */
const MAX_MESSAGE_LENGTH = 2000;

export interface AlertNotifierOptions {
  readonly channels: readonly Channel[];
  readonly clock: Clock;
  /** Masks secrets; every text and every field of an alert passes through it. */
  readonly redact: (text: string) => string;
  /** For metrics and the log; `error` is safe to log. */
  readonly onSent?: (channel: string, result: "ok" | "error" | "dropped", error: Error | null) => void;
  /** Default: random UUIDs. */
  readonly newId?: () => string;
}

interface Cause {
  count: number;
  last: Alert;
  reportedMonoMs: number;
}

/** The {@link Notifier} of the program. Without channels it does nothing. */
export class AlertNotifier implements Notifier {
  readonly #options: AlertNotifierOptions;
  readonly #workers: readonly ChannelWorker[];
  readonly #causes = new Map<string, Cause>();
  readonly #budget = new AlertBudget();
  readonly #served = new ServedModels();
  /** Causes of failed requests. */
  #failureCount = 0;
  readonly #newId: () => string;
  #digestTimer: TimerId | null = null;
  #isClosed = false;

  constructor(options: AlertNotifierOptions) {
    this.#options = options;
    this.#newId = options.newId ?? (() => crypto.randomUUID());
    const onSent = options.onSent ?? (() => {});
    this.#workers = options.channels.map((channel) => new ChannelWorker(channel, onSent));
  }

  raise(raised: Alert): void {
    if (this.#isClosed || this.#workers.length === 0) return;
    // The last alert of each cause is kept, so it must be bounded.
    const alert = withTexts(raised, redactableStart);
    let key = causeKey(alert, (model) => this.#served.has(model));
    if (!this.#causes.has(key) && this.#isFull(alert)) key = alert.type;
    const cause = this.#causes.get(key);
    if (cause !== undefined) {
      cause.count++;
      cause.last = alert;
      return;
    }
    const nowMs = this.#options.clock.monotonic();
    const isSent = isUrgent(alert) || this.#budget.take(nowMs);
    this.#causes.set(key, { count: isSent ? 0 : 1, last: alert, reportedMonoMs: nowMs });
    if (!isUrgent(alert)) this.#failureCount++;
    if (isSent) {
      this.#enqueue(() => ({
        text: alertText(alert, this.#options.redact),
        alert: redacted(alert, this.#options.redact),
      }), { isUrgent: isUrgent(alert) });
    }
    this.#digestTimer ??= this.#options.clock.setTimer(() => this.#onDigestTimer(), DIGEST_INTERVAL_MS);
  }

  served(model: string): void {
    this.#served.add(model);
  }

  /** Separate limits: causes made by clients must leave room for the others. */
  #isFull(alert: Alert): boolean {
    return isUrgent(alert)
      ? this.#causes.size - this.#failureCount >= MAX_CAUSES
      : this.#failureCount >= MAX_FAILURE_CAUSES;
  }

  async close(limitMs: number): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { clock } = this.#options;
    if (this.#digestTimer !== null) clock.clearTimer(this.#digestTimer);
    this.#digestTimer = null;
    this.#sendDigest();
    const limit = clock.setTimer(() => this.#workers.forEach((worker) => worker.abort()), limitMs);
    await Promise.all(this.#workers.map((worker) => worker.idle()));
    clock.clearTimer(limit);
  }

  #onDigestTimer(): void {
    this.#sendDigest();
    this.#digestTimer = this.#causes.size === 0
      ? null
      : this.#options.clock.setTimer(() => this.#onDigestTimer(), DIGEST_INTERVAL_MS);
  }

  /** Reports repeats, and forgets causes that were quiet for a whole interval. */
  #sendDigest(): void {
    const now = this.#options.clock.monotonic();
    const repeats: Repeats[] = [];
    for (const [key, cause] of this.#causes) {
      if (cause.count > 0) {
        repeats.push({ count: cause.count, last: cause.last });
        cause.count = 0;
        cause.reportedMonoMs = now;
      } else if (now - cause.reportedMonoMs >= DIGEST_INTERVAL_MS) {
        this.#causes.delete(key);
        if (!isUrgent(cause.last)) this.#failureCount--;
      }
    }
    if (repeats.length === 0) return;
    const { redact } = this.#options;
    this.#enqueue(() => ({
      text: digestText(repeats, redact),
      alert: {
        type: "digest",
        repeats: repeats.map(({ count, last }) => ({ count, last: redacted(last, redact) })),
      },
    }), { isUrgent: false });
  }

  #enqueue(
    content: () => Pick<AlertMessage, "text" | "alert">,
    order: { readonly isUrgent: boolean },
  ): void {
    let message: AlertMessage;
    try {
      message = { id: this.#newId(), atMs: this.#options.clock.now(), ...content() };
    } catch {
      // A message that cannot be redacted must not leave the process.
      for (const worker of this.#workers) worker.drop(1);
      return;
    }
    for (const worker of this.#workers) worker.push(message, order);
  }
}

/** One channel's queue and the loop that empties it. */
class ChannelWorker {
  readonly #channel: Channel;
  readonly #onSent: NonNullable<AlertNotifierOptions["onSent"]>;
  readonly #stop = new AbortController();
  /** The urgent ones first. */
  #pending: AlertMessage[] = [];
  #urgentCount = 0;
  #running: Promise<void> | null = null;

  constructor(channel: Channel, onSent: NonNullable<AlertNotifierOptions["onSent"]>) {
    this.#channel = channel;
    this.#onSent = onSent;
  }

  /** Urgent messages go before all others, and displace them when the queue is full. */
  push(message: AlertMessage, { isUrgent }: { readonly isUrgent: boolean }): void {
    if (this.#pending.length >= MAX_PENDING) {
      this.drop(1);
      if (!isUrgent || this.#urgentCount === this.#pending.length) return;
      this.#pending.pop();
    }
    this.#pending.splice(isUrgent ? this.#urgentCount++ : this.#pending.length, 0, message);
    this.#running ??= this.#run();
  }

  drop(count: number): void {
    for (let i = 0; i < count; i++) this.#report("dropped", null);
  }

  /** Drops what is being sent and what waits. */
  abort(): void {
    const waiting = this.#pending.length;
    this.#pending = [];
    this.#urgentCount = 0;
    this.drop(waiting);
    this.#stop.abort();
  }

  /** Resolves when nothing is being sent and nothing waits. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // The first step of a send must not run inside raise().
    await Promise.resolve();
    for (let message = this.#next(); message !== undefined; message = this.#next()) {
      try {
        await orAborted(this.#channel.send(message, this.#stop.signal), this.#stop.signal);
        this.#report("ok", null);
      } catch (error) {
        this.#report("error", error instanceof ChannelError ? error : new Error("Cannot send alert"));
      }
    }
    this.#running = null;
  }

  #next(): AlertMessage | undefined {
    if (this.#urgentCount > 0) this.#urgentCount--;
    return this.#pending.shift();
  }

  #report(result: "ok" | "error" | "dropped", error: Error | null): void {
    try {
      this.#onSent(this.#channel.name, result, error);
    } catch {
      // A listener's failure must not stop the queue.
    }
  }
}

/** Settles when `signal` aborts, even if the work ignores it: closing must end in time. */
function orAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(new Error("aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    if (signal.aborted) onAbort();
  });
}

/** A copy with every text masked and bounded: some come from clients or upstreams. */
function redacted(alert: Alert, redact: (text: string) => string): Alert {
  return withTexts(alert, (text, maxLength) => redactedStart(text, maxLength, redact));
}

/** A copy with every text changed. */
function withTexts(alert: Alert, change: (text: string, maxLength: number) => string): Alert {
  const name = (text: string) => change(text, MAX_SHOWN_NAME_LENGTH);
  const message = (text: string) => change(text, MAX_MESSAGE_LENGTH);
  const model = (given: { readonly model?: string }) =>
    given.model === undefined ? {} : { model: name(given.model) };
  switch (alert.type) {
    case "request_failed":
      return {
        ...alert,
        ip: name(alert.ip),
        model: alert.model === null ? null : name(alert.model),
        message: message(alert.message),
      };
    case "upstream_down":
      return { ...alert, upstream: name(alert.upstream), ...model(alert), reason: message(alert.reason) };
    case "upstream_no_credit":
      return { ...alert, upstream: name(alert.upstream), reason: message(alert.reason) };
    case "upstream_recovered":
      return { ...alert, upstream: name(alert.upstream), ...model(alert) };
    case "records_dropped":
    case "retention_failing":
      return { ...alert, reason: message(alert.reason) };
    case "records_resumed":
    case "retention_resumed":
      return alert;
    default:
      return alert satisfies never;
  }
}
