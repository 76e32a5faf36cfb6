/**
 * The requests of clients that were refused because of who sent them: how many in the last hour, the last one, and which
 * of them the log tells about.
 *
 * Owns bounds on memory and on lines. Never gets to see what was sent as a token.
 */
import { networkOf } from "../core/client_ip.ts";
import type { Clock } from "../core/clock.ts";
import type { RefusalReason, RefusedRequest, RefusedSummary } from "../core/refusal.ts";
import type { LimitedClients } from "./limited_clients.ts";

export interface RefusedRequestsDeps {
  readonly limited: Pick<LimitedClients, "summary">;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly log: (line: RefusalLine) => void;
}

/** What a line of the log says. */
export interface RefusalLine {
  readonly address: string;
  /** Why, as half a sentence. */
  readonly words: string;
  /** Refused since the last line, without a line of their own. */
  readonly unlogged: number;
}

const MINUTE_MS = 60_000;
const MINUTES = 60;
/** Sources with a line of their own within one minute. */
const MAX_SOURCES = 20; // docs/tuning.md#observe
/** An address is one line, and a proxy may report any text. */
const MAX_ADDRESS_LENGTH = 64;

const WORDS: Readonly<Record<RefusalReason, string>> = {
  no_token: "it sent no token",
  wrong_token: "it sent a token that is none of the router's",
  ended_token: "its token is disabled or has expired",
  other_site: "a page of another site sent it",
};

export class RefusedRequests {
  readonly #deps: RefusedRequestsDeps;
  /** Requests in each of the last minutes, by the minute's number modulo {@link MINUTES}. */
  readonly #counts = new Array<number>(MINUTES).fill(0);
  readonly #sources = new Set<string>();
  #minute: number;
  #unlogged = 0;
  #last: RefusedSummary["last"] = null;

  constructor(deps: RefusedRequestsDeps) {
    this.#deps = deps;
    this.#minute = this.#minuteNow();
  }

  /** Counts one, and logs it when it is the first of its source in this minute. */
  refused({ address: given, reason }: RefusedRequest): void {
    this.#advance();
    const address = given.slice(0, MAX_ADDRESS_LENGTH);
    const at = this.#minute % MINUTES;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#last = { address, reason, atMs: this.#deps.clock.now() };
    const source = networkOf(address);
    if (this.#sources.has(source) || this.#sources.size >= MAX_SOURCES) {
      this.#unlogged++;
      return;
    }
    this.#sources.add(source);
    this.#deps.log({ address, words: WORDS[reason], unlogged: this.#unlogged });
    this.#unlogged = 0;
  }

  summary(): RefusedSummary {
    this.#advance();
    const lastHour = this.#counts.reduce((sum, count) => sum + count, 0);
    return { lastHour, last: lastHour === 0 ? null : this.#last, limited: this.#deps.limited.summary() };
  }

  /** Forgets the minutes that are an hour old. */
  #advance(): void {
    const minute = this.#minuteNow();
    if (minute === this.#minute) return;
    const first = Math.max(this.#minute + 1, minute - MINUTES + 1);
    for (let passed = first; passed <= minute; passed++) this.#counts[passed % MINUTES] = 0;
    this.#minute = minute;
    this.#sources.clear();
  }

  #minuteNow(): number {
    return Math.floor(this.#deps.clock.monotonic() / MINUTE_MS);
  }
}
