/**
 * The breakers of one upstream, and who is told when one of them changes: one for the whole of it, one for each model, one for
 * each model that it seems not to have at an endpoint, one for each client whose own key or header it refuses, those of its
 * keys when it has several (key_cells.ts), and those of other replicas.
 *
 * Knows no attempts: upstream_states.ts does. Pure: time comes in with each call.
 */
import {
  type BreakerEvent,
  type BreakerState,
  CLOSED,
  type HealthNews,
  isUnmoved,
  type Moment,
  newsOf,
  settled,
  transition,
} from "./breaker.ts";
import { ForeignFindings } from "./foreign_findings.ts";
import { type HealthCell, HealthCells, newCell } from "./health_cells.ts";
import { KeyCells } from "./key_cells.ts";
import type { EndpointKind } from "./types.ts";

/** What an attempt is about. */
export interface HealthSubject {
  /** As the upstream knows it; empty when the request names none. */
  readonly model: string;
  readonly kind: EndpointKind;
  /** Identifies the client. */
  readonly client: string;
  /** The one of several keys that is used; null or absent: there is only one, or none was chosen yet. */
  readonly key?: string | null;
  /** All keys, while none of several was chosen yet. */
  readonly keys?: readonly string[] | null;
  /** A digest of the client's own credential, and of its headers that an upstream may refuse. */
  credential(): string;
}

/** What changed for everybody. */
export interface HealthChange {
  /** null: the whole upstream. */
  readonly model: string | null;
  /** Absent: it is not about one of several keys. The secret itself. */
  readonly key?: string;
  readonly before: BreakerState;
  readonly after: BreakerState;
  readonly reason: string;
  /** What people should be told; null when it is nothing new to them. */
  readonly news: HealthNews | null;
}

export class UpstreamCells {
  readonly whole = newCell({ model: null, key: null, isPublic: true });
  readonly models: HealthCells;
  readonly keys: KeyCells;
  readonly foreign: ForeignFindings;
  /** By {@link lackingKey}. */
  readonly #lacking: HealthCells;
  /** By credential. */
  readonly #clients: HealthCells;
  readonly #onChange: (change: HealthChange) => void;
  /** Cells that are not {@link CLOSED}. */
  #unwellCount = 0;

