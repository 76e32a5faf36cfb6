/**
 * A progress line for long tasks.
 *
 * Owns when it is shown: after the first second, not often, and only on a screen, never in a file. The caller's work
 * may block the thread; the line changes only when progress is reported.
 */
import { displayWidth, type Screen } from "./output.ts";

export interface ProgressOptions {
  /** null: there is no screen, and nothing is shown. */
  readonly screen: Screen | null;
  /** Milliseconds of any steady clock. */
  readonly now: () => number;
}

const SHOW_AFTER_MS = 1000;
const SHOW_EVERY_MS = 100;

export class Progress {
  readonly #options: ProgressOptions;
  readonly #startedMs: number;
  #shownMs = Number.NEGATIVE_INFINITY;
  /** Columns that the line takes now. */
  #width = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startedMs = options.now();
  }

  /** Reports progress; `describe` is called only when the line is due. */
  step(describe: (elapsedSeconds: number) => string): void {
    if (this.#options.screen === null) return;
    const nowMs = this.#options.now();
    const elapsedMs = nowMs - this.#startedMs;
    if (elapsedMs < SHOW_AFTER_MS || nowMs - this.#shownMs < SHOW_EVERY_MS) return;
    this.#shownMs = nowMs;
    this.#show(describe(Math.floor(elapsedMs / 1000)));
  }

  /** Removes the line; call it before anything else is written, and at the end. */
  clear(): void {
    if (this.#width > 0) this.#show("");
  }

  /** Blanks instead of an escape sequence: they work on every terminal. */
  #show(text: string): void {
    const screen = this.#options.screen;
    if (screen === null) return;
    // A wrapped line could not be removed.
    const line = cut(text, screen.columns() - 1);
    const width = displayWidth(line);
    const rest = Math.max(0, this.#width - width);
    screen.write(`\r${line}${" ".repeat(rest)}${line === "" ? "\r" : ""}`);
    this.#width = width;
  }
}

function cut(text: string, width: number): string {
  let kept = "";
  for (const character of text) {
    if (displayWidth(kept + character) > width) break;
    kept += character;
  }
  return kept;
}
