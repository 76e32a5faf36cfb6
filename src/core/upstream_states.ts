/**
 * The breakers of one upstream: one for the whole of it, one for each model, one for each model that it seems not to
 * have at an endpoint, and one for each client whose own key or header it refuses.
 *
 * Owns which of them an attempt counts for. Pure: time comes in with each call.
 */
import type { HealthReport } from "./blame.ts";
import {
  type Availability,
  availability,
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
import { FailureStreak } from "./failure_streak.ts";
import { type HealthCell, HealthCells, newCell } from "./health_cells.ts";
import type { EndpointKind } from "./types.ts";

/** What an attempt is about. */
export interface HealthSubject {
  /** As the upstream knows it; empty when the request names none. */
  readonly model: string;
  readonly kind: EndpointKind;
  /** Identifies the client. */
  readonly client: string;
  /** A digest of the client's own credential, and of its headers that an upstream may refuse. */
  credential(): string;
}

/** What changed for everybody. */
export interface HealthChange {
  /** null: the whole upstream. */
  readonly model: string | null;
  readonly before: BreakerState;
  readonly after: BreakerState;
  readonly reason: string;
  /** What people should be told; null when it is nothing new to them. */
  readonly news: HealthNews | null;
}

const SUCCESS: BreakerEvent = { type: "success" };
const CONTENT: BreakerEvent = { type: "content" };
const TRY: BreakerEvent = { type: "try" };
const ABANDONED: BreakerEvent = { type: "abandoned" };
const OUTRUN: BreakerEvent = { type: "outrun" };

/** How an attempt's end is brought to the breakers. */
interface Verdict {
  readonly cell: HealthCell;
  readonly event: BreakerEvent;
  /** What it means for the others. */
  readonly others: BreakerEvent;
}

export class UpstreamStates {
  readonly #whole = newCell({ model: null, isPublic: true });
  readonly #models: HealthCells;
  /** By {@link lackingKey}. */
  readonly #lacking: HealthCells;
  /** By credential. */
  readonly #clients: HealthCells;
  readonly #onChange: (change: HealthChange) => void;
  /** Cells that are not {@link CLOSED}. */
  #unwellCount = 0;
  /** When the attempt began that ended well last. */
  #servedStartMs = -Infinity;
  readonly #streak = new FailureStreak();
  /** The endpoint at which a model was served last, by which a 404 elsewhere is no evidence. */
  #servedKind: EndpointKind | null = null;

  constructor(onChange: (change: HealthChange) => void) {
    this.#onChange = onChange;
    const forget = (cell: HealthCell, reason: string) => this.#forget(cell, reason);
    this.#models = new HealthCells(forget);
    this.#lacking = new HealthCells(forget);
    this.#clients = new HealthCells(forget);
  }

  /** Nothing is held back or in doubt. */
  get isWell(): boolean {
    return this.#unwellCount === 0;
  }

  /** What may be done with the subject now: what the most reluctant breaker says. */
  availability(subject: HealthSubject, nowMs: number): Availability {
    let worst: Availability = "ready";
    for (const cell of this.#cellsOf(subject)) {
      const each = availability(cell.state, nowMs);
      if (each === "cooling") return each;
      if (each === "trial") worst = each;
    }
    return worst;
  }

  /** Whether another request is trying it now. */
  isOnTrial(subject: HealthSubject, nowMs: number): boolean {
    return this.#cellsOf(subject).some(({ state }) =>
      state.type === "half_open" && availability(state, nowMs) === "cooling"
    );
  }

  /** An attempt is about to begin. */
  begin(subject: HealthSubject, moment: Moment): void {
    for (const cell of this.#cellsOf(subject)) this.#apply(cell, { event: TRY, reason: cell.reason }, moment);
  }

  /** The attempt has shown content, and goes on. */
  content(subject: HealthSubject, moment: Moment): void {
    for (const cell of this.#cellsOf(subject)) {
      this.#apply(cell, { event: CONTENT, reason: "it answers" }, moment);
    }
  }

  /** The attempt is over. */
  report(
    subject: HealthSubject,
    { report, reason }: { readonly report: HealthReport; readonly reason: string },
    moment: Moment,
  ): void {
    if (report.type === "served") return this.#served(subject, moment);
    const { cell, event, others } = this.#weigh(subject, report, moment);
    for (const each of this.#cellsOf(subject)) {
      if (each !== cell) this.#apply(each, { event: eventFor(each, others), reason }, moment);
    }
    this.#apply(cell, { event, reason }, moment);
    if (report.type === "failed" && event.type === "failure") {
      this.#spread(cell, { client: subject.client, event, reason }, moment);
    }
  }

  /** Ends what is over, and forgets what nobody asks for any more. */
  sweep(nowMs: number): void {
    if (this.isWell) return;
    this.#set(this.#whole, settled(this.#whole.state, nowMs), "it answered");
    for (const cells of [this.#models, this.#lacking, this.#clients]) {
      for (const cell of cells.values()) this.#set(cell, settled(cell.state, nowMs), "it answered");
      cells.dropUnused(nowMs);
    }
  }

  /** Everything is well again, because the operator says so. */
  clear(reason: string): void {
    this.#forget(this.#whole, reason);
    for (const cells of [this.#models, this.#lacking, this.#clients]) {
      for (const cell of cells.values()) this.#forget(cell, reason);
    }
    this.#streak.end();
    this.#lacking.clear();
    this.#clients.clear();
  }

  /** What is not well for everybody: the upstream as a whole first, then models. */
  unwell(): HealthCell[] {
    if (this.isWell) return [];
    const cells = [this.#whole, ...this.#models.values(), ...this.#lacking.values()];
    return cells.filter(({ state }) => state.type !== "closed");
  }

  #served(subject: HealthSubject, moment: Moment): void {
    const { client, kind } = subject;
    this.#whole.witnesses.served(client, moment.nowMs);
    this.#modelCell(subject, moment.nowMs).witnesses.served(client, moment.nowMs);
    this.#servedStartMs = Math.max(this.#servedStartMs, moment.startedMs);
    this.#servedKind = kind;
    if (this.isWell) return;
    this.#streak.end();
    for (const cell of this.#cellsOf(subject)) {
      this.#apply(cell, { event: SUCCESS, reason: "it answered" }, moment);
    }
  }

  /** Whose failure it is. */
  #weigh(
    subject: HealthSubject,
    report: Exclude<HealthReport, { type: "served" }>,
    { nowMs }: Moment,
  ): Verdict {
    const { client } = subject;
    const whole = this.#whole;
    const nobody = { cell: whole, event: ABANDONED, others: ABANDONED };
    switch (report.type) {
      case "answered":
      case "missing":
        whole.witnesses.forget();
        this.#streak.end();
        this.#models.get(subject.model)?.witnesses.forget();
        return { cell: whole, event: SUCCESS, others: report.type === "missing" ? ABANDONED : SUCCESS };
      case "failed": {
        const cell = report.at === "upstream" ? whole : this.#modelCell(subject, nowMs);
        const event: BreakerEvent = { type: "failure", cause: report.cause, isConclusive: false };
        if (cell !== whole) whole.witnesses.accuse(client);
        return cell.witnesses.countsFailure(client, nowMs) ? { cell, event, others: event } : nobody;
      }
      case "lacking":
        return this.#lack(subject, nowMs) ?? nobody;
      case "refused":
        return this.#refused(subject, report, nowMs) ?? nobody;
      case "throttled": {
        const cell = report.by === "client"
          ? this.#clientCell(subject, nowMs)
          : this.#modelCell(subject, nowMs);
        return { cell, event: { type: "throttled", forMs: report.forMs }, others: ABANDONED };
      }
      case "no_credit": {
        const cell = report.by === "client" ? this.#clientCell(subject, nowMs) : whole;
        const event: BreakerEvent = { type: "failure", cause: "no_credit", isConclusive: true };
        const counts = report.isCertain || cell !== whole || whole.witnesses.countsFailure(client, nowMs);
        return counts ? { cell, event, others: ABANDONED } : nobody;
      }
      case "outrun":
        return { cell: whole, event: OUTRUN, others: OUTRUN };
      case "nothing":
        return nobody;
      default:
        return report satisfies never;
    }
  }

  /** A key that has worked for others may be refused because of what this client adds to it. */
  #refused(
    subject: HealthSubject,
    { by }: Extract<HealthReport, { type: "refused" }>,
    nowMs: number,
  ): Verdict | null {
    const event: BreakerEvent = { type: "failure", cause: "refusal", isConclusive: false };
    if (by !== "client" && this.#whole.witnesses.countsRefusal(subject.client)) {
      return { cell: this.#whole, event, others: ABANDONED };
    }
    return by === "router" ? null : { cell: this.#clientCell(subject, nowMs), event, others: ABANDONED };
  }

  #lack(subject: HealthSubject, nowMs: number): Verdict | null {
    const { client, model, kind } = subject;
    const isServed = this.#servedKind === kind &&
      this.#models.get(model)?.witnesses.isVouchedFor(client, nowMs) === true;
    if (isServed) return null;
    const cell = this.#lacking.use(lackingKey(subject), { model, isPublic: true }, nowMs);
    return {
      cell,
      event: { type: "failure", cause: "refusal", isConclusive: false },
      others: ABANDONED,
    };
  }

  /**
   * Several models that fail, with nothing served in between, are the upstream's own failure: two that are held back, or
   * as many failures in a row as that takes.
   */
  #spread(
    { model, state }: HealthCell,
    { client, event, reason }: {
      readonly client: string;
      readonly event: Extract<BreakerEvent, { type: "failure" }>;
      readonly reason: string;
    },
    moment: Moment,
  ): void {
    if (model === null) return;
    const isStreak = this.#streak.add(model, moment.nowMs);
    if (this.#whole.state.type !== "closed") return;
    const isDown = isStreak || (state.type === "open" && this.#isAnotherDown(model, moment.nowMs));
    if (!isDown || !this.#whole.witnesses.countsFailure(client, moment.nowMs)) return;
    this.#apply(this.#whole, { event: { ...event, isConclusive: true }, reason }, moment);
  }

  #isAnotherDown(model: string, nowMs: number): boolean {
    for (const { model: other, state } of this.#models.values()) {
      if (other === model || state.type === "closed" || availability(state, nowMs) !== "cooling") continue;
      if (state.episode.openedMs > this.#servedStartMs) return true;
    }
    return false;
  }

  #modelCell({ model }: HealthSubject, nowMs: number): HealthCell {
    return this.#models.use(model, { model, isPublic: true }, nowMs);
  }

  #clientCell(subject: HealthSubject, nowMs: number): HealthCell {
    return this.#clients.use(subject.credential(), { model: null, isPublic: false }, nowMs);
  }

  /** The breakers that the subject passes. */
  #cellsOf(subject: HealthSubject): HealthCell[] {
    const cells = [this.#whole];
    const model = this.#models.get(subject.model);
    if (model !== undefined) cells.push(model);
    const lacking = this.#lacking.size === 0 ? undefined : this.#lacking.get(lackingKey(subject));
    if (lacking !== undefined) cells.push(lacking);
    const client = this.#clients.size === 0 ? undefined : this.#clients.get(subject.credential());
    if (client !== undefined) cells.push(client);
    return cells;
  }

  #apply(
    cell: HealthCell,
    { event, reason }: { readonly event: BreakerEvent; readonly reason: string },
    moment: Moment,
  ): void {
    if (isUnmoved(cell.state, event)) return;
    this.#set(cell, transition(cell.state, event, moment), reason);
  }

  #set(cell: HealthCell, after: BreakerState, reason: string): void {
    const before = cell.state;
    if (after === before) return;
    this.#put(cell, after, reason);
    // Single failures are no news; an open one may ask to be left alone for longer.
    const isSeen = after.type !== before.type || after.type === "open" || after.episode !== before.episode;
    const { model, isPublic } = cell;
    if (isPublic && isSeen) this.#onChange({ model, before, after, reason, news: newsOf(before, after) });
  }

  /** It is as if nothing had been: nobody is told of a recovery. */
  #forget(cell: HealthCell, reason: string): void {
    const { state: before, model, isPublic } = cell;
    if (before === CLOSED) return;
    this.#put(cell, CLOSED, reason);
    const wasSeen = before.type !== "closed" || before.episode !== null;
    if (isPublic && wasSeen) this.#onChange({ model, before, after: CLOSED, reason, news: null });
  }

  #put(cell: HealthCell, after: BreakerState, reason: string): void {
    this.#unwellCount += Number(after !== CLOSED) - Number(cell.state !== CLOSED);
    cell.state = after;
    // A trial is made for the reason of the opening.
    if (after.type !== "half_open") cell.reason = reason;
  }
}

/** A failed trial is one for whatever was on trial; nothing else is known of the other breakers. */
function eventFor({ state }: HealthCell, others: BreakerEvent): BreakerEvent {
  return others.type === "failure" && state.type !== "half_open" ? ABANDONED : others;
}

function lackingKey({ kind, model }: HealthSubject): string {
  return `${kind} ${model}`;
}
