/**
 * Asks upstreams for their models: when the server starts, when an upstream is new or has another endpoint or key, and from
 * time to time.
 *
 * Owns when each is asked. A list is in the catalogue as soon as it is known, and in the database when it has changed.
 */
import { Cancellation } from "../core/cancellation.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { type ListedUpstream, type ModelCatalog, NO_ENDPOINT } from "../core/model_catalog.ts";
import type { ListedModel } from "../core/model_list_text.ts";
import { keysOf, redactSecrets } from "../core/secrets.ts";
import { ASIS, type Upstream } from "../core/types.ts";
import { askModels, type ModelsAnswer } from "../proxy/models/ask_models.ts";
import type { ModelListNotes } from "../store/write/model_list_notes.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";

/** After a start or a change, requests of clients go first: an upstream is asked when there are none, or after a while. */
const SETTLE_MS = 2_000; // docs/tuning.md#server
const MAX_SETTLE_MS = 15_000; // docs/tuning.md#server
/** Of one request. */
const ASK_LIMIT_MS = 10_000;
const MAX_AT_ONCE = 16;
/** Of one upstream. */
const MAX_KEYS_ASKED = 3;
const HEAD_LENGTH = 4;
/** An upstream that has never given a list is asked again sooner, then after twice the time. */
const RETRY_MS = 60_000;
const AGE_MS = 30_000;
/** A list that could not be renewed this many times says nothing about the order any more. */
const MAX_MISSED = 3;

export interface ModelListsDeps {
  readonly client: UpstreamClient;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly catalog: ModelCatalog;
  /** Requests of clients are under way. */
  readonly isBusy: () => boolean;
  readonly notes: Pick<ModelListNotes, "note" | "forget" | "stored">;
  /** What the database has of earlier starts. @throws StoreError */
  readonly stored: () => readonly ListedUpstream[];
  /** null: upstreams are asked once. */
  readonly refreshMs: number | null;
  /** null: it is not known. */
  readonly onCount: (upstreamName: string, count: number | null) => void;
}

/** How old a list may be and still count for the order; null: of any age. */
export function maxListAgeMs(refreshMs: number | null): number | null {
  return refreshMs === null ? null : MAX_MISSED * refreshMs + ASK_LIMIT_MS;
}

/** An upstream that is asked. */
interface Asked {
  upstream: Upstream;
  readonly target: string;
  readonly cancellation: Cancellation;
  /** Until it is asked again; null: it is being asked, or waits for its turn, or is not asked again. */
  timer: TimerId | null;
  /** How often it gave no list, and has never given one. */
  misses: number;
}

export class ModelLists {
  readonly #deps: ModelListsDeps;
  readonly #asked = new Map<number, Asked>();
  readonly #queue: Asked[] = [];
  /** Those that have not answered for the first time. */
  readonly #unanswered = new Set<Asked>();
  #unansweredSinceMs = 0;
  #waiting: (() => void)[] = [];
  #running = 0;
  #isLoaded = false;
  #ageTimer: TimerId;

  constructor(deps: ModelListsDeps) {
    this.#deps = deps;
    this.#ageTimer = this.#ageLater();
  }

  /** The upstreams as configured now. */
  configured(upstreams: readonly Upstream[]): void {
    const { catalog, notes } = this.#deps;
    const before = [...this.#asked.keys()];
    catalog.configured(upstreams);
    if (!this.#isLoaded) this.#load();
    const enabled = new Map(
      upstreams.filter(({ isEnabled, sk }) => isEnabled && sk !== ASIS).map((each) => [each.id, each]),
    );
    for (const id of before) {
      if (catalog.of(id) === null && catalog.targetOf(id) !== this.#asked.get(id)?.target) notes.forget(id);
    }
    for (const [id, asked] of this.#asked) {
      if (!enabled.has(id) || catalog.targetOf(id) !== asked.target) this.#end(id, asked);
    }
    for (const upstream of enabled.values()) this.#add(upstream);
    this.#announceAnswers();
  }

  /**
   * Resolves when every upstream has answered once, or after a while; at once when they have been awaited for long. Asks those
   * that were not asked yet.
   */
  answered(limitMs: number): Promise<void> {
    const { clock } = this.#deps;
    for (const asked of this.#unanswered) {
      if (asked.timer === null) continue;
      clock.clearTimer(asked.timer);
      this.#unansweredSinceMs = clock.monotonic();
      this.#enqueue(asked);
    }
    const waitedMs = clock.monotonic() - this.#unansweredSinceMs;
    if (this.#unanswered.size === 0 || waitedMs > ASK_LIMIT_MS) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = clock.setTimer(resolve, limitMs);
      this.#waiting.push(() => {
        clock.clearTimer(timer);
        resolve();
      });
    });
  }

  stop(): void {
    this.#deps.clock.clearTimer(this.#ageTimer);
    for (const [id, asked] of this.#asked) this.#end(id, asked);
    this.#announceAnswers();
  }

  /** What an earlier start has found counts as of now: each is asked again in a moment. */
  #load(): void {
    const { catalog, notes, clock } = this.#deps;
    this.#isLoaded = true;
    const nowMs = clock.now();
    for (const { list, ...stored } of this.#storedLists()) {
      const loaded = { ...stored, list: list === null ? null : { ...list, listedAtMs: nowMs } };
      if (catalog.put(loaded, nowMs) === null) notes.forget(stored.upstreamId);
      else notes.stored(loaded);
    }
  }

