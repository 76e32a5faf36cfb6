/**
 * Hedging: when an attempt is silent for too long, another upstream is asked beside it, and the first reply counts.
 *
 * One object for a request, and one race at most. The rules are in core/hedging.ts.
 */
import type { Clock } from "../../core/clock.ts";
import { type HedgeDelay, hedgeDelayMs, isHedgedKind, mayBeSentTwice } from "../../core/hedging.ts";
import type { RequestLedger } from "../ledger/request_ledger.ts";
import type { Hedging } from "./hedging.ts";
import type { AttemptResult, FailedAttempt } from "./attempt_result.ts";
import type { UpstreamAttempt } from "./upstream_attempt.ts";

export interface EndedAttempt {
  readonly attempt: UpstreamAttempt;
  readonly result: AttemptResult;
}

export interface RunningAttempt {
  readonly attempt: UpstreamAttempt;
  /** Never rejects. */
  readonly end: Promise<EndedAttempt>;
}

/** What a race asks of its request. */
export interface RaceHost {
  /** Nobody else is left to ask. */
  readonly isLast: boolean;
  /** Asks the next upstream that is well; null when there is none. */
  startSecond(): RunningAttempt | null;
  /** Whether nobody's answer can be better than that of a failed attempt. */
  isDecisive(failed: FailedAttempt): boolean;
  /** An attempt has failed while the other one goes on. */
  failedInRace(failed: FailedAttempt, attempt: UpstreamAttempt): void;
}

export interface RaceDeps {
  readonly clock: Clock;
  readonly hedging: Hedging;
}

export class AttemptRace {
  readonly #deps: RaceDeps;
  readonly #ledger: RequestLedger;
  readonly #delay: HedgeDelay;
  readonly #host: RaceHost;
  #second: UpstreamAttempt | null = null;
  #isOn = false;

  constructor(
    deps: RaceDeps,
    { ledger, hedge }: { readonly ledger: RequestLedger; readonly hedge: HedgeDelay },
    host: RaceHost,
  ) {
    this.#deps = deps;
    this.#ledger = ledger;
    this.#delay = hedge;
    this.#host = host;
    deps.hedging.noteRequest();
  }

  /** Both attempts are under way. */
  get isOn(): boolean {
    return this.#isOn;
  }

  /** The attempt that was begun beside another one. */
  get second(): UpstreamAttempt | null {
    return this.#second;
  }

  /** When another upstream is asked beside this attempt; null: never, as nearly always. */
  delayMs({ isTrial, upstream }: UpstreamAttempt): number | null {
    if ((this.#delay === null && !isTrial) || this.#second !== null || this.#host.isLast) return null;
    const { inbound } = this.#ledger;
    if (!isHedgedKind(inbound)) return null;
    const usualMs = this.#deps.hedging.usualMs(upstream.id, inbound);
    return hedgeDelayMs(this.#delay, { usualMs, isTrial });
  }

  /**
   * Waits for an attempt, and after the delay for another one as well. The first that has a reply counts, and the other
   * one is closed; when one fails, the other one goes on. Never rejects.
   */
  async run(first: RunningAttempt, delayMs: number): Promise<EndedAttempt> {
    if (await settlesWithin(first.end, delayMs, this.#deps.clock)) return await first.end;
    const second = this.#start(first.attempt);
    if (second === null) return await first.end;
    this.#isOn = true;
    const ended = await Promise.race([first.end, second.end]);
    this.#isOn = false;
    const other = ended.attempt === first.attempt ? second : first;
    const { result } = ended;
    switch (result.type) {
      case "failed":
        if (!this.#host.isDecisive(result)) {
          this.#host.failedInRace(result, ended.attempt);
          return await other.end;
        }
        other.attempt.lose();
        break;
      case "chosen":
        // It may have taken longer.
        this.noteFirstToken(other.attempt);
        other.attempt.lose();
        break;
      case "stopped":
        other.attempt.abandon();
        break;
      default:
        result satisfies never;
    }
    return ended;
  }

  /** Remembers how long the attempt took until its first content, or for how long it has shown none. */
  noteFirstToken({ upstream, firstTokenMs }: UpstreamAttempt): void {
    const { inbound } = this.#ledger;
    if (isHedgedKind(inbound)) this.#deps.hedging.noteFirstToken(upstream.id, inbound, firstTokenMs);
  }

  #start(first: UpstreamAttempt): RunningAttempt | null {
    const { hedging } = this.#deps;
    // A stream that is held to its end is not silent.
    if (this.#host.isLast || first.hasContent || !(first.isTrial || hedging.isAffordable)) return null;
    if (!mayBeSentTwice(this.#ledger.inbound)) return null;
    const second = this.#host.startSecond();
    if (second === null) return null;
    if (!first.isTrial) hedging.spend();
    this.#second = second.attempt;
    return second;
  }
}

/** Whether a promise, which never rejects, settles within a time. */
async function settlesWithin(promise: Promise<unknown>, limitMs: number, clock: Clock): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = clock.setTimer(() => resolve(false), limitMs);
  const isInTime = await Promise.race([promise.then(() => true), late]);
  clock.clearTimer(timer);
  return isInTime;
}
