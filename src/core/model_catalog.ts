/**
 * What is known of the models of each upstream: the lists that they gave, and what they said not to have.
 *
 * Owns when a list counts. Pure and synchronous: lists and moments come in as arguments; who asks is elsewhere.
 */
import { modelAt } from "./model_alias.ts";
import type { ListedModel } from "./model_list_text.ts";
import { comparableModel, type ModelStanding, type ModelStandings } from "./model_order.ts";
import { ASIS, type EndpointKind, type Inbound, type Upstream } from "./types.ts";
import { targetOf } from "./upstream_target.ts";

/** A list as it came. */
export interface ModelList {
  /** Each once. */
  readonly models: readonly ListedModel[];
  /** False: it has more models than were read. */
  readonly isWhole: boolean;
  /** When it came; wall clock. */
  readonly listedAtMs: number;
}

/** What the latest asking of one upstream led to, to be stored. */
export interface ListedUpstream {
  readonly upstreamId: number;
  /** See upstream_target.ts. */
  readonly target: string;
  /** Wall clock. */
  readonly askedAtMs: number;
  /** null: it has never given one. */
  readonly list: ModelList | null;
  /** Why the latest asking gave none; null: it gave one. */
  readonly problem: string | null;
}

/** It has no such path (404, 405): it is taken to have the models that its `allow` names. */
export const NO_ENDPOINT = "no_endpoint";

/** How long an upstream that said not to have a model is asked for it last. */
export const LACKING_MS = 10 * 60_000;
/** Clients choose the names of models. */
const MAX_MARKS = 256;
/** The objects of all lists, in characters; of further lists only the names are kept. */
const MAX_KEPT_LENGTH = 64 * 1024 * 1024;

interface Known extends ListedUpstream {
  /** Comparable names of the list; null: no list, or an empty one, which says nothing. */
  readonly names: ReadonlySet<string> | null;
  isFresh: boolean;
}

interface Standings {
  readonly version: number;
  readonly model: string;
  readonly standings: ModelStandings | null;
}

/** What a request is about. */
export type ModelSubject = Pick<Inbound, "model" | "kind">;

export interface CatalogOptions {
  /** An older list does not count for the order; null: every list counts. */
  readonly maxAgeMs: number | null;
}

export class ModelCatalog {
  readonly #maxAgeMs: number | null;
  readonly #known = new Map<number, Known>();
  /** By upstream: the endpoint and its name for a model, and until when it is marked, monotonic. */
  readonly #marks = new Map<number, Map<string, number>>();
  #targets = new Map<number, string>();
  #listVersion = 0;
  #orderVersion = 0;
  readonly #standings = new WeakMap<readonly Upstream[], Map<EndpointKind, Standings>>();

  constructor({ maxAgeMs }: CatalogOptions) {
    this.#maxAgeMs = maxAgeMs;
  }

  /** Changes with the lists. */
  get version(): number {
    return this.#listVersion;
  }

