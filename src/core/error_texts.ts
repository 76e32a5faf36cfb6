/**
 * Errors that an upstream tells as the text of a good reply: which texts are such errors.
 *
 * Only the beginning of a text counts: a long answer may quote an error.
 */
import { matchesGlob } from "./policy.ts";

/** How much of a text is looked at, in characters. */
export const ERROR_TEXT_LENGTH = 200; // docs/tuning.md#budgets-and-remembered-values
const MAX_PATTERNS = 50;
const MAX_PATTERN_LENGTH = 200;

/** Why the patterns cannot be used; null: they can. */
export function errorTextsProblem(patterns: readonly string[]): string | null {
  if (patterns.length > MAX_PATTERNS) return `has more than ${MAX_PATTERNS} lines`;
  return patterns.some((pattern) => pattern.length > MAX_PATTERN_LENGTH)
    ? `has a line of more than ${MAX_PATTERN_LENGTH} characters`
    : null;
}

const prepared = new WeakMap<readonly string[], readonly string[]>();

/** Folded; one without a wildcard may stand anywhere in the text. */
function globsOf(patterns: readonly string[]): readonly string[] {
  let globs = prepared.get(patterns);
  if (globs === undefined) {
    globs = patterns.map((pattern) => /[*?]/.test(pattern) ? pattern : `*${pattern}*`)
      .map((pattern) => pattern.toLowerCase());
    prepared.set(patterns, globs);
  }
  return globs;
}

/**
 * Whether a text is an error.
 *
 * @param isOpen more of it may follow, so that its end is not known
 */
export function isErrorText(
  text: string,
  patterns: readonly string[],
  { isOpen }: { readonly isOpen: boolean },
): boolean {
  if (patterns.length === 0) return false;
  const beginning = text.slice(0, ERROR_TEXT_LENGTH).trim().toLowerCase();
  const isEndUnknown = isOpen && text.length < ERROR_TEXT_LENGTH;
  return beginning !== "" &&
    globsOf(patterns).some((glob) => (!isEndUnknown || glob.endsWith("*")) && matchesGlob(glob, beginning));
}
