/**
 * Colour on a terminal: whether there is any, and which one a state has.
 *
 * Pure. Colour only repeats what a word says.
 *
 * @see https://no-color.org and https://force-color.org
 */
import type { Environment } from "../config/environment.ts";

/** Whether output is coloured. `FORCE_COLOR` wins over everything but `NO_COLOR`. */
export function hasColour(env: Environment, { isTerminal }: { readonly isTerminal: boolean }): boolean {
  if (env["NO_COLOR"]) return false;
  const forced = env["FORCE_COLOR"] || env["CLICOLOR_FORCE"];
  if (forced) return forced !== "0" && forced !== "false";
  return isTerminal && env["TERM"] !== "dumb";
}

/** Wraps a text that takes its place already: colours have no width. */
export type Paint = (text: string) => string;

/** Select Graphic Rendition, ECMA-48 section 8.3.117. */
const painted = (code: number): Paint => (text) => `\x1b[${code}m${text}\x1b[0m`;
const [RED, GREEN, YELLOW, FAINT] = [painted(31), painted(32), painted(33), painted(2)];

/** By the words with which a state begins: of an upstream, or of a finding of `doctor`. */
const PAINTS: readonly (readonly [states: RegExp, paint: Paint])[] = [
  [/^ok, /, YELLOW],
  [/^(?:ok|enabled)\b/, GREEN],
  [/^(?:failing|open|skipped|fail)\b/, RED],
  [/^(?:trying|half_open|degraded|no[ _]credit|warn)\b/, YELLOW],
  [/^(?:disabled|untested|skip|info)\b/, FAINT],
];

/** null: a state without a colour. */
export function stateColour(state: string): Paint | null {
  return PAINTS.find(([states]) => states.test(state))?.[1] ?? null;
}