  /** The upstreams as configured now. Of those that are gone, or have another endpoint or key, everything is forgotten. */
  configured(upstreams: readonly Upstream[]): void {
    this.#targets = new Map(
      upstreams.filter(({ sk }) => sk !== ASIS).map((upstream) => [upstream.id, targetOf(upstream)]),
    );
    for (const [id, { target }] of this.#known) {
      if (this.#targets.get(id) === target) continue;
      this.#known.delete(id);
      this.#marks.delete(id);
      this.#changed();
    }
    for (const id of this.#marks.keys()) {
      if (!this.#targets.has(id)) this.#marks.delete(id);
    }
    this.#orderVersion++;
  }

  /** The endpoint and key that a list of this upstream must be of; null: it is not asked. */
  targetOf(upstreamId: number): string | null {
    return this.#targets.get(upstreamId) ?? null;
  }

  /** What the latest asking led to; null: it was never asked. */
  of(upstreamId: number): ListedUpstream | null {
    return this.#known.get(upstreamId) ?? null;
  }

  /** The models that it lists; null: not known. */
  modelsOf(upstreamId: number): readonly ListedModel[] | null {
    const known = this.#known.get(upstreamId);
    return known === undefined || known.names === null ? null : known.list?.models ?? null;
  }

  /**
   * Takes what an asking led to. What an upstream listed before stays when it lists nothing now.
   *
   * @returns whether its models, or whether they are known, have changed; null: it is of another endpoint or key
   */
  put(asked: ListedUpstream, nowMs: number): boolean | null {
    const { upstreamId, target } = asked;
    if (this.#targets.get(upstreamId) !== target) return null;
    const before = this.#known.get(upstreamId);
    const isGone = asked.problem === NO_ENDPOINT;
    const kept = asked.list ?? (isGone ? null : before?.list ?? null);
    const shared = this.#shared(kept, upstreamId);
    const old = before?.list ?? null;
    const isSame = shared === null || old === null ? shared === old : isSameList(shared, old);
    const list = isSame && shared !== null && old !== null ? { ...shared, models: old.models } : shared;
    const names = isSame ? before?.names ?? null : this.#namesOf(list);
    const known: Known = { ...asked, list, names, isFresh: this.#isFresh(list, nowMs) };
    this.#known.set(upstreamId, known);
    if (!isSame) this.#changed();
    else if (before?.isFresh !== known.isFresh || before.problem !== asked.problem) this.#orderVersion++;
    return !isSame || before?.problem !== asked.problem;
  }

  /** Lists grow old, and marks end; to be called now and then. */
  age(nowMs: number, monotonicMs: number): void {
    for (const known of this.#known.values()) {
      const isFresh = this.#isFresh(known.list, nowMs);
      if (isFresh === known.isFresh) continue;
      known.isFresh = isFresh;
      this.#orderVersion++;
    }
    for (const [id, marks] of this.#marks) {
      for (const [model, untilMs] of marks) {
        if (untilMs > monotonicMs) continue;
        marks.delete(model);
        this.#orderVersion++;
      }
      if (marks.size === 0) this.#marks.delete(id);
    }
  }

  /** The upstream has said that it does not have the model, whatever it lists. */
  lacks(upstream: Upstream, subject: ModelSubject, monotonicMs: number): void {
    if (upstream.sk === ASIS || subject.model === null) return;
    const marks = this.#marks.get(upstream.id) ?? new Map<string, number>();
    this.#marks.set(upstream.id, marks);
    const name = markOf(upstream, subject.model, subject.kind);
    const isKnown = marks.delete(name);
    if (marks.size >= MAX_MARKS) marks.delete(marks.keys().next().value ?? "");
    marks.set(name, monotonicMs + LACKING_MS);
    if (!isKnown) this.#orderVersion++;
  }

  /** The upstream has answered with the model. */
  serves(upstream: Upstream, { model, kind }: ModelSubject): void {
    if (this.#marks.size === 0 || model === null) return;
    const marks = this.#marks.get(upstream.id);
    if (marks?.delete(markOf(upstream, model, kind))) this.#orderVersion++;
  }

  /**
   * Which of these upstreams have the model; null: nothing distinguishes them.
   *
   * @param allowed the same array for the same model, as long as the configuration stays
   */
  standings(allowed: readonly Upstream[], { model, kind }: ModelSubject): ModelStandings | null {
    if (model === null || allowed.length < 2 || (this.#known.size === 0 && this.#marks.size === 0)) {
      return null;
    }
    let byKind = this.#standings.get(allowed);
    if (byKind === undefined) this.#standings.set(allowed, byKind = new Map());
    const cached = byKind.get(kind);
    if (cached !== undefined && cached.version === this.#orderVersion && cached.model === model) {
      return cached.standings;
    }
    const standings = new Map(
      allowed.map((upstream) => [upstream.id, this.#standing(upstream, model, kind)]),
    );
    const isTold = new Set(standings.values()).size > 1;
    const made = { version: this.#orderVersion, model, standings: isTold ? standings : null };
    byKind.set(kind, made);
    return made.standings;
  }

  #standing(upstream: Upstream, model: string, kind: EndpointKind): ModelStanding {
    if (this.#marks.get(upstream.id)?.has(markOf(upstream, model, kind))) return "lacks";
    const name = comparableModel(modelAt(upstream, model));
    const known = this.#known.get(upstream.id);
    if (known === undefined || known.names === null || !known.isFresh) {
      return known?.problem === NO_ENDPOINT && upstream.allow.includes(model) ? "has" : "unknown";
    }
    if (known.names.has(name)) return "has";
    return known.list?.isWhole === true ? "lacks" : "unknown";
  }

  #changed(): void {
    this.#listVersion++;
    this.#orderVersion++;
  }

  #isFresh(list: ModelList | null, nowMs: number): boolean {
    return list !== null && (this.#maxAgeMs === null || nowMs - list.listedAtMs <= this.#maxAgeMs);
  }

  /** Many upstreams of one provider give the same list: it is kept once, and its objects as long as there is room. */
  #shared(list: ModelList | null, ownId: number): ModelList | null {
    if (list === null) return null;
    let kept = 0;
    const counted = new Set<unknown>();
    for (const [id, { list: other }] of this.#known) {
      if (other === null || id === ownId || counted.has(other.models)) continue;
      if (isSameList(list, other)) return { ...list, models: other.models };
      counted.add(other.models);
      kept += lengthOf(other.models);
    }
    if (kept + lengthOf(list.models) <= MAX_KEPT_LENGTH) return list;
    return { ...list, models: list.models.map(({ id }) => ({ id, raw: null })) };
  }

  #namesOf(list: ModelList | null): ReadonlySet<string> | null {
    if (list === null || list.models.length === 0) return null;
    for (const { list: other, names } of this.#known.values()) {
      if (other?.models === list.models && names !== null) return names;
    }
    return new Set(list.models.map(({ id }) => comparableModel(id)));
  }
}

/** At another endpoint it may have the model. */
function markOf(upstream: Upstream, model: string, kind: EndpointKind): string {
  return `${kind} ${comparableModel(modelAt(upstream, model))}`;
}

const lengths = new WeakMap<readonly ListedModel[], number>();

function lengthOf(models: readonly ListedModel[]): number {
  let length = lengths.get(models);
  if (length === undefined) {
    length = models.reduce((sum, { id, raw }) => sum + id.length + (raw?.length ?? 0), 0);
    lengths.set(models, length);
  }
  return length;
}

function isSameList(a: ModelList, b: ModelList): boolean {
  if (a.isWhole !== b.isWhole || a.models.length !== b.models.length) return false;
  if (a.models === b.models) return true;
  return a.models.every(({ id, raw }, place) => {
    const other = b.models[place];
    return other !== undefined && other.id === id && other.raw === raw;
  });
}
