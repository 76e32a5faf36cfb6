/**
 * What a question with each of several keys says about them, in one verdict. Asks through a function; names keys by their
 * numbers.
 */
import type { Upstream } from "../core/types.ts";
import type { Finding } from "./finding.ts";

/** Further keys are not asked. */
export const MAX_PROBED_KEYS = 20;
const AT_ONCE = 5;
/** Keys that are named in one line. */
const MAX_NAMED = 5;

export type Verdict = Pick<Finding, "level" | "message" | "advice">;

/** What a key was answered. */
export interface KeyAnswer {
  /** null: it could not be asked. */
  readonly status: number | null;
  /** Without regard to the others. */
  readonly verdict: Verdict;
}

/** Asks with each key but the first, which was asked already. Never throws. */
export async function askKeys(
  upstream: Upstream,
  first: KeyAnswer,
  ask: (variant: Upstream) => Promise<KeyAnswer>,
): Promise<KeyAnswer[]> {
  const answers = [first];
  const variants = upstream.keys.slice(0, MAX_PROBED_KEYS)
    .map((sk, index) => ({ ...upstream, sk, keyN: index + 1 }));
  for (let at = 1; at < variants.length; at += AT_ONCE) {
    answers.push(...await Promise.all(variants.slice(at, at + AT_ONCE).map(ask)));
  }
  return answers;
}

/** `3 keys: 2 answer, key 2 is refused`. */
export function judgeKeys(
  { id, keys }: Pick<Upstream, "id" | "keys">,
  answers: readonly KeyAnswer[],
): Verdict {
  const [first] = answers;
  const good = answers.filter(({ verdict }) => verdict.level === "ok").length;
  const bad = answers.flatMap(({ status, verdict }, index) =>
    verdict.level === "ok" ? [] : [`key ${index + 1} ${wordOf(status)}`]
  );
  const asked = answers.length < keys.length ? ` (${answers.length} were asked)` : "";
  const count = `${keys.length} keys${asked}`;
  if (first === undefined || bad.length === 0) {
    return { level: "ok", message: `${count}: all answer; key 1 ${first?.verdict.message}`, advice: null };
  }
  const named = [
    ...bad.slice(0, MAX_NAMED),
    ...(bad.length > MAX_NAMED ? [`${bad.length - MAX_NAMED} more`] : []),
  ];
  const advice = `look at its account, or remove it: edit ${id} --remove-key N`;
  if (good > 0) {
    return {
      level: "warn",
      message: `${count}: ${good} ${good === 1 ? "answers" : "answer"}, ${named.join(", ")}`,
      advice,
    };
  }
  const isSame = answers.every(({ status }) => status === first.status);
  return {
    level: answers.some(({ verdict }) => verdict.level === "fail") ? "fail" : "warn",
    message: isSame
      ? `${count}, each: ${first.verdict.message}`
      : `${count}: none answers, ${named.join(", ")}`,
    advice: first.verdict.advice ?? advice,
  };
}

function wordOf(status: number | null): string {
  switch (status) {
    case null:
      return "cannot be asked";
    case 401:
    case 403:
      return "is refused";
    case 402:
      return "has no credit";
    case 429:
      return "is throttled, or has no credit";
    default:
      return `is answered with ${status}`;
  }
}
