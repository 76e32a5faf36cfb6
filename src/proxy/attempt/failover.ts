/**
 * The failover loop: try an upstream, then choose its reply or go on to the next one; if all fail, give the best answer
 * of them.
 *
 * One attempt is in upstream_attempt.ts, the rules are in core/policy.ts.
 */
import { answerRank, isTelling } from "../../core/answer_rank.ts";
import { isAboutKey } from "../../core/blame.ts";
import type { Availability } from "../../core/breaker.ts";
import { hasOwnCredential } from "../../core/credentials.ts";
import type { RouterError } from "../../core/errors.ts";
import { isTooLong } from "../../core/error_meaning.ts";
import { decide, type Decision, firstByteTimeout, isFinalError, retryAfterMs } from "../../core/policy.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import { MAX_RETRIED_BYTES, retryDelayMs } from "../../core/retry.ts";
import { ASIS, type Upstream } from "../../core/types.ts";
import type { ReplyAssessment } from "../assess/assessment.ts";
import { AttemptRace, type EndedAttempt, type RaceHost, type RunningAttempt } from "./attempt_race.ts";
import type { FailedAttempt } from "./attempt_result.ts";
import { BestAnswer, conveyed } from "./best_answer.ts";
import type { AttemptJudge } from "./attempted_request.ts";
import { CandidateQueue } from "./candidate_queue.ts";
import { CandidateTurns, type Taken } from "./candidate_turns.ts";
import { isStream, withoutLateBom } from "./failed_answer.ts";
import { deadlineError, errorClassOf, type FailedOutcome, finalError, statusOf } from "./failure.ts";
import type { FailoverDeps, FailoverRequest, FinalChoice } from "./failover_request.ts";
import type { HeldSlot } from "./held_slot.ts";
import type { SendResult } from "./transport.ts";
import { OpenFindings } from "./open_findings.ts";
import { OwnersWord } from "./owners_word.ts";
import { pause } from "./pause.ts";
import { UpstreamAttempt } from "./upstream_attempt.ts";

/** What follows a failure. */
type Step =
  | { readonly type: "again"; readonly delayMs: number }
  | { readonly type: "next" }
  | { readonly type: "give_up" };

const NO_CREDENTIAL: SendResult = { type: "no_credential" };

/** Runs the loop for one request. Never rejects. */
export function failover(deps: FailoverDeps, request: FailoverRequest): Promise<FinalChoice> {
  return new FailoverLoop(deps, request).run();
}

class FailoverLoop implements AttemptJudge<UpstreamAttempt>, RaceHost {
  readonly #deps: FailoverDeps;
  readonly #request: FailoverRequest;
  readonly #queue: CandidateQueue;
  readonly #turns: CandidateTurns;
  readonly #race: AttemptRace;
  readonly #best: BestAnswer<UpstreamAttempt>;
  readonly #failures: FailedOutcome[] = [];
  readonly #maxAttempts: number;
  /** Attempts that were sent. */
  #sent = 0;
  /** Of these, how often the current upstream was asked again. */
  #retries = 0;
  #current: Upstream | null = null;
  readonly #findings = new OpenFindings();
  readonly #owner: OwnersWord;

