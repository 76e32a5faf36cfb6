/**
 * The doctor's request to each upstream: `GET /models`, with its key, over the server's own transport.
 */
import { DAY_MS } from "../core/units.ts";
import type { HeaderView } from "../core/header_fields.ts";
import { asObject, parseJson } from "../capture/json.ts";
import { ASIS, type Upstream } from "../core/types.ts";
import { collect } from "../wire/collect.ts";
import { TimedReader } from "../wire/timed_reader.ts";
import type { TransportDeps } from "../proxy/attempt/transport.ts";
import { MAX_PAGE_BYTES, sendModelsRequest } from "../proxy/models/models_request.ts";
import { certificateEnd } from "./certificate.ts";
import { type Finding, found } from "./finding.ts";
import { askKeys, judgeKeys, type KeyAnswer, type Verdict } from "./key_probe.ts";

/** What one upstream answered. */
export interface Probe {
  readonly finding: Finding;
  /** It may be used: of several keys, one answers. */
  readonly isAnswering: boolean;
  /** This machine's clock minus the upstream's, in milliseconds; null: it sent no date. */
  readonly clockOffsetMs: number | null;
  /** All models that it lists; null: it gave no list, or not all of it. */
  readonly models: readonly string[] | null;
}

const EXPIRY_WARNING_DAYS = 14;
/** The Date header counts whole seconds: on average it is half a second late. */
const DATE_LATENESS_MS = 500;
const MAX_CLOCK_OFFSET_MS = 60_000;
/** Before this program was written. */
const EARLIEST_MS = Date.UTC(2025, 0, 1);

export interface Answer {
  readonly status: number;
  readonly headers: HeaderView;
  readonly ms: number;
  /** null: it was not read, or is no list. */
  readonly modelCount: number | null;
  /** Those that the list names. */
  readonly models: readonly string[];
  /** There are further pages, which were not asked for. */
  readonly hasMore: boolean;
}

/** Asks one upstream. Never throws. */
export async function probeUpstream(
  deps: TransportDeps,
  { upstream, limitMs }: { readonly upstream: Upstream; readonly limitMs: number },
): Promise<Probe> {
  const about = (verdict: Verdict): Finding => ({ check: "upstream", subject: upstream.name, ...verdict });
  if (!upstream.isEnabled) {
    const message = "is disabled, so it was not asked";
    return {
      ...{ finding: about({ level: "ok", message, advice: null }), isAnswering: false },
      ...{ clockOffsetMs: null, models: null },
    };
  }
  const [result, end] = await Promise.all([
    askForModels(deps, { upstream, limitMs }),
    upstream.shaping.proxy === null ? certificateEnd(upstream.endpoint, limitMs) : null,
  ]);
  const certificate = judgeCertificate(end, deps.clock.now());
  if ("problem" in result) {
    return {
      ...{ finding: about(withCertificate(result.problem, certificate)), isAnswering: false },
      ...{ clockOffsetMs: null, models: null },
    };
  }
  const answers = await askAll(deps, { upstream, limitMs, first: result });
  const [first] = answers;
  const verdict = answers.length === 1 && first !== undefined ? first.verdict : judgeKeys(upstream, answers);
  return {
    finding: about(withCertificate(verdict, certificate)),
    isAnswering: answers.some(({ verdict }) => verdict.level === "ok"),
    clockOffsetMs: clockOffset(result.headers, deps.clock.now()),
    models: result.modelCount === null || result.hasMore ? null : result.models,
  };
}

/** What each key was answered, in their order. Never throws. */
export async function askAll(
  deps: TransportDeps,
  { upstream, limitMs, first }: {
    readonly upstream: Upstream;
    readonly limitMs: number;
    /** To the first key. */
    readonly first: Answer;
  },
): Promise<KeyAnswer[]> {
  const answer = (result: Answer | { readonly problem: Verdict }): KeyAnswer =>
    "problem" in result
      ? { status: null, verdict: result.problem }
      : { status: result.status, verdict: judgeAnswer(result, upstream) };
  return await askKeys(
    upstream,
    answer(first),
    async (variant) => answer(await askForModels(deps, { upstream: variant, limitMs })),
  );
}

/** `GET /models` with the upstream's key. Never throws. */
export async function askForModels(
  deps: TransportDeps,
  { upstream, limitMs }: { readonly upstream: Upstream; readonly limitMs: number },
): Promise<Answer | { readonly problem: Verdict }> {
  const startedMs = deps.clock.monotonic();
  const result = await sendModelsRequest(deps, { upstream, limitMs });
  switch (result.type) {
    case "reply": {
      const { status, headers, body } = result;
      const ms = Math.round(deps.clock.monotonic() - startedMs);
      const limits = { limitMs: Math.max(1, limitMs - ms), limitBytes: MAX_PAGE_BYTES };
      const read = status === 200 ? await collect(new TimedReader(body, deps.clock), limits) : null;
      body.cancel();
      const document = read?.isWhole ? asObject(parseJson(new TextDecoder().decode(read.bytes))) : null;
      const list = Array.isArray(document?.data) ? document.data : null;
      return {
        ...{ status, headers, ms, modelCount: list?.length ?? null, models: namesOf(list ?? []) },
        hasMore: document?.has_more === true,
      };
    }
    case "connect_error":
      return {
        problem: {
          level: "fail",
          message: `cannot be reached: ${result.message}`,
          advice: `check its host and port (${hostOf(upstream)}), the network, and ${
            upstream.shaping.proxy === null ? "HTTPS_PROXY if you need one" : "the proxy that is set for it"
          }`,
        },
      };
    case "bad_reply":
      return {
        problem: {
          level: "fail",
          message: `cannot be used: ${result.message}`,
          advice: result.isUnreadable
            ? `check its scheme, host and port (${hostOf(upstream)}): no HTTP/1.1 is spoken there`
            : "tell whoever runs it",
        },
      };
    case "timeout":
      return {
        problem: {
          level: "fail",
          message: `did not answer within ${limitMs / 1000} s`,
          advice: `check its host and port (${
            hostOf(upstream)
          }) and firewalls, or wait longer with --timeout`,
        },
      };
    case "no_credential":
    case "client_gone":
      return { problem: { level: "fail", message: "was not asked", advice: null } };
    default:
      return result satisfies never;
  }
}

