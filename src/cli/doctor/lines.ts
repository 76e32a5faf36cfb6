/**
 * Findings of the doctor as lines of text, without secrets. Pure.
 */
import type { Finding } from "../../control/finding.ts";
import { stateColour } from "../colour.ts";
import { cleanText } from "../../core/clean_text.ts";
import { keysOf, redactKept } from "../../core/secrets.ts";
import type { RegistrySnapshot } from "../../store/store.ts";

/** A name or a host may contain a secret by mistake. */
export function withoutSecrets(
  finding: Finding,
  { upstreams, tokens }: Pick<RegistrySnapshot, "upstreams" | "tokens">,
): Finding {
  const secrets = [...upstreams.flatMap(keysOf), ...tokens.map(({ secret }) => secret)];
  const clean = (text: string) => redactKept(text, secrets);
  return {
    ...finding,
    subject: finding.subject === null ? null : clean(finding.subject),
    message: clean(finding.message),
    advice: finding.advice === null ? null : clean(finding.advice),
  };
}

/** One line for each. */
export function findingLines(
  findings: readonly Finding[],
  { isColoured }: { readonly isColoured: boolean },
): string[] {
  const nameWidth = Math.max(...findings.map(({ check }) => check.length));
  return findings.map(({ check, subject, level, message, advice }) => {
    const text = `${subject === null ? "" : `${subject} `}${message}${advice === null ? "" : `: ${advice}`}`;
    const paint = isColoured ? stateColour(level) : null;
    const shown = level.padEnd(4);
    return `${paint === null ? shown : paint(shown)}  ${check.padEnd(nameWidth)}  ${cleanText(text)}`;
  });
}
