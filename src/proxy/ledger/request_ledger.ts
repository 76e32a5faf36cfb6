/**
 * The ledger of one request: its attempts, its timings, and the record that it ends as.
 *
 * `settle` is idempotent: the first of several ends (end, error, client left) counts.
 */
import type { Capture } from "../../capture/capture.ts";
import {
  cutBytes,
  cutText,
  MAX_PATH_LENGTH,
  MAX_USER_AGENT_LENGTH,
  redactableStart,
} from "../../core/cut_text.ts";
import { MAX_OWN_KEY_LENGTH, OwnKeys } from "../../core/own_keys.ts";
import { keysOf, redactSecrets } from "../../core/secrets.ts";
import type { Clock } from "../../core/clock.ts";
import { isLookUp } from "../../core/look_up.ts";
import type { Attempt, Inbound, Outcome, RequestRecord, Upstream, Usage } from "../../core/types.ts";
import type { AttemptEntry, Ending, Progress, RecordFacts } from "./ledger_parts.ts";
import type { QueuedTime } from "./queued_time.ts";
import type { Admission } from "../limits/admission.ts";
import type { RequestTies } from "../affinity/request_ties.ts";
import { type RequestCosts, requestCosts } from "./request_costs.ts";
import { recordedUsage } from "./recorded_usage.ts";
import { partSince, wholeOf, type WrittenText } from "./reply_part.ts";

export type { AttemptEntry, Ending, Progress, RecordFacts } from "./ledger_parts.ts";

const MAX_ATTEMPT_MESSAGE_LENGTH = 500;
const MAX_ERROR_LENGTH = 4096;
const MAX_PARTIAL_BYTES = 64 * 1024;

/** Collects what one request's record will say. */
export class RequestLedger {
  /** What ties the request to an upstream; null: nothing. */
  ties: RequestTies | null = null;
  /** How long it has waited for an upstream that had room; null: it has not. */
  queued: QueuedTime | null = null;
  /** What it has taken of the limits of its token; null: that has no rules. */
  admission: Admission | null = null;
  readonly #requestBytes: number;
  #inbound: Inbound;
  readonly #facts: RecordFacts;
  readonly #clock: Clock;
  /** In order of start. */
  readonly #entries: AttemptEntry[] = [];
  #upstream: Upstream | null = null;
  #capture: Capture | null = null;
  #firstByteMs: number | null = null;
  #firstTokenMs: number | null = null;
  #bytesSeen = 0;
  #isSettled = false;
  #costNano: number | null = null;
  #requestText: string | null = null;
  /** The client's credentials that are not among the known secrets. */
  readonly #own: OwnKeys;

  constructor(inbound: Inbound, facts: RecordFacts, clock: Clock) {
    this.#inbound = inbound;
    this.#requestBytes = facts.requestText.bytes ?? inbound.body?.length ?? 0;
    this.#facts = facts;
    this.#own = new OwnKeys(facts.credentials.filter((credential) => !facts.secrets.has(credential)));
    this.#clock = clock;
  }

  get inbound(): Inbound {
    return this.#inbound;
  }

  /** Identifies the client: its token, or its address when no tokens are used. */
  get client(): string {
    return this.#inbound.clientToken ?? this.#inbound.clientIp;
  }

  /** Those that are over, in order of start. */
  get attempts(): readonly Attempt[] {
    return this.#entries.flatMap(({ ended }) => ended ?? []);
  }