function namesOf(list: readonly unknown[]): string[] {
  return list.map((each) => asObject(each)?.id).filter((id): id is string => typeof id === "string");
}

/** What the answer says about the configuration of the upstream. */
export function judgeAnswer(
  { status, headers, ms, modelCount }: Omit<Answer, "models" | "hasMore">,
  upstream: Pick<Upstream, "id" | "sk">,
): Verdict {
  const said = `answered ${status} in ${ms} ms`;
  const { id } = upstream;
  if (status === 200 && modelCount !== null) {
    const models = `${modelCount} ${modelCount === 1 ? "model" : "models"}`;
    return { level: "ok", message: `${said}, with ${models}`, advice: null };
  }
  if (status >= 200 && status < 300) {
    return {
      level: "warn",
      message: `${said}, but not with a list of models`,
      advice:
        `check that the endpoint is the API's base URL, which often ends in /v1: edit ${id} --endpoint URL`,
    };
  }
  if (status >= 300 && status < 400) {
    return {
      level: "fail",
      message: `${said}: it redirects${redirectText(headers)}, and a key never follows a redirect`,
      advice: `give the endpoint that it redirects to: edit ${id} --endpoint URL`,
    };
  }
  if (status === 401 || status === 403) {
    return upstream.sk === ASIS
      ? { level: "ok", message: `${said}; it forwards the client's own key, so none was tried`, advice: null }
      : {
        level: "fail",
        message: `${said}: it refuses the key`,
        advice: `give it a valid key: edit ${id} --key KEY (or see --auth-style)`,
      };
  }
  if (status === 404 || status === 405) {
    return {
      level: "warn",
      message: `${said}: it has no such path`,
      advice: `check that the endpoint is the API's base URL, which often ends in /v1 (edit ${id} ` +
        "--endpoint URL); some APIs just have no list of models",
    };
  }
  if (status === 429) {
    return {
      level: "warn",
      message: `${said}: too many requests, or no credit left`,
      advice: "look at the limits and the balance of its account",
    };
  }
  return {
    level: status >= 500 ? "fail" : "warn",
    message: said,
    advice: status >= 500 ? "it has trouble of its own: wait, or ask its operator" : "ask its operator",
  };
}

function redirectText(headers: HeaderView): string {
  const host = URL.parse(headers.get("location") ?? "")?.host;
  return host ? ` to ${host}` : "";
}

function hostOf({ endpoint }: Upstream): string {
  return new URL(endpoint).host;
}

/** null: nothing is known. */
export function judgeCertificate(end: Date | null, nowMs: number): Verdict | null {
  if (end === null) return null;
  const days = Math.floor((end.getTime() - nowMs) / DAY_MS);
  const day = end.toISOString().slice(0, 10);
  if (days < 0) {
    return {
      level: "fail",
      message: `its certificate expired on ${day}`,
      advice: "its operator must renew the certificate, unless this machine's clock is wrong",
    };
  }
  const message = `its certificate is valid until ${day} (${days} days)`;
  return days >= EXPIRY_WARNING_DAYS
    ? { level: "ok", message, advice: null }
    : { level: "warn", message, advice: "its operator must renew the certificate soon" };
}

const RANK = { ok: 0, warn: 1, fail: 2 } as const;

/** Both in one line, with the level and the advice of the worse one. */
function withCertificate(verdict: Verdict, certificate: Verdict | null): Verdict {
  if (certificate === null) return verdict;
  const worse = RANK[certificate.level] > RANK[verdict.level] ? certificate : verdict;
  return {
    level: worse.level,
    message: `${verdict.message}; ${certificate.message}`,
    advice: worse.advice,
  };
}

function clockOffset(headers: HeaderView, nowMs: number): number | null {
  const dateMs = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(dateMs) ? null : nowMs - (dateMs + DATE_LATENESS_MS);
}

/** @param offsetsMs of the upstreams that sent a date; the smallest one counts */
export function judgeClock(nowMs: number, offsetsMs: readonly number[]): Finding {
  const advice = "set the clock, best by NTP: times in records would be wrong";
  const now = new Date(nowMs).toISOString();
  if (nowMs < EARLIEST_MS) {
    return found("clock", { level: "fail", message: `it says ${now}, which is long past`, advice });
  }
  const [offsetMs] = offsetsMs.toSorted((a, b) => Math.abs(a) - Math.abs(b));
  if (offsetMs === undefined) {
    return found("clock", {
      level: "ok",
      message: `it says ${now}; no upstream sent a date to compare with`,
    });
  }
  const seconds = Math.round(Math.abs(offsetMs) / 1000);
  if (Math.abs(offsetMs) <= MAX_CLOCK_OFFSET_MS) {
    return found("clock", { level: "ok", message: `it agrees with the upstreams' (${seconds} s apart)` });
  }
  const direction = offsetMs > 0 ? "ahead of" : "behind";
  return found("clock", {
    level: "warn",
    message: `it is ${seconds} s ${direction} that of every upstream`,
    advice,
  });
}
