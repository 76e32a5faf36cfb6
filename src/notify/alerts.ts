/**
 * Sends alerts to channels: the first of each cause at once, repeats in a digest. Of failed requests, a limited number
 * is sent at once, and digests about nothing else become rarer while they go on.
 *
 * Owns the digest; a worker per channel has a queue, so that a channel that hangs delays neither another channel nor
 * the caller. Must not throw, and must not let a secret out.
 */
import { MAX_SHOWN_NAME_LENGTH, redactableStart, redactedStart } from "../core/cut_text.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { AlertBudget, DigestPace, ServedModels } from "./alert_budget.ts";
import type { AlertMessage, Channel } from "./channel.ts";
import { ChannelWorker, type SentListener } from "./channel_worker.ts";
import type { Alert, Notifier } from "./notifier.ts";
import { alertText, byWeight, causeKey, digestText, isUrgent, type Repeats } from "./texts.ts";

const DIGEST_INTERVAL_MS = 60_000;
/** Distinct causes besides failed requests; further ones count as one per type of alert. */
const MAX_CAUSES = 1000;
/** Distinct causes of failed requests. */
const MAX_FAILURE_CAUSES = 200;
/** Causes that a digest holds as data; its text has fewer. */
const MAX_REPEATS = 100;
/** For a message as a field; in the text for people it is shorter. */
const MAX_MESSAGE_LENGTH = 2000;

export interface AlertNotifierOptions {
  readonly channels: readonly Channel[];
  readonly clock: Clock;
  /** Masks secrets; every text and every field of an alert passes through it. */
  readonly redact: (text: string) => string;
  /** For metrics and the log; `error` is safe to log. */
  readonly onSent?: SentListener;
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
  readonly #pace = new DigestPace();
  readonly #served = new ServedModels();
  /** Causes of failed requests. */
  #failureCount = 0;
  readonly #newId: () => string;
  #digestTimer: TimerId | null = null;
  #isClosed = false;

  constructor(options: AlertNotifierOptions) {
    this.#options = options;
    this.#newId = options.newId ?? (() => crypto.randomUUID());
    const { clock, onSent = () => {} } = options;
    this.#workers = options.channels.map((channel) =>
      new ChannelWorker(channel, { clock, onSent, newId: this.#newId })
    );
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
      }));
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
    this.#sendDigest({ isLast: true });
    const limit = clock.setTimer(() => this.#workers.forEach((worker) => worker.abort()), limitMs);
    await Promise.all(this.#workers.map((worker) => worker.idle()));
    clock.clearTimer(limit);
  }

  #onDigestTimer(): void {
    this.#sendDigest({ isLast: false });
    this.#digestTimer = this.#causes.size === 0
      ? null
      : this.#options.clock.setTimer(() => this.#onDigestTimer(), DIGEST_INTERVAL_MS);
  }

  /** Reports repeats, and forgets causes that were quiet for a whole interval. */
  #sendDigest({ isLast }: { readonly isLast: boolean }): void {
    const now = this.#options.clock.monotonic();
    const areFailuresDue = isLast || this.#pace.isDue(now);
    const repeats: Repeats[] = [];
    for (const [key, cause] of this.#causes) {
      if (cause.count > 0) {
        if (!areFailuresDue && !isUrgent(cause.last)) continue;
        repeats.push({ count: cause.count, last: cause.last });
        cause.count = 0;
        cause.reportedMonoMs = now;
      } else if (now - cause.reportedMonoMs >= DIGEST_INTERVAL_MS) {
        this.#causes.delete(key);
        if (!isUrgent(cause.last)) this.#failureCount--;
      }
    }
    if (repeats.length === 0) return;
    if (repeats.some(({ last }) => !isUrgent(last))) this.#pace.sent(now);
    const { redact } = this.#options;
    const sorted = byWeight(repeats);
    this.#enqueue(() => ({
      text: digestText(sorted, redact),
      alert: {
        type: "digest",
        repeats: sorted.slice(0, MAX_REPEATS).map(({ count, last }) => ({
          count,
          last: redacted(last, redact),
        })),
      },
    }));
  }

  #enqueue(content: () => Pick<AlertMessage, "text" | "alert">): void {
    let message: AlertMessage;
    try {
      message = { id: this.#newId(), atMs: this.#options.clock.now(), ...content() };
    } catch {
      // A message that cannot be redacted must not leave the process.
      for (const worker of this.#workers) worker.drop(1);
      return;
    }
    for (const worker of this.#workers) worker.push(message);
  }
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
    case "upstream_key_refused":
    case "upstream_key_no_credit":
      return { ...alert, upstream: name(alert.upstream), reason: message(alert.reason) };
    case "upstream_key_recovered":
    case "upstream_degraded":
      return { ...alert, upstream: name(alert.upstream) };
    case "upstream_recovered":
      return { ...alert, upstream: name(alert.upstream), ...model(alert) };
    case "records_dropped":
    case "retention_failing":
    case "postgres_down":
    case "record_rejected":
      return { ...alert, reason: message(alert.reason) };
    case "budget_near":
    case "budget_reached":
      return { ...alert, client: name(alert.client) };
    case "records_resumed":
    case "retention_resumed":
    case "postgres_resumed":
      return alert;
    default:
      return alert satisfies never;
  }
}