  constructor(deps: FailoverDeps, request: FailoverRequest) {
    this.#deps = deps;
    this.#request = request;
    this.#best = new BestAnswer(deps.budget);
    const { candidates, models, ledger, guard, demand } = request;
    const owner = ledger.ties?.owner ?? null;
    this.#owner = new OwnersWord(owner?.upstreamId ?? null);
    this.#race = new AttemptRace(deps, request, this);
    this.#maxAttempts = deps.retry.maxAttempts ?? candidates.length + 2;
    this.#queue = new CandidateQueue(candidates, {
      health: deps.health,
      request: ledger.inbound,
      waiting: deps.waiting,
      demand,
      models,
      owner,
      hasOwnCredential: candidates.some(({ sk }) => sk === ASIS) &&
        hasOwnCredential(ledger.inbound.headers, guard),
    });
    this.#turns = new CandidateTurns(this.#queue, deps.waiting, request);
  }

  get isLast(): boolean {
    return this.#sent >= this.#maxAttempts || this.#queue.isUsedUp;
  }

  async run(): Promise<FinalChoice> {
    for (let next = this.#next();;) {
      const taken = next instanceof Promise ? await next : next;
      if (taken === null) break;
      const begun = this.#begin(taken);
      const sent = taken.slot === null ? NO_CREDENTIAL : this.#send(begun, taken.slot);
      const delayMs = this.#race.delayMs(begun);
      let ended: EndedAttempt;
      if (delayMs === null) {
        // Awaits no more than it must: nearly every request comes along here.
        const concluded = begun.conclude(sent instanceof Promise ? await sent : sent, this);
        ended = { attempt: begun, result: concluded instanceof Promise ? await concluded : concluded };
      } else ended = await this.#race.run({ attempt: begun, end: this.#end(begun, sent) }, delayMs);
      const { attempt, result } = ended;
      if (result.type === "chosen") return this.#chosen(attempt, result.reply);
      if (result.type === "stopped") return this.#stopped();
      const step = this.#afterFailure(result, attempt);
      if (step.type === "give_up") break;
      if (step.type === "again") {
        this.#retries++;
        if (!await pause(step.delayMs, { clock: this.#deps.clock, stop: this.#request.stop })) {
          return this.#stopped();
        }
        if (this.#isWorthAsking(attempt)) {
          next = this.#turns.again(attempt.upstream);
          continue;
        }
      }
      next = this.#next();
    }
    // It may have left while it waited.
    return this.#request.stop.cause === null ? this.#given(() => this.#ownError()) : this.#stopped();
  }

  #next(): Taken | null | Promise<Taken | null> {
    return this.#sent >= this.#maxAttempts ? null : this.#turns.next();
  }

  #begin({ upstream }: Taken): UpstreamAttempt {
    if (upstream !== this.#current) this.#retries = 0;
    this.#current = upstream;
    return new UpstreamAttempt(this.#deps, this.#request, upstream);
  }

  #send(attempt: UpstreamAttempt, slot: HeldSlot): Promise<SendResult> {
    this.#sent++;
    return attempt.send(this.#headersTimeoutMs(attempt.upstream), slot);
  }

  #ownError(): RouterError {
    const isBusy = this.#failures.length === 0 || this.#turns.isRefused;
    return (isBusy ? this.#turns.refuse() : null) ?? finalError(this.#failures);
  }

  async #end(attempt: UpstreamAttempt, sent: SendResult | Promise<SendResult>): Promise<EndedAttempt> {
    return { attempt, result: await attempt.conclude(await sent, this) };
  }

  startSecond(): RunningAttempt | null {
    const taken = this.#request.stop.cause === null ? this.#turns.second() : null;
    if (taken === null || taken.slot === null) return null;
    const attempt = new UpstreamAttempt(this.#deps, this.#request, taken.upstream);
    return { attempt, end: this.#end(attempt, this.#send(attempt, taken.slot)) };
  }

  isDecisive({ answer, error }: FailedAttempt): boolean {
    return answer !== null && this.#isFinal(error);
  }

  failedInRace(failed: FailedAttempt, attempt: UpstreamAttempt): void {
    this.#note(failed, attempt);
    this.#deps.observer.failedOver(attempt.upstream.name, errorClassOf(failed.outcome));
  }

  #chosen(attempt: UpstreamAttempt, reply: ReplyAssessment): FinalChoice {
    if (reply.status < 300 && reply.problem === null) {
      this.#race.noteFirstToken(attempt);
      this.#request.ledger.ties?.answered(attempt.upstream);
      this.#findings.answered(attempt.upstream);
    }
    this.#finish(attempt);
    return { type: "reply", reply, attempt };
  }

  /** @param winner whose reply is given, if it was chosen */
  #finish(winner: UpstreamAttempt | null): void {
    this.#best.release();
    this.#findings.settle({ isAnswered: false });
    const { second } = this.#race;
    if (second !== null) this.#deps.observer.hedged(winner === second);
  }

  decide(outcome: FailedOutcome, attempt: UpstreamAttempt): Decision {
    const { ledger: { inbound: { headers } }, early } = this.#request;
    if (outcome.type !== "response" && "error" in outcome && this.#isFinal(outcome.error)) {
      return { type: "relay" };
    }
    const decision = decide(outcome, {
      isLast: this.isLast && !this.#race.isOn && !this.#mayChangeKey(outcome, attempt.upstream) &&
        this.#retryDelayMs(outcome, attempt) === null,
      retryOn: this.#deps.retry.retryOn,
      isConditional: headers.has("if-none-match") || headers.has("if-modified-since"),
    });
    if (decision.type !== "relay") return decision;
    if (this.#owner.isStrangers(outcome, attempt.upstream)) return { type: "give_up" };
    const isMisfit = outcome.type === "response" && outcome.status >= 300 && early.isBegun;
    const rank = outcome.type === "response" && outcome.status < 400 ? null : answerRank(outcome);
    const isOutranked = rank !== null && rank > this.#best.rank;
    return isMisfit || isOutranked ? { type: "give_up" } : decision;
  }

  #isFinal(error: ReportedError | null): boolean {
    return isFinalError(error, this.#deps.retry.finalCodes);
  }

  /** Takes note of a failure, and says what follows. */
  #afterFailure({ outcome, answer, error }: FailedAttempt, attempt: UpstreamAttempt): Step {
    const isFinal = this.#note({ outcome, answer, error }, attempt);
    if (isFinal || this.decide(outcome, attempt).type !== "next") return { type: "give_up" };
    const delayMs = this.#retryDelayMs(outcome, attempt);
    if (delayMs !== null) return { type: "again", delayMs };
    if (!this.#queue.isEmpty) {
      this.#deps.observer.failedOver(attempt.upstream.name, errorClassOf(outcome));
    }
    return { type: "next" };
  }

  /** Keeps the answer if it is the best so far; true when it is final. */
  #note({ outcome, answer, error }: Omit<FailedAttempt, "type">, attempt: UpstreamAttempt): boolean {
    if (this.#owner.failed(attempt.upstream)) {
      this.#failures.length = 0;
      this.#best.release();
    }
    const isStrangers = this.#owner.isStrangers(outcome, attempt.upstream);
    if (!isStrangers) this.#failures.push(outcome);
    this.#findings.note(attempt);
    if (!isAboutKey(statusOf(outcome), error)) this.#queue.skipKeys(attempt.upstream);
    if (isTooLong(error, outcome.type === "response" ? outcome.status : 200)) {
      this.#queue.skipLike(attempt.upstream);
    }
    if (answer === null || isStrangers) return false;
    const isFinal = this.#isFinal(error);
    if (isFinal) this.#best.release();
    this.#best.offer(attempt, answer);
    return isFinal;
  }

  /** Whether another key of the same upstream may do better; what an error says is not known yet. */
  #mayChangeKey(outcome: FailedOutcome, upstream: Upstream): boolean {
    if (upstream.keyN === null || this.#sent >= this.#maxAttempts) return false;
    const status = statusOf(outcome);
    const error = "error" in outcome ? outcome.error : null;
    return (status === 400 || isAboutKey(status, error)) && this.#queue.hasOtherKey(upstream);
  }

  /** When the same upstream is asked again with the same key; null: it is not. */
  #retryDelayMs(outcome: FailedOutcome, attempt: UpstreamAttempt): number | null {
    const { clock, random, retry } = this.#deps;
    if (outcome.type === "response" && outcome.status < 400) return null;
    const { ledger: { inbound }, early } = this.#request;
    if (outcome.type !== "connect_error" && retry.retryOn === "connect") return null;
    // Another key need not wait.
    if (isAboutKey(statusOf(outcome), null) && this.#queue.hasReadyKey(attempt.upstream)) return null;
    if (!attempt.isReady || early.isBegun || (inbound.body?.length ?? 0) > MAX_RETRIED_BYTES) return null;
    if (this.#retries >= (retry.retrySame ?? (this.#isOnly(attempt.upstream) ? 1 : 0))) return null;
    // Nobody goes unasked because another one was asked twice.
    if (this.#sent + this.#queue.usableCount >= this.#maxAttempts) return null;
    return retryDelayMs(outcome, {
      headers: attempt.headers,
      maxWaitMs: retry.retryWaitMs,
      wallNowMs: clock.now(),
      random: random(),
    });
  }

  /** Any other upstream would answer with another model: a worse answer than the same one's a moment later. */
  #isOnly(upstream: Upstream): boolean {
    return this.#request.candidates.every((other) =>
      other.id === upstream.id || !this.#queue.isUsable(other) || !this.#queue.haveSameModel(other, upstream)
    );
  }

  /** Whether other requests have not found out meanwhile that the upstream is down. */
  #isWorthAsking({ upstream, headers }: UpstreamAttempt): boolean {
    const hasAskedToWait = headers !== null && retryAfterMs(headers, this.#deps.clock.now()) !== null;
    return hasAskedToWait || this.#standing(upstream) !== "cooling";
  }

  #standing(upstream: Upstream): Availability {
    return this.#deps.health.standing(upstream, this.#request.ledger.inbound).availability;
  }

  #headersTimeoutMs(upstream: Upstream): number {
    // A client that has made a mistake need not wait long for an upstream that keeps failing.
    const isHopeless = isTelling(this.#best.rank) && this.#standing(upstream) === "cooling";
    return firstByteTimeout(this.#request.ledger.inbound, upstream, this.isLast && !isHopeless);
  }

  #stopped(): FinalChoice {
    if (this.#request.stop.cause === "deadline") return this.#given(deadlineError);
    this.#finish(null);
    return { type: "client_gone" };
  }

  /** What the client gets when no reply was chosen: the best answer, or else an error of our own. */
  #given(ownError: () => RouterError): FinalChoice {
    const { kept } = this.#best;
    this.#finish(null);
    if (kept !== null) {
      const { answer, attempt } = kept;
      const { isBegun, hasSent } = this.#request.early;
      if (!isBegun || isStream(answer.reply)) {
        return { type: "reply", reply: withoutLateBom(answer.reply, hasSent), attempt };
      }
      const error = conveyed(answer);
      if (error !== null) return { type: "failed", error, upstream: attempt.upstream };
    }
    return { type: "failed", error: ownError(), upstream: null };
  }
}
