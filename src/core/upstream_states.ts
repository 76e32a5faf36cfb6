/**
 * What attempts mean for the breakers of one upstream.
 *
 * Owns which of them (upstream_cells.ts) an attempt counts for. Pure: time comes in with each call.
 */
import type { HealthReport } from "./blame.ts";
import {
  type Availability,
  availability,
  type BreakerEvent,
  type Moment,
  type OpenCause,
} from "./breaker.ts";
import { FailureStreak } from "./failure_streak.ts";
import { type Finding, findingOf, type ForeignFinding } from "./foreign_findings.ts";
import type { HealthCell } from "./health_cells.ts";
import type { EndpointKind } from "./types.ts";
import type { KeyStanding } from "./key_cells.ts";
import { NO_CREDIT, weighKey } from "./key_blame.ts";
import { type HealthChange, type HealthSubject, UpstreamCells } from "./upstream_cells.ts";

export type { HealthChange, HealthSubject };

const SUCCESS: BreakerEvent = { type: "success" };
const CONTENT: BreakerEvent = { type: "content" };
const TRY: BreakerEvent = { type: "try" };
const ABANDONED: BreakerEvent = { type: "abandoned" };
const OUTRUN: BreakerEvent = { type: "outrun" };

/** What a check of an upstream without traffic has found; `reached`: it answered. */
export const CHECK_RESULTS = ["reached", "outage", "refusal", "no_credit"] as const;
export type CheckResult = typeof CHECK_RESULTS[number];

/** How an attempt's end is brought to the breakers. */
interface Verdict {
  readonly cell: HealthCell;
  readonly event: BreakerEvent;
  /** What it means for the others. */
  readonly others: BreakerEvent;
}

export class UpstreamStates {
  readonly #cells: UpstreamCells;
  /** When the attempt began that ended well last. */
  #servedStartMs = -Infinity;
  readonly #streak = new FailureStreak();
  /** Checks in a row that failed while it was thought well. */
  #failedChecks = 0;
  /** The endpoint at which a model was served last, by which a 404 elsewhere is no evidence. */
  #servedKind: EndpointKind | null = null;

  constructor(onChange: (change: HealthChange) => void) {
    this.#cells = new UpstreamCells(onChange);
  }

  /** Nothing is held back or in doubt. */
  get isWell(): boolean {
    return this.#cells.isWell;
  }

  /** What may be done with the subject now: what the most reluctant breaker says. */
  availability(subject: HealthSubject, nowMs: number): Availability {
    let worst: Availability = "ready";
    for (const cell of this.#cells.of(subject)) {
      const each = availability(cell.state, nowMs);
      if (each === "cooling") return each;
      if (each === "trial") worst = each;
    }
    // Of several keys, one that is well is enough.
    return this.#haveKeysAll(subject, "cooling", nowMs)
      ? "cooling"
      : worst === "ready" && this.#haveKeysAll(subject, "trial", nowMs)
      ? "trial"
      : worst;
  }

  /** How one of several keys stands for the subject, apart from the upstream itself. */
  keyStanding({ model }: Pick<HealthSubject, "model">, key: string, nowMs: number): KeyStanding {
    if (this.#cells.keys.unwellCount === 0) return "ready";
    return this.#cells.keys.standing({ key, model }, nowMs);
  }

  /** The breakers of a key that are not closed: its own first. */
  unwellKey(key: string): HealthCell[] {
    return this.#cells.keys.unwellCount === 0 ? [] : this.#cells.keys.unwell(key);
  }

  /** Forgets all other keys. */
  keepKeys(keys: ReadonlySet<string>): void {
    this.#cells.keys.keep(keys);
  }

  /** No key can be used for the subject better than that. */
  #haveKeysAll({ keys, model }: HealthSubject, least: "trial" | "cooling", nowMs: number): boolean {
    const cells = this.#cells.keys;
    if (keys === null || keys === undefined || cells.unwellCount < keys.length) return false;
    return keys.every((key) => {
      const each = cells.standing({ key, model }, nowMs);
      return each !== "ready" && (least === "trial" || each !== "trial");
    });
  }

