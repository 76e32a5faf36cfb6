/**
 * Live events for the admin page: requests in flight, finished ones, and replies as they arrive.
 *
 * Costs nothing without listeners: it keeps no list of its own, and its timers run only for listeners.
 */
import { cutText, MAX_SHOWN_NAME_LENGTH, redactedStart } from "../core/cut_text.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import type { RequestRecord } from "../core/types.ts";
import type { FinishedRequest, LiveEvent, LiveRequest, WatchEvent } from "./admin_service.ts";
import type { RequestLedger } from "../proxy/ledger/request_ledger.ts";

export interface LiveHubDeps {
  /** The requests in flight. */
  readonly ledgers: () => Iterable<RequestLedger>;
  readonly clock: Clock;
  /** Masks every secret of this program in a short text. */
  readonly redact: (text: string) => string;
}

/** How often the list of requests under way is sent. */
const LIST_MS = 500; // docs/tuning.md#control-page-and-command-line
/** Nobody reads a longer list, and each one costs. */
const MAX_LISTED = 200;
/** How often a watched reply is read; a long one less often, because each read copies its text. */
const WATCH_MS = 100; // docs/tuning.md#control-page-and-command-line
const LONG_WATCH_MS = 1_000;
const LONG_LENGTH = 256 * 1024; // docs/tuning.md#control-page-and-command-line

type Settled = (record: RequestRecord, upstreamName: string | null) => void;

export class LiveHub {
  readonly #deps: LiveHubDeps;
  readonly #listeners = new Set<(event: LiveEvent) => void>();
  readonly #settledListeners = new Set<Settled>();
  readonly #watches = new Set<Watch>();
  #listTimer: TimerId | null = null;
  #wasEmpty = true;

  constructor(deps: LiveHubDeps) {
    this.#deps = deps;
  }

  /** The oldest ones, oldest first; at most 200. */
  live(): LiveRequest[] {
    const views: LiveRequest[] = [];
    for (const ledger of this.#deps.ledgers()) {
      if (views.length === MAX_LISTED) break;
      if (!ledger.isSettled) views.push(this.#view(ledger));
    }
    return views;
  }

  /** Returns the function that ends it. */
  subscribe(listener: (event: LiveEvent) => void): () => void {
    this.#listeners.add(listener);
    // What it was shown at first may have ended before the first list.
    this.#wasEmpty = false;
    this.#listTimer ??= this.#deps.clock.setTimer(() => this.#sendList(), LIST_MS);
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stopList();
    };
  }

  /** Called with every settled record; a replay finds its own this way. Returns the function that ends it. */
  onSettled(listener: Settled): () => void {
    this.#settledListeners.add(listener);
    return () => this.#settledListeners.delete(listener);
  }

