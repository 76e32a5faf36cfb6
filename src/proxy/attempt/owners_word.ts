/**
 * Whose word counts about an id that a request names: once its owner has failed, the others can only say that they do not
 * know it, while its owner is only down, or has said more about the request.
 */
import type { Upstream } from "../../core/types.ts";
import type { FailedOutcome } from "./failure.ts";

export class OwnersWord {
  readonly #ownerId: number | null;
  #hasFailed = false;

  /** @param ownerId null: nobody owns what the request names */
  constructor(ownerId: number | null) {
    this.#ownerId = ownerId;
  }

  /** Takes note of a failure. True: the owner has failed for the first time, and what others said before tells nothing. */
  failed({ id }: Upstream): boolean {
    const isNew = !this.#hasFailed && this.#ownerId === id;
    if (isNew) this.#hasFailed = true;
    return isNew;
  }

  /** It is the word of a stranger, and counts for nothing. */
  isStrangers(outcome: FailedOutcome, { id }: Upstream): boolean {
    return this.#hasFailed && this.#ownerId !== id && (outcome.type !== "response" || outcome.status >= 300);
  }
}