  /** Traffic goes on while the database cannot be read. */
  #storedLists(): readonly ListedUpstream[] {
    try {
      return this.#deps.stored();
    } catch {
      return [];
    }
  }

  #add(upstream: Upstream): void {
    const { catalog } = this.#deps;
    const { id, name } = upstream;
    const known = this.#asked.get(id);
    this.#deps.onCount(name, catalog.modelsOf(id)?.length ?? null);
    if (known !== undefined) {
      known.upstream = upstream;
      return;
    }
    const target = catalog.targetOf(id) ?? "";
    const asked: Asked = { upstream, target, cancellation: new Cancellation(), timer: null, misses: 0 };
    this.#asked.set(id, asked);
    if (catalog.of(id) === null) {
      if (this.#unanswered.size === 0) this.#unansweredSinceMs = this.#deps.clock.monotonic();
      this.#unanswered.add(asked);
    }
    this.#settle(asked, SETTLE_MS);
  }

  #settle(asked: Asked, waitedMs: number): void {
    asked.timer = this.#deps.clock.setTimer(() => {
      if (waitedMs >= MAX_SETTLE_MS || !this.#deps.isBusy()) this.#enqueue(asked);
      else this.#settle(asked, waitedMs + SETTLE_MS);
    }, SETTLE_MS);
  }

  #end(id: number, asked: Asked): void {
    if (asked.timer !== null) this.#deps.clock.clearTimer(asked.timer);
    this.#asked.delete(id);
    this.#unanswered.delete(asked);
    asked.cancellation.cancel();
    this.#deps.onCount(asked.upstream.name, null);
  }

  #enqueue(asked: Asked): void {
    asked.timer = null;
    this.#queue.push(asked);
    this.#askNext();
  }

  #askNext(): void {
    while (this.#running < MAX_AT_ONCE) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      if (next.cancellation.isCancelled) continue;
      this.#running++;
      void this.#ask(next);
    }
  }

  async #ask(asked: Asked): Promise<void> {
    const { cancellation } = asked;
    try {
      const answer = await this.#answerOf(asked);
      if (!cancellation.isCancelled) this.#take(asked, answer);
    } finally {
      this.#running--;
      this.#unanswered.delete(asked);
      this.#announceAnswers();
      this.#askNext();
    }
  }

  /** Of several keys, the first may be refused. */
  async #answerOf({ upstream, cancellation }: Asked): Promise<ModelsAnswer> {
    const question = { limitMs: ASK_LIMIT_MS, cancellation };
    let answer = await askModels(this.#deps, { ...question, upstream });
    for (const sk of upstream.keys.slice(1, MAX_KEYS_ASKED)) {
      if (answer.type !== "failed" || answer.isAboutKey !== true || cancellation.isCancelled) break;
      answer = await askModels(this.#deps, { ...question, upstream: { ...upstream, sk } });
    }
    return answer;
  }

  #take(asked: Asked, answer: ModelsAnswer): void {
    const { catalog, clock, notes, onCount } = this.#deps;
    const { id, name } = asked.upstream;
    const nowMs = clock.now();
    const isChanged = catalog.put({
      upstreamId: id,
      target: asked.target,
      askedAtMs: nowMs,
      ...resultOf(answer, { upstream: asked.upstream, nowMs }),
    }, nowMs);
    const known = catalog.of(id);
    if (isChanged && known !== null) notes.note(known);
    onCount(name, catalog.modelsOf(id)?.length ?? null);
    this.#askLater(asked, answer);
  }

  #askLater(asked: Asked, answer: ModelsAnswer): void {
    const { clock, random, refreshMs, catalog } = this.#deps;
    if (refreshMs === null) return;
    const isUnknown = answer.type === "failed" && catalog.modelsOf(asked.upstream.id) === null;
    const delayMs = isUnknown ? Math.min(RETRY_MS * 2 ** asked.misses++, refreshMs) : refreshMs;
    asked.timer = clock.setTimer(() => this.#enqueue(asked), delayMs * (0.9 + 0.2 * random()));
  }

  #announceAnswers(): void {
    if (this.#unanswered.size > 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #ageLater(): TimerId {
    const { clock, catalog } = this.#deps;
    return clock.setTimer(() => {
      catalog.age(clock.now(), clock.monotonic());
      this.#ageTimer = this.#ageLater();
    }, AGE_MS);
  }
}

function resultOf(
  answer: ModelsAnswer,
  { upstream, nowMs }: { readonly upstream: Upstream; readonly nowMs: number },
): Pick<ListedUpstream, "list" | "problem"> {
  switch (answer.type) {
    case "list": {
      const models = withoutKeys(answer.models, upstream);
      return { list: { models, isWhole: answer.isWhole, listedAtMs: nowMs }, problem: null };
    }
    case "no_endpoint":
      return { list: null, problem: NO_ENDPOINT };
    case "failed":
      return { list: null, problem: redactSecrets(answer.problem, keysOf(upstream)) };
    default:
      return answer satisfies never;
  }
}

/** The texts of a JSON object, without their escapes; in itself no JSON. */
function unescaped(raw: string): string {
  return raw.replace(/\\u([0-9a-f]{4})/gi, (_, unit: string) => String.fromCharCode(parseInt(unit, 16)));
}

/** Clients see lists, and they are stored: an object that quotes the upstream's key, however written, is not kept. */
function withoutKeys(models: readonly ListedModel[], upstream: Upstream): readonly ListedModel[] {
  const keys = keysOf(upstream);
  // Of a thousand keys, most begin alike.
  const heads = [...new Set(keys.map((key) => key.slice(0, HEAD_LENGTH)))];
  const isClean = (text: string) =>
    !heads.some((head) => text.includes(head)) || redactSecrets(text, keys) === text;
  const isCleanObject = (raw: string) => isClean(raw) && (!raw.includes("\\u") || isClean(unescaped(raw)));
  return models.flatMap(({ id, raw }) => {
    if (!isClean(id)) return [];
    return [raw === null || isCleanObject(raw) ? { id, raw } : { id, raw: null }];
  });
}
