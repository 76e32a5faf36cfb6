/**
 * The doctor's checks of the clients' tokens: whether there are any, and whether each can be used.
 */
import { type Finding, found } from "../../control/finding.ts";
import { stateOf } from "../../control/token_view.ts";
import { cleanText } from "../../core/clean_text.ts";
import type { ClientRules } from "../../core/client_rules.ts";
import { isPathPattern, matchesRules } from "../../core/policy.ts";
import { formatTime } from "../../core/times.ts";
import type { Upstream } from "../../core/types.ts";
import type { RegistrySnapshot } from "../../store/store.ts";
import { PUBLISHED_TOKEN } from "../published_token.ts";

/** Before it, people should know that a token ends. */
const SOON_MS = 14 * 86_400_000;
/** Findings about single tokens; the rest are counted. */
const MAX_FINDINGS = 20;

export function checkTokens(
  { tokens, clientRules }: Pick<RegistrySnapshot, "tokens" | "clientRules">,
  { isNoAuth, nowMs }: { readonly isNoAuth: boolean; readonly nowMs: number },
): Finding {
  if (tokens.some(({ secret }) => secret === PUBLISHED_TOKEN)) {
    return found("tokens", {
      level: "warn",
      message: "the published default token of the Go program is accepted",
      advice: "replace it: token set NEW",
    });
  }
  if (isNoAuth) {
    return found("tokens", {
      level: "warn",
      message: "OAR_NOAUTH is on: everybody who can reach the server may use the upstreams",
      advice: "unset it, unless the network keeps others out",
    });
  }
  if (tokens.length + clientRules.length === 0) {
    return found("tokens", {
      level: "fail",
      message: "none is set, so the server does not start without --noauth",
      advice: "set one: token add",
    });
  }
  const usable = tokens.length + clientRules.filter((rules) => stateOf(rules, nowMs) === "active").length;
  if (usable > 0) return found("tokens", { level: "ok", message: `clients may use ${usable}` });
  return found("tokens", {
    level: "fail",
    message: "every token is disabled or has expired, so every request is refused",
    advice: "token enable NAME, token edit NAME --expires 90d, or make another: token add",
  });
}

/**
 * What is wrong with single tokens, or soon will be.
 * @param listed the models of each upstream that lists any
 */
export function tokenFindings(
  { clientRules, upstreams, problems }: Pick<RegistrySnapshot, "clientRules" | "upstreams" | "problems">,
  { listed, nowMs }: { readonly listed: ReadonlyMap<number, readonly string[]>; readonly nowMs: number },
): Finding[] {
  const findings = [
    ...problems.filter(isTokenProblem).map((message) => found("tokens", { level: "fail", message })),
    ...clientRules.flatMap((rules) => [
      ...timeFindings(rules, nowMs),
      ...upstreamFindings(rules, upstreams),
      ...modelFindings(rules, { upstreams, listed }),
    ]),
  ];
  if (findings.length <= MAX_FINDINGS) return findings;
  const message = `there are ${findings.length - MAX_FINDINGS} more findings about tokens`;
  return [
    ...findings.slice(0, MAX_FINDINGS),
    found("tokens", { level: "warn", message, advice: "see them with `token list`" }),
  ];
}

/** Whether a problem of the configuration is about a row of a token. */
export function isTokenProblem(problem: string): boolean {
  return problem.startsWith("Client token ");
}

function warning(rules: ClientRules, message: string, advice: string): Finding {
  return { check: "tokens", subject: cleanText(rules.name), level: "warn", message, advice };
}

function timeFindings(rules: ClientRules, nowMs: number): Finding[] {
  const { name, expiresAtMs } = rules;
  const state = stateOf(rules, nowMs);
  if (state === "disabled") {
    return [warning(rules, "it is disabled", `token enable ${name}, or token remove ${name}`)];
  }
  if (expiresAtMs === null || expiresAtMs - nowMs > SOON_MS) return [];
  const message = state === "expired" ? "it expired at" : "it expires at";
  return [warning(
    rules,
    `${message} ${formatTime(expiresAtMs)}`,
    `another date: token edit ${name} --expires 90d`,
  )];
}

function upstreamFindings(rules: ClientRules, upstreams: readonly Upstream[]): Finding[] {
  const known = new Set(upstreams.flatMap(({ id, name }) => [String(id), name]));
  const unknown = rules.upstreams.filter((name) => !known.has(name));
  if (unknown.length === 0) return [];
  return [warning(
    rules,
    `it names upstreams that are not there, which allow nothing: ${
      cleanText(unknown.slice(0, 5).join(", "))
    }`,
    `token edit ${rules.name} --upstreams NAMES`,
  )];
}

/** Only where every upstream that it may use lists its models: otherwise one may have what it allows. */
function modelFindings(
  rules: ClientRules,
  { upstreams, listed }: {
    readonly upstreams: readonly Upstream[];
    readonly listed: ReadonlyMap<number, readonly string[]>;
  },
): Finding[] {
  if (rules.allow.length === 0 || rules.allow.some(isPathPattern)) return [];
  const names = new Set(rules.upstreams);
  const own = upstreams.filter(({ id, name, isEnabled }) =>
    isEnabled && (names.size === 0 || names.has(name) || names.has(String(id)))
  );
  if (own.length === 0 || own.some(({ id }) => !listed.has(id))) return [];
  const models = own.flatMap(({ id, modelMap }) => [...listed.get(id) ?? [], ...Object.keys(modelMap)]);
  if (models.some((model) => matchesRules(rules, model))) return [];
  const allowed = cleanText(rules.allow.slice(0, 5).join(", "));
  return [warning(
    rules,
    `no upstream that it may use lists a model that it allows (${allowed})`,
    `token edit ${rules.name} --allow GLOBS`,
  )];
}
