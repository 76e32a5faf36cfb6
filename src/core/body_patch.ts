/**
 * What the patch of a body may be: its bounds, and numbers that JSON carries exactly. Messages hold nothing of it.
 */

export const MAX_PATCH_LENGTH = 64 * 1024;
const MAX_PATCH_DEPTH = 16;

/** A merge patch (RFC 7396). */
export type BodyPatch = Readonly<Record<string, unknown>>;

/** The patch that a text stands for, or what is wrong with it, which follows its name in a sentence. */
export function readBodyPatch(text: string): BodyPatch | string {
  if (text.length > MAX_PATCH_LENGTH) return `is longer than ${MAX_PATCH_LENGTH} characters`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "is not a JSON object";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "is not a JSON object";
  return patchProblem(value) ?? Object.fromEntries(Object.entries(value));
}

/** What is wrong with a parsed patch, which follows its name in a sentence; null: nothing. */
export function patchProblem(value: unknown, depth = 0): string | null {
  if (depth > MAX_PATCH_DEPTH) return `is nested more than ${MAX_PATCH_DEPTH} deep`;
  if (typeof value === "number") {
    const isExact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
    return isExact ? null : "holds a number that is too large to be sent exactly";
  }
  if (typeof value !== "object" || value === null) return null;
  for (const each of Object.values(value)) {
    const problem = patchProblem(each, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}
