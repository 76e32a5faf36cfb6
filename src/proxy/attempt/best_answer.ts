/**
 * The best answer of a request's failed attempts, kept until an upstream does better or nobody is left.
 *
 * Holds one answer at most, complete, and accounts for its memory. The order is that of core/answer_rank.ts.
 */
import { answerRank } from "../../core/answer_rank.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import { RouterError } from "../../core/errors.ts";
import { impliedStatus } from "../../core/error_meaning.ts";
import type { ReplyAssessment } from "../assess/assessment.ts";
import type { HeldAccount, HeldBudget } from "../assess/held_budget.ts";
import { bytesOf } from "./failed_answer.ts";
import type { FailedOutcome } from "./failure.ts";

/** An answer of a failed attempt that could be given to the client. */
export interface FailedAnswer {
  /** Its body has been read to the end. */
  readonly reply: ReplyAssessment;
  /** Lower is better. */
  readonly rank: number;
  readonly error: ReportedError | null;
  /** Memory that it takes, roughly. */
  readonly bytes: number;
}

interface Kept<Attempt> {
  readonly answer: FailedAnswer;
  readonly attempt: Attempt;
}

export class BestAnswer<Attempt> {
  readonly #budget: HeldBudget;
  #account: HeldAccount | null = null;
  #kept: Kept<Attempt> | null = null;

  constructor(budget: HeldBudget) {
    this.#budget = budget;
  }

  get kept(): Kept<Attempt> | null {
    return this.#kept;
  }

  /** Infinity while there is none. */
  get rank(): number {
    return this.#kept?.answer.rank ?? Infinity;
  }

  /** Keeps the answer if it is better than the one before, or as good, and there is memory for it. */
  offer(attempt: Attempt, answer: FailedAnswer): void {
    if (answer.rank > this.rank) return;
    this.release();
    const account = this.#budget.open();
    account.take(answer.bytes);
    if (this.#budget.isExceeded) return account.release();
    this.#account = account;
    this.#kept = { answer, attempt };
  }

  /** Call when the choice is final. */
  release(): void {
    this.#account?.release();
    this.#account = null;
    this.#kept = null;
  }
}

/** What an answer says, for a client whose stream has begun; null when it says nothing. */
export function conveyed({ reply, error }: FailedAnswer): RouterError | null {
  if (error === null) return null;
  const status = reply.status >= 400 ? reply.status : impliedStatus(error);
  return new RouterError(status, "upstream_error", error.message, { reported: error });
}

/** The answer of a failed attempt; null: it tells the client nothing. */
export function answerOf(
  outcome: FailedOutcome,
  reply: ReplyAssessment,
  error: ReportedError | null,
): FailedAnswer | null {
  const rank = answerRank(outcome);
  return rank === null ? null : { reply, rank, error, bytes: bytesOf(reply) };
}