  /** Called once for each request that ended. */
  finished(record: RequestRecord, upstreamName: string | null): void {
    for (const listener of this.#settledListeners) listener(record, upstreamName);
    if (this.#listeners.size === 0) return;
    const event = { type: "finished", record: finishedView(record, upstreamName) } as const;
    for (const listener of this.#listeners) listener(event);
  }

  /** Follows one reply; null when the request is not in flight. Returns the function that ends it. */
  watch(requestId: string, listener: (event: WatchEvent) => void): (() => void) | null {
    const ledger = this.#ledgerOf(requestId);
    if (ledger === null) return null;
    const watch = new Watch(ledger, {
      clock: this.#deps.clock,
      send: listener,
      onEnd: () => this.#watches.delete(watch),
    });
    this.#watches.add(watch);
    watch.start();
    return () => watch.stop();
  }

  close(): void {
    this.#stopList();
    this.#listeners.clear();
    this.#settledListeners.clear();
    for (const watch of [...this.#watches]) watch.stop();
  }

  /** How many requests wait for an upstream that has room; also those that {@link live} leaves out. */
  waiting(): number {
    let count = 0;
    for (const { isSettled, queued } of this.#deps.ledgers()) if (!isSettled && queued?.isWaiting) count++;
    return count;
  }

  #ledgerOf(requestId: string): RequestLedger | null {
    for (const ledger of this.#deps.ledgers()) {
      if (ledger.inbound.id === requestId) return ledger.isSettled ? null : ledger;
    }
    return null;
  }

  #sendList(): void {
    this.#listTimer = this.#deps.clock.setTimer(() => this.#sendList(), LIST_MS);
    const requests = this.live();
    if (requests.length === 0 && this.#wasEmpty) return;
    this.#wasEmpty = requests.length === 0;
    for (const listener of this.#listeners) listener({ type: "in_flight", requests });
  }

  #stopList(): void {
    if (this.#listTimer !== null) this.#deps.clock.clearTimer(this.#listTimer);
    this.#listTimer = null;
    this.#wasEmpty = true;
  }

  #shown(text: string): string {
    return redactedStart(text, MAX_SHOWN_NAME_LENGTH, this.#deps.redact);
  }

  #view(ledger: RequestLedger): LiveRequest {
    const { inbound } = ledger;
    return {
      requestId: inbound.id,
      startedAtMs: inbound.startedAtMs,
      elapsedMs: Math.round(ledger.elapsedMs()),
      kind: inbound.kind,
      method: inbound.method,
      path: this.#shown(inbound.path),
      model: inbound.model === null ? null : this.#shown(inbound.model),
      isStream: inbound.isStream,
      client: inbound.clientName,
      upstreamName: ledger.upstream?.name ?? null,
      waitingMs: ledger.queued?.isWaiting ? Math.round(ledger.queued.ms) : null,
      attemptCount: ledger.attemptCount,
      replyBytes: ledger.bytesSeen,
    };
  }
}

interface WatchDeps {
  readonly clock: Clock;
  readonly send: (event: WatchEvent) => void;
  readonly onEnd: () => void;
}

/** Polls one ledger's capture and sends what is new. */
class Watch {
  readonly #ledger: RequestLedger;
  readonly #deps: WatchDeps;
  #timer: TimerId | null = null;
  #seenBytes = -1;
  #text = "";
  #reasoning = "";
  #toolCalls = "[]";

  constructor(ledger: RequestLedger, deps: WatchDeps) {
    this.#ledger = ledger;
    this.#deps = deps;
  }

  start(): void {
    // Not from within `watch()`: its caller does not have the result yet.
    this.#timer = this.#deps.clock.setTimer(() => this.#look(), 0);
  }

  stop(): void {
    if (this.#timer !== null) this.#deps.clock.clearTimer(this.#timer);
    this.#timer = null;
    this.#deps.onEnd();
  }

  #look(): void {
    const { isSettled } = this.#ledger;
    if (this.#ledger.bytesSeen !== this.#seenBytes || isSettled) this.#sendNews();
    if (isSettled) {
      this.stop();
      this.#deps.send({ type: "ended", requestId: this.#ledger.inbound.id });
      return;
    }
    const delayMs = this.#text.length > LONG_LENGTH ? LONG_WATCH_MS : WATCH_MS;
    this.#timer = this.#deps.clock.setTimer(() => this.#look(), delayMs);
  }

  #sendNews(): void {
    if (this.#ledger.capture === null) return;
    this.#seenBytes = this.#ledger.bytesSeen;
    // As the record will have it: every secret is masked.
    const { response, reasoning, toolCalls } = this.#ledger.snapshot();
    const calls = JSON.stringify(toolCalls);
    if (response === this.#text && reasoning === this.#reasoning && calls === this.#toolCalls) return;
    const isReset = !response.startsWith(this.#text) || !reasoning.startsWith(this.#reasoning);
    this.#deps.send({
      type: "delta",
      isReset,
      text: isReset ? response : response.slice(this.#text.length),
      reasoning: isReset ? reasoning : reasoning.slice(this.#reasoning.length),
      toolCalls,
      replyBytes: this.#seenBytes,
    });
    this.#text = response;
    this.#reasoning = reasoning;
    this.#toolCalls = calls;
  }
}

function finishedView(record: RequestRecord, upstreamName: string | null): FinishedRequest {
  const { requestId, createdAtMs, model, status, outcome, elapsedMs, isStream, client } = record;
  return {
    requestId,
    createdAtMs,
    model: model === null ? null : cutText(model, MAX_SHOWN_NAME_LENGTH),
    status,
    outcome,
    upstreamName,
    attemptCount: record.attempts.length,
    elapsedMs: Math.round(elapsedMs),
    isStream,
    client,
  };
}
