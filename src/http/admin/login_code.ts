/**
 * The code in the link that a server prints on its terminal: it logs in once, in place of the admin token.
 *
 * Owns the code and when it ends. Never writes it anywhere; docs/security.md says why it may be in a link.
 */
import { isSameSecret } from "../../core/digest.ts";
import { randomText } from "../../core/random_text.ts";

/** Long enough to start a server and look at its terminal. */
export const LOGIN_CODE_MS = 10 * 60_000;
const CODE_BYTES = 20;

export class LoginCode {
  readonly #monotonic: () => number;
  #code: string | null = null;
  #untilMs = -Infinity;

  /** @param monotonic milliseconds from an arbitrary start */
  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Makes a new code, 160 random bits, in place of the last one. */
  issue(): string {
    this.#code = randomText(CODE_BYTES);
    this.#untilMs = this.#monotonic() + LOGIN_CODE_MS;
    return this.#code;
  }

  /** Whether this is the code; it then never is again. */
  redeem(given: string): boolean {
    if (this.#monotonic() >= this.#untilMs) this.#code = null;
    if (this.#code === null || !isSameSecret(given, this.#code)) return false;
    this.#code = null;
    return true;
  }
}
