/**
 * Requests that were refused because of a limit of their token: how many in the last hour, by token and reason, and which
 * of them the log tells about: one of each within a minute.
 *
 * Bounded: only tokens with rules come here.
 */
import type { Clock } from "../core/clock.ts";
import type { LimitedClient, LimitReason } from "../core/refusal.ts";

export interface LimitedClientsDeps {
  readonly clock: Pick<Clock, "monotonic">;
  /** @param unlogged refused since the last line about this token and reason, without a line of their own */
  readonly log: (line: Omit<LimitedClient, "lastHour"> & { readonly unlogged: number }) => void;
}

const MINUTE_MS = 60_000;
const MINUTES = 60;
/** Tokens and reasons that are counted apart. */
const MAX_KINDS = 500; // docs/tuning.md#observe

interface Kind {
  readonly client: string;
  readonly reason: LimitReason;
  /** Requests in each of the last minutes, by the minute's number modulo {@link MINUTES}. */
  readonly counts: number[];
  minute: number;
  unlogged: number;
}

export class LimitedClients {
  readonly #deps: LimitedClientsDeps;
  readonly #kinds = new Map<string, Kind>();

  constructor(deps: LimitedClientsDeps) {
    this.#deps = deps;
  }

  refused(client: string, reason: LimitReason): void {
    const minute = this.#minuteNow();
    const key = `${reason} ${client}`;
    let kind = this.#kinds.get(key);
    const isNew = kind === undefined;
    if (kind === undefined) {
      if (this.#kinds.size >= MAX_KINDS) this.#forgetOld(minute);
      if (this.#kinds.size >= MAX_KINDS) return;
      kind = { client, reason, counts: new Array<number>(MINUTES).fill(0), minute, unlogged: 0 };
      this.#kinds.set(key, kind);
    }
    const isFirst = isNew || kind.minute !== minute;
    advance(kind, minute);
    kind.counts[minute % MINUTES] = (kind.counts[minute % MINUTES] ?? 0) + 1;
    if (!isFirst) {
      kind.unlogged++;
      return;
    }
    this.#deps.log({ client, reason, unlogged: kind.unlogged });
    kind.unlogged = 0;
  }

  /** Those of the last hour, the most frequent first. */
  summary(): LimitedClient[] {
    const minute = this.#minuteNow();
    return [...this.#kinds.values()].flatMap((kind) => {
      advance(kind, minute);
      const lastHour = sumOf(kind);
      return lastHour === 0 ? [] : [{ client: kind.client, reason: kind.reason, lastHour }];
    }).toSorted((a, b) => b.lastHour - a.lastHour);
  }

  #forgetOld(minute: number): void {
    for (const [key, kind] of this.#kinds) {
      advance(kind, minute);
      if (sumOf(kind) === 0) this.#kinds.delete(key);
    }
  }

  #minuteNow(): number {
    return Math.floor(this.#deps.clock.monotonic() / MINUTE_MS);
  }
}

/** Forgets the minutes that are an hour old. */
function advance(kind: Kind, minute: number): void {
  const first = Math.max(kind.minute + 1, minute - MINUTES + 1);
  for (let passed = first; passed <= minute; passed++) kind.counts[passed % MINUTES] = 0;
  kind.minute = minute;
}

function sumOf({ counts }: Kind): number {
  return counts.reduce((sum, count) => sum + count, 0);
}
