/**
 * When tokens were added, as `config_kvs` keeps it under `token_created`: a JSON object from digest to milliseconds.
 *
 * Owns its text form. It is apart from the list of tokens, which the Go program edits too: what it or a person added has no
 * time. Pure.
 */

/** By digest; what is not of this form counts as nothing. */
export type TokenTimes = Readonly<Record<string, number>>;

export function parseTokenTimes(json: string | null): TokenTimes {
  try {
    const value: unknown = JSON.parse(json ?? "{}");
    if (typeof value !== "object" || value === null) return {};
    return Object.fromEntries(
      Object.entries(value).filter((entry): entry is [string, number] =>
        typeof entry[1] === "number" && entry[1] > 0 && entry[1] <= MAX_MS
      ),
    );
  } catch {
    return {};
  }
}

/** Later moments cannot be written as a date (ECMA-262, section 21.4.1.1). */
const MAX_MS = 8.64e15;

export interface TokenChange {
  /** Digests of the tokens that there were, and of those that there are now. */
  readonly before: ReadonlySet<string>;
  readonly after: readonly string[];
  readonly nowMs: number;
}

/** The times after a change: tokens that stayed keep theirs, or have none, those that went lose it. */
export function timesAfter(times: TokenTimes, { before, after, nowMs }: TokenChange): TokenTimes {
  const entries = after.flatMap((digest) => {
    const known = before.has(digest) ? times[digest] : nowMs;
    return known === undefined ? [] : [[digest, known] as const];
  });
  return Object.fromEntries(entries);
}