  /** Whether another request is trying it now. */
  isOnTrial(subject: HealthSubject, nowMs: number): boolean {
    return this.#cells.of(subject).some(({ state }) =>
      state.type === "half_open" && availability(state, nowMs) === "cooling"
    );
  }

  /** An attempt is about to begin. */
  begin(subject: HealthSubject, moment: Moment): void {
    for (const cell of this.#cells.of(subject)) {
      this.#cells.apply(cell, { event: TRY, reason: cell.reason }, moment);
    }
  }

  /** The attempt has shown content, and goes on. */
  content(subject: HealthSubject, moment: Moment): void {
    for (const cell of this.#cells.of(subject)) {
      this.#cells.apply(cell, { event: CONTENT, reason: "it answers" }, moment);
    }
  }

  /** The attempt is over. */
  report(
    subject: HealthSubject,
    { report, reason }: { readonly report: HealthReport; readonly reason: string },
    moment: Moment,
  ): void {
    if (report.type === "served") return this.#served(subject, moment);
    const verdict = this.#weigh(subject, report, moment);
    const { cell, event } = verdict;
    for (const each of this.#cells.of(subject)) {
      if (each !== cell) this.#cells.apply(each, { event: eventFor(each, verdict), reason }, moment);
    }
    this.#cells.apply(cell, { event, reason }, moment);
    if (report.type === "failed" && event.type === "failure") {
      this.#spread(cell, { client: subject.client, event, reason }, moment);
    }
  }

  /**
   * The end of a check, which asks for the models and not for a reply: it ends an outage of the whole upstream, and neither a
   * refusal, nor a lack of credit, nor a wait that it asked for. A key that has served clients may be refused the list alone.
   */
  checked(result: CheckResult, reason: string, moment: Moment): void {
    const { whole } = this.#cells;
    const { state } = whole;
    if (result === "reached") {
      const isOnlyChecks = state.type === "closed" && state.failures === this.#failedChecks;
      this.#failedChecks = 0;
      const isOutage = state.episode === null
        ? isOnlyChecks
        : state.episode.cause === "outage" && state.episode.times > 0;
      if (isOutage) this.#cells.apply(whole, { event: SUCCESS, reason: "it answers checks" }, moment);
      return;
    }
    if (state.type !== "closed" && state.episode.cause !== result) return;
    if (result === "refusal" && whole.witnesses.hasServed) return;
    this.#failedChecks = state.type === "closed" ? this.#failedChecks + 1 : 0;
    const event: BreakerEvent = { type: "failure", cause: result, isConclusive: result === "no_credit" };
    this.#cells.apply(whole, { event, reason }, moment);
  }

  /** Ends what is over, and forgets what nobody asks for any more. */
  sweep(nowMs: number): void {
    if (!this.isWell) this.#cells.sweep(nowMs);
  }

  /** Everything is well again, because the operator says so. */
  clear(reason: string): void {
    this.#cells.clear(reason);
    this.#streak.end();
  }

  /** All that other replicas say now. */
  hear(findings: readonly ForeignFinding[], moment: Pick<Moment, "nowMs" | "maxOutageMs">): void {
    this.#cells.foreign.replace(findings, moment);
  }

  /** What other replicas should know. */
  findings(): Finding[] {
    const { whole, models } = this.#cells;
    if (this.isWell) return [];
    return [whole, ...models.values()].flatMap((cell) => findingOf(cell) ?? []);
  }

  /** What is not well for everybody: the upstream as a whole first, then models. */
  unwell(): HealthCell[] {
    return this.isWell ? [] : this.#cells.unwell();
  }

  /** The same without what only others have found. */
  ownUnwell(): HealthCell[] {
    return this.#cells.ownUnwell();
  }

  #served(subject: HealthSubject, moment: Moment): void {
    const { client, kind } = subject;
    this.#cells.whole.witnesses.served(client, moment.nowMs);
    this.#cells.modelOf(subject, moment.nowMs).witnesses.served(client, moment.nowMs);
    const { key } = subject;
    if (key !== null && key !== undefined) {
      this.#cells.keys.use(key).witnesses.served(client, moment.nowMs);
    }
    this.#servedStartMs = Math.max(this.#servedStartMs, moment.startedMs);
    this.#servedKind = kind;
    if (this.isWell) return;
    this.#streak.end();
    for (const cell of this.#cells.of(subject)) {
      this.#cells.apply(cell, { event: SUCCESS, reason: "it answered" }, moment);
    }
  }

  /** Whose failure it is. */
  #weigh(
    subject: HealthSubject,
    report: Exclude<HealthReport, { type: "served" }>,
    { nowMs }: Moment,
  ): Verdict {
    const { client } = subject;
    const whole = this.#cells.whole;
    const nobody = { cell: whole, event: ABANDONED, others: ABANDONED };
    const ofKey = weighKey(this.#cells.keys, { subject, report }, nowMs);
    if (ofKey !== null) return ofKey === "nobody" ? nobody : { ...ofKey, others: ABANDONED };
    switch (report.type) {
      case "answered":
      case "missing":
        whole.witnesses.forget();
        this.#streak.end();
        this.#cells.models.get(subject.model)?.witnesses.forget();
        return { cell: whole, event: SUCCESS, others: report.type === "missing" ? ABANDONED : SUCCESS };
      case "failed": {
        const cell = report.at === "upstream" ? whole : this.#cells.modelOf(subject, nowMs);
        const others: BreakerEvent = { type: "failure", cause: report.cause, isConclusive: false };
        const event = { ...others, isConclusive: this.#isConfirming(cell, report.cause) };
        if (cell !== whole) whole.witnesses.accuse(client);
        return cell.witnesses.countsFailure(client, nowMs) ? { cell, event, others } : nobody;
      }
      case "lacking":
        return this.#lack(subject, nowMs) ?? nobody;
      case "refused":
        return this.#refused(subject, report, nowMs) ?? nobody;
      case "throttled": {
        const cell = report.by === "client"
          ? this.#cells.clientOf(subject, nowMs)
          : this.#cells.modelOf(subject, nowMs);
        return { cell, event: { type: "throttled", forMs: report.forMs }, others: ABANDONED };
      }
      case "no_credit": {
        const cell = report.by === "client" ? this.#cells.clientOf(subject, nowMs) : whole;
        const counts = report.isCertain || cell !== whole || whole.witnesses.countsFailure(client, nowMs);
        return counts ? { cell, event: NO_CREDIT, others: ABANDONED } : nobody;
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
    const { whole } = this.#cells;
    if (by !== "client" && whole.witnesses.countsRefusal(subject.client)) {
      const isConclusive = this.#isConfirming(whole, "refusal");
      return { cell: whole, event: { ...event, isConclusive }, others: ABANDONED };
    }
    return by === "router" ? null : { cell: this.#cells.clientOf(subject, nowMs), event, others: ABANDONED };
  }

  /** Another client was served with the model lately, at the same kind of endpoint. */
  servesOthers({ client, model, kind }: HealthSubject, nowMs: number): boolean {
    return this.#servedKind === kind &&
      this.#cells.models.get(model)?.witnesses.isVouchedFor(client, nowMs) === true;
  }

  #lack(subject: HealthSubject, nowMs: number): Verdict | null {
    if (this.servesOthers(subject, nowMs)) return null;
    const cell = this.#cells.lackingOf(subject, nowMs);
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
    if (this.#cells.whole.state.type !== "closed") return;
    const isDown = isStreak || (state.type === "open" && this.#isAnotherDown(model, moment.nowMs));
    if (!isDown || !this.#cells.whole.witnesses.countsFailure(client, moment.nowMs)) return;
    this.#cells.apply(this.#cells.whole, { event: { ...event, isConclusive: true }, reason }, moment);
  }

  #isAnotherDown(model: string, nowMs: number): boolean {
    for (const { model: other, state } of this.#cells.models.values()) {
      if (other === model || state.type === "closed" || availability(state, nowMs) !== "cooling") continue;
      if (state.episode.openedMs > this.#servedStartMs) return true;
    }
    return false;
  }

  /** One failure is enough for what another replica has found. */
  #isConfirming(cell: HealthCell, cause: OpenCause): boolean {
    const { foreign } = this.#cells;
    return foreign.size > 0 && cell.state.type === "closed" && foreign.isConfirmedBy(cause, cell);
  }
}

/** A failed trial is one for whatever was on trial; nothing else is known of the other breakers. */
function eventFor(each: HealthCell, { cell, event, others }: Verdict): BreakerEvent {
  if (each.key !== null && others.type === "failure") return ABANDONED;
  if (!each.isForeign) {
    return others.type === "failure" && each.state.type !== "half_open" ? ABANDONED : others;
  }
  // What fails here is this replica's own finding.
  const said = each.model === null && cell.model === null && cell.isPublic ? event : others;
  return said.type === "failure" || said.type === "throttled" ? ABANDONED : said;
}
