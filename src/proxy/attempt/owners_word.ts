/**
 * Whose word counts about an id that a request names: its owner's. The others are asked once that has failed, or was full for
 * too long, and can only say that they do not know the id.
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
    return this.#ownerId !== null && this.#ownerId !== id &&
      (outcome.type !== "response" || outcome.status >= 300);
  }
}