  constructor(onChange: (change: HealthChange) => void) {
    this.#onChange = onChange;
    const forget = (cell: HealthCell, reason: string) => this.#forget(cell, reason);
    this.models = new HealthCells(forget);
    this.keys = new KeyCells(forget);
    this.#lacking = new HealthCells(forget);
    this.#clients = new HealthCells(forget);
    this.foreign = new ForeignFindings((cell, after, reason) => this.#set(cell, after, reason));
  }

  /** Nothing is held back or in doubt. */
  get isWell(): boolean {
    return this.#unwellCount === 0;
  }

  modelOf({ model }: HealthSubject, nowMs: number): HealthCell {
    return this.models.use(model, { model, key: null, isPublic: true }, nowMs);
  }

  lackingOf(subject: HealthSubject, nowMs: number): HealthCell {
    return this.#lacking.use(lackingKey(subject), { model: subject.model, key: null, isPublic: true }, nowMs);
  }

  clientOf(subject: HealthSubject, nowMs: number): HealthCell {
    return this.#clients.use(subject.credential(), { model: null, key: null, isPublic: false }, nowMs);
  }

  /** The breakers that the subject passes. */
  of(subject: HealthSubject): HealthCell[] {
    const cells = [this.whole];
    const model = this.models.get(subject.model);
    if (model !== undefined) cells.push(model);
    const lacking = this.#lacking.size === 0 ? undefined : this.#lacking.get(lackingKey(subject));
    if (lacking !== undefined) cells.push(lacking);
    const client = this.#clients.size === 0 ? undefined : this.#clients.get(subject.credential());
    if (client !== undefined) cells.push(client);
    if (this.foreign.size > 0) cells.push(...this.foreign.cellsFor(subject.model));
    const { key, model: name } = subject;
    if (key !== undefined && key !== null) this.keys.push(cells, { key, model: name });
    return cells;
  }

  /** Found by this replica, and not well for everybody: the upstream as a whole first, then models. */
  ownUnwell(): HealthCell[] {
    if (this.isWell) return [];
    const cells = [this.whole, ...this.models.values(), ...this.#lacking.values()];
    return cells.filter(({ state }) => state.type !== "closed");
  }

  /** What is not well for everybody, whoever found it. */
  unwell(): HealthCell[] {
    const own = this.ownUnwell();
    if (this.foreign.size === 0) return own;
    const heard = this.foreign.unwell().filter(({ model }) => own.every((cell) => cell.model !== model));
    const isWhole = ({ model }: HealthCell) => model === null;
    return [...own, ...heard].sort((a, b) => Number(isWhole(b)) - Number(isWhole(a)));
  }

  apply(
    cell: HealthCell,
    { event, reason }: { readonly event: BreakerEvent; readonly reason: string },
    moment: Moment,
  ): void {
    if (isUnmoved(cell.state, event)) return;
    this.#set(cell, transition(cell.state, event, moment), reason);
  }

  /** Ends what is over, and forgets what nobody asks for any more. */
  sweep(nowMs: number): void {
    this.#set(this.whole, settled(this.whole.state, nowMs), "it answered");
    this.keys.each((cell) => this.#set(cell, settled(cell.state, nowMs), "it answered"));
    this.keys.dropUnused(nowMs);
    for (const cells of [this.models, this.#lacking, this.#clients]) {
      for (const cell of cells.values()) this.#set(cell, settled(cell.state, nowMs), "it answered");
      cells.dropUnused(nowMs);
    }
    this.foreign.expire(nowMs);
  }

  /** Everything is well again, because the operator says so. */
  clear(reason: string): void {
    this.#forget(this.whole, reason);
    this.keys.each((cell) => this.#forget(cell, reason));
    for (const cells of [this.models, this.#lacking, this.#clients]) {
      for (const cell of cells.values()) this.#forget(cell, reason);
    }
    this.foreign.dismiss(reason);
    this.#lacking.clear();
    this.#clients.clear();
  }

  #set(cell: HealthCell, after: BreakerState, reason: string): void {
    const before = cell.state;
    if (after === before) return;
    this.#put(cell, after, reason);
    // Single failures are no news; an open one may ask to be left alone for longer.
    const isSeen = after.type !== before.type || after.type === "open" || after.episode !== before.episode;
    if (cell.isPublic && isSeen) {
      this.#onChange({ ...aboutOf(cell), before, after, reason, news: this.#newsOf(cell, before) });
    }
  }

  /** Of what several replicas find, the first one tells people; another one does if that one has recovered alone. */
  #newsOf(cell: HealthCell, before: BreakerState): HealthNews | null {
    // That a key is throttled for a model is what several keys are for.
    if (cell.isForeign || (cell.key !== null && cell.model !== null)) return null;
    const { state: after } = cell;
    const isUntold = cell.isQuiet && after.type === "open" && after.episode !== before.episode;
    const news = newsOf(before, after) ?? (isUntold ? newsOf(CLOSED, after) : null);
    if (news === null) return null;
    if (news === "recovered") return cell.isQuiet ? null : news;
    const isTold = this.foreign.size > 0 && cell.key === null && this.foreign.isToldOf(news, cell);
    if (!isTold || before.episode === null) cell.isQuiet = isTold;
    return isTold ? null : news;
  }

  /** It is as if nothing had been: nobody is told of a recovery. */
  #forget(cell: HealthCell, reason: string): void {
    const { state: before, isPublic } = cell;
    if (before === CLOSED) return;
    this.#put(cell, CLOSED, reason);
    const wasSeen = before.type !== "closed" || before.episode !== null;
    if (isPublic && wasSeen) {
      this.#onChange({ ...aboutOf(cell), before, after: CLOSED, reason, news: null });
    }
  }

  #put(cell: HealthCell, after: BreakerState, reason: string): void {
    const change = Number(after !== CLOSED) - Number(cell.state !== CLOSED);
    this.#unwellCount += change;
    if (cell.key !== null) this.keys.unwellCount += change;
    cell.state = after;
    // A trial is made for the reason of the opening.
    if (after.type !== "half_open") cell.reason = reason;
  }
}

function aboutOf({ model, key }: HealthCell): Pick<HealthChange, "model" | "key"> {
  return key === null ? { model } : { model, key };
}

function lackingKey({ kind, model }: HealthSubject): string {
  return `${kind} ${model}`;
}