  /** Those that are under way. */
  get openAttempts(): readonly AttemptEntry[] {
    return this.#entries.filter(({ ended }) => ended === null);
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  /** Attempts so far, those under way included. */
  get attemptCount(): number {
    return this.#entries.length;
  }

  /** The upstream whose answer is relayed; null until the choice is made. */
  get upstream(): Upstream | null {
    return this.#upstream;
  }

  /** The capture of the chosen reply; null until the choice is made. */
  get capture(): Capture | null {
    return this.#capture;
  }

  /** Bytes of the reply shown to the capture so far. */
  get bytesSeen(): number {
    return this.#bytesSeen;
  }

  /** The request's body: its length as it came, and its text; null: that is not kept. */
  get requestBody(): { readonly bytes: number; readonly text: string | null } {
    const { text, isTruncated } = this.#facts.requestText;
    return { bytes: this.#requestBytes, text: isTruncated ? null : text };
  }

  beginAttempt(upstream: Upstream): AttemptEntry {
    const entry: AttemptEntry = {
      upstream,
      startedAtMs: this.#clock.now(),
      startedMonoMs: this.#clock.monotonic(),
      status: null,
      isChanged: false,
      ended: null,
      isGiven: false,
      usage: null,
      responseModel: null,
    };
    this.#entries.push(entry);
    return entry;
  }

  /**
   * Closes an attempt; null when it was closed before. One that was closed as failed, and serves the client well after
   * all, has not failed.
   */
  endAttempt(
    entry: AttemptEntry,
    { errorClass, message, partial }: Pick<Attempt, "errorClass" | "message" | "partial">,
  ): Attempt | null {
    if (entry.ended !== null) {
      if (errorClass === null) entry.ended = { ...entry.ended, errorClass, message: null };
      return null;
    }
    const { upstream } = entry;
    entry.ended = {
      index: this.#entries.indexOf(entry) + 1,
      upstreamId: upstream.id,
      upstreamName: upstream.name,
      startedAtMs: entry.startedAtMs,
      durationMs: this.#clock.monotonic() - entry.startedMonoMs,
      status: entry.status,
      errorClass,
      message: message === null ? null : this.#problem(message, upstream, MAX_ATTEMPT_MESSAGE_LENGTH),
      partial: partial === null ? null : this.#keptPartial(partial),
      keyN: upstream.keyN,
      isChanged: entry.isChanged,
      usage: null,
      costNano: null,
    };
    return entry.ended;
  }

  /** Forgets the body, which may be large, when no further upstream will be tried. */
  releaseBody(): void {
    this.#inbound = { ...this.#inbound, body: null, decodedBody: null };
  }

  /** The head has been sent, while the choice is still open. */
  announced(upstream: Upstream): void {
    this.#upstream = upstream;
  }

  /** The choice is final. */
  chosen(upstream: Upstream, capture: Capture | null): void {
    this.#upstream = upstream;
    this.#capture = capture;
    this.#firstByteMs ??= this.elapsedMs();
  }

  /** Call after each push to the capture; cheap. */
  noteProgress(bytes: number): void {
    this.#bytesSeen += bytes;
    if (this.#firstTokenMs === null && this.inbound.isStream && this.#capture?.progress.hasContent) {
      this.#firstTokenMs = this.elapsedMs();
    }
  }

  elapsedMs(): number {
    return this.#clock.monotonic() - this.inbound.startedMonoMs;
  }

  /** The record of the end; null when the request was settled before. */
  settle(ending: Ending): RequestRecord | null {
    if (this.#isSettled) return null;
    this.#isSettled = true;
    const record = this.#record(ending);
    this.#costNano = record.costNano;
    this.admission?.settle(record);
    return record;
  }

  /** In 1e-9 US dollars; null: unknown, or it goes on. */
  get costNano(): number | null {
    return this.#costNano;
  }

  /** The final record again, for a reply that continued after its end marker. */
  resettle(ending: Ending): RequestRecord {
    const record = this.#record(ending);
    this.admission?.resettle(record);
    return record;
  }

  /** The record of a request that is still under way, with what has arrived. */
  snapshot(): RequestRecord {
    return this.progress(null).record;
  }

  /**
   * The record of a request that is still under way: where that can be, only what came since.
   *
   * @param since what its row holds; null: nobody knows, or more than the reply has changed
   */
  progress(since: WrittenText | null): Progress {
    const part = since === null ? null : this.#partSince(since);
    if (part !== null) return part;
    const captured = this.#capture?.partial() ?? null;
    const record = this.#record({ outcome: "in_flight", status: 0, captured, error: null });
    return { record, written: wholeOf(captured) };
  }

  #partSince(since: WrittenText): Progress | null {
    if (this.#capture === null) return null;
    const found = partSince(this.#capture, since, {
      margin: Math.max(this.#facts.secrets.maxLength, MAX_OWN_KEY_LENGTH) + 1,
      isClean: (text) => this.#isClean(text),
    });
    if (found === null) return null;
    const { reply, written } = found;
    const record = this.#record({ outcome: "in_flight", status: 0, captured: reply, error: null });
    return { record: { ...record, body: "", part: written.part }, written };
  }

  #isClean(text: string): boolean {
    const maskedBefore = this.#own.count;
    const masked = this.#kept(text);
    this.#own.count = maskedBefore;
    return masked === text;
  }

  #record(ending: Ending): RequestRecord {
    const { inbound } = this;
    const { captured } = ending;
    const upstream = this.#upstream;
    const userAgent = inbound.headers.get("user-agent");
    // Names: a client may use a key as any of them.
    const known = (text: string | null) => text === null ? null : this.#facts.secrets.redact(text);
    const kept = <T extends string | null>(text: T) => this.#kept(text);
    this.#requestText ??= kept(this.#facts.requestText.text);
    const { usage, areTokensEstimated } = recordedUsage(ending, { ...this.#facts, inbound });
    // Attempts and request are masked once, the rest for each written row.
    const maskedBefore = this.#own.count;
    const record: RequestRecord = {
      requestId: inbound.id,
      createdAtMs: inbound.startedAtMs,
      ip: inbound.clientIp,
      method: inbound.method,
      path: this.#keptStart(inbound.path, MAX_PATH_LENGTH),
      body: this.#requestText,
      model: known(inbound.shownModel),
      isStream: inbound.isStream,
      response: kept(captured?.text ?? ending.responseText ?? ""),
      reasoning: kept(captured?.reasoning ?? ""),
      toolCalls: (captured?.toolCalls ?? []).map((call) => ({
        id: kept(call.id),
        name: kept(call.name),
        arguments: kept(call.arguments),
      })),
      responseModel: known(captured?.model ?? null),
      finishReason: known(captured?.finishReason ?? null),
      usage,
      elapsedMs: this.elapsedMs(),
      firstByteMs: this.#firstByteMs,
      firstTokenMs: this.#firstTokenMs,
      status: ending.status,
      outcome: ending.outcome,
      upstreamId: upstream?.id ?? null,
      ...this.#costs(ending, usage),
      authorization: this.#facts.authorization,
      client: inbound.clientName,
      userAgent: userAgent === null ? null : this.#keptStart(userAgent, MAX_USER_AGENT_LENGTH),
      requestBytes: this.#requestBytes,
      responseBytes: captured?.bytes ?? 0,
      error: ending.error === null ? null : this.#problem(ending.error, upstream, MAX_ERROR_LENGTH),
      isTruncated: this.#facts.requestText.isTruncated || (captured?.isTruncated ?? false),
      affinity: this.#affinity(ending.outcome),
      queuedMs: this.queued?.ms ?? null,
      areTokensEstimated,
    };
    const ownedIds = this.ties?.ownedIds ?? null;
    if (ownedIds !== null) Object.assign(record, { ownedIds });
    const note = this.#own.note();
    this.#own.count = maskedBefore;
    if (note === null) return record;
    return {
      ...record,
      authorization: record.authorization === null ? note : `${record.authorization}; ${note}`,
    };
  }

  /** What was spent, and each attempt with its part of it. */
  #costs({ outcome, captured }: Ending, usage: Usage | null): RequestCosts {
    const { attempts, inbound } = this;
    const isCharged = outcome !== "in_flight" && outcome !== "crashed" && !isLookUp(inbound.method);
    if (!isCharged) return { attempts, costNano: null };
    const isFailed = outcome === "upstream_error" || outcome === "no_upstream";
    const reply = { upstream: this.#upstream, captured, usage, isFailed };
    return requestCosts(this.#facts.prices, { inbound, entries: this.#entries, ...reply }, attempts);
  }

  #affinity(outcome: Outcome): RequestRecord["affinity"] {
    const upstreamId = this.#upstream?.id ?? null;
    if (this.ties === null || (upstreamId === null && outcome === "in_flight")) return null;
    return this.ties.affinityOf(upstreamId);
  }

  #keptPartial(text: string): string {
    return cutBytes(this.#kept(redactableStart(text, MAX_PARTIAL_BYTES)), MAX_PARTIAL_BYTES);
  }

  /** The masked text, cut to a length. */
  #keptStart(text: string, maxLength: number): string {
    return cutText(this.#kept(redactableStart(text, maxLength)), maxLength);
  }

  /** The text of a failure, which an upstream may have written. */
  #problem(text: string, upstream: Upstream | null, maxLength: number): string {
    const secrets = upstream === null ? [] : [...keysOf(upstream)];
    if (this.inbound.clientToken !== null) secrets.push(this.inbound.clientToken);
    const start = redactableStart(text, maxLength);
    return cutText(this.#kept(redactSecrets(start, secrets)), maxLength);
  }

  #kept<T extends string | null>(text: T): T extends string ? string : string | null;
  #kept(text: string | null): string | null {
    if (text === null || text === "") return text;
    return this.#own.mask(this.#facts.secrets.redact(text));
  }
}
