/**
 * How one of several keys of an upstream stands, as people and other processes see it. Pure.
 */

/** `refused`: 401 or 403; `throttled`: 429, for a model; `trying`: a request is finding out. */
export const KEY_STATES = ["ok", "trying", "throttled", "refused", "no_credit"] as const;
export type KeyState = typeof KEY_STATES[number];

/** A key that is held back, as it is noted for others. */
export interface KeyNote {
  /** From 1. */
  readonly n: number;
  /** Masked: after a change of the keys, a note may be about another one. */
  readonly key: string;
  readonly state: Exclude<KeyState, "ok">;
  /** Wall clock; null: it is being tried. */
  readonly untilMs: number | null;
  readonly reason: string;
}

/** Of one upstream; further keys are not noted. */
export const MAX_KEY_NOTES = 1000;
const MAX_REASON_LENGTH = 300;

/** For the column `keys` of `upstream_states`; null: none is held back. */
export function keyNotesText(notes: readonly KeyNote[] | undefined): string | null {
  if (notes === undefined || notes.length === 0) return null;
  const rows = notes.slice(0, MAX_KEY_NOTES).map(({ n, key, state, untilMs, reason }) => ({
    ...{ n, key, state, until: untilMs },
    reason: reason.slice(0, MAX_REASON_LENGTH).toWellFormed(),
  }));
  return JSON.stringify(rows);
}

/** Reads that column; whatever is not understood is left out. */
export function parseKeyNotes(text: string | null): KeyNote[] {
  if (text === null || text === "") return [];
  let rows: unknown;
  try {
    rows = JSON.parse(text);
  } catch {
    return [];
  }
  return Array.isArray(rows) ? rows.slice(0, MAX_KEY_NOTES).flatMap((row) => keyNote(row) ?? []) : [];
}

function keyNote(row: unknown): KeyNote | null {
  if (typeof row !== "object" || row === null) return null;
  const { n, key, state: word, until, reason } = row as Readonly<Record<string, unknown>>;
  const state = KEY_STATES.find((each) => each === word);
  if (typeof n !== "number" || !Number.isInteger(n) || n < 1 || state === undefined || state === "ok") {
    return null;
  }
  if (typeof key !== "string" || key.length > 16) return null;
  const untilMs = typeof until === "number" && Math.abs(until) <= 8.64e15 ? until : null;
  return {
    n,
    key,
    state,
    untilMs,
    reason: typeof reason === "string" ? reason.slice(0, MAX_REASON_LENGTH) : "",
  };
}

/** A key with its state, for lists. */
export interface ListedKey {
  readonly n: number;
  /** Masked. */
  readonly key: string;
  readonly state: KeyState;
  readonly untilMs: number | null;
  readonly reason: string | null;
}

/** All keys with what is noted of them. @param shown masked, in their order */
export function listedKeys(shown: readonly string[], notes: readonly KeyNote[]): ListedKey[] {
  const byNumber = new Map(notes.map((note) => [note.n, note]));
  return shown.map((key, index) => {
    const n = index + 1;
    const note = byNumber.get(n);
    if (note === undefined || note.key !== key) return { n, key, state: "ok", untilMs: null, reason: null };
    return { n, key, state: note.state, untilMs: note.untilMs, reason: note.reason };
  });
}

const WORDS = {
  trying: "tried",
  throttled: "throttled",
  refused: "refused",
  no_credit: "without credit",
} as const;

/** `3 keys (1 refused, 1 throttled)`. */
export function keysSummary(keys: readonly Pick<ListedKey, "state">[]): string {
  const held = KEY_STATES.flatMap((state) => {
    const count = state === "ok" ? 0 : keys.filter((each) => each.state === state).length;
    return state === "ok" || count === 0 ? [] : `${count} ${WORDS[state]}`;
  });
  return `${keys.length} keys${held.length === 0 ? "" : ` (${held.join(", ")})`}`;
}
