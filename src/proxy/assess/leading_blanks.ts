/**
 * White space before a slow document: some upstreams send blank lines so that nothing on the way gives the connection up,
 * as DeepSeek does. The client is given them when nobody else is left to ask.
 *
 * @see https://api-docs.deepseek.com/quick_start/rate_limit
 */
import type { Assessing } from "./assessment.ts";

const SPACE = 0x20;
const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export class LeadingBlanks {
  readonly #context: Pick<Assessing, "clock">;
  /** When they are due, on the monotonic clock. */
  readonly #dueMs: number;
  /** White space has come, and nothing else so far. */
  #isAll = false;
  #isPossible: boolean;

  constructor(context: Pick<Assessing, "clock" | "times" | "isLast" | "head" | "inbound">) {
    const { clock, times, isLast, head, inbound } = context;
    this.#context = context;
    this.#dueMs = clock.monotonic() + times.gateMs;
    // A request for a stream gets comments instead.
    this.#isPossible = isLast && head.status < 400 && !inbound.isStream;
  }

  push(chunk: Uint8Array): void {
    if (!this.#isPossible) return;
    this.#isPossible = chunk.every(isBlank);
    this.#isAll = this.#isPossible;
  }

  /** In how many milliseconds they are to be passed on; null: not at all. */
  get dueInMs(): number | null {
    return this.#isAll ? Math.max(0, this.#dueMs - this.#context.clock.monotonic()) : null;
  }
}

/** https://www.rfc-editor.org/rfc/rfc8259#section-2 */
function isBlank(byte: number): boolean {
  return byte === SPACE || byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === TAB;
}
