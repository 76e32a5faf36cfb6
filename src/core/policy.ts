/**
 * Which upstreams are tried, in which order, for how long, and what follows from the way a try ended.
 *
 * Pure functions over plain data; randomness and time come in as arguments. The rules are those of
 * docs/failover.md.
 */
import { comparablePath, mustNameModel } from "./api_path.ts";
import type { Availability } from "./breaker.ts";
import { cheapestFirst } from "./cheapest.ts";
import { fastestFirst, type SpeedView } from "./fastest.ts";
import { byModel, type ModelStandings } from "./model_order.ts";
import type { HeaderView } from "./header_fields.ts";
import { impliedStatus } from "./error_meaning.ts";
import type { ReportedError } from "./reported_error.ts";
import type { AttemptOutcome, Inbound, OrderPolicy, Upstream } from "./types.ts";

/** What ordering needs to know about one upstream. */
export interface UpstreamStanding {
  readonly availability: Availability;
  /** Smoothed time to headers; null when it has not answered yet. */
  readonly latencyMs: number | null;
}

export interface OrderContext {
  readonly policy: OrderPolicy;
  readonly standing: (upstream: Upstream) => UpstreamStanding;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Counts requests, for `round_robin`. */
  readonly turn: number;
  /** For `fastest`; default: nothing is known. */
  readonly speeds?: SpeedSource;
  /** For `cheapest`: what a usual request costs; null: unknown. Default: nothing is known. */
  readonly costOf?: (upstream: Upstream) => number | null;
  /** Who has the model that is asked for; null or absent: nothing distinguishes them. */
  readonly models?: ModelStandings | null;
  /** Orders what the policy has ordered; must keep all. Default: nobody does. */
  readonly reorder?: (ordered: Upstream[]) => readonly Upstream[];
}

export interface SpeedSource {
  view(upstream: Upstream): SpeedView;
  /** The upstream comes first, so that its speed is found out. */
  explored(upstream: Upstream): void;
}

/** What `allow` and `deny` are about: the model, or the path of a request that names none. */
export interface Subject {
  readonly model: string | null;
  readonly method: string;
  readonly path: string;
}

/** The enabled upstreams that take the path, and whose `allow` and `deny` admit the request, in their own order. */
export function allowedUpstreams(upstreams: readonly Upstream[], subject: Subject): Upstream[] {
  const isAllowed = admission(subject);
  return upstreams.filter((upstream) =>
    upstream.isEnabled && takesPath(upstream, subject.path) && isAllowed(upstream)
  );
}

/** Whether the path is one of those that an upstream is for. */
export function takesPath({ shaping: { onlyPaths } }: Pick<Upstream, "shaping">, path: string): boolean {
  if (onlyPaths.length === 0) return true;
  const plainPath = comparablePath(path);
  return onlyPaths.some((glob) => matchesGlob(glob, plainPath));
}

/** Those that take a body of this size; the same list when all do. */
export function fittingUpstreams(upstreams: readonly Upstream[], bodyBytes: number): readonly Upstream[] {
  const isTooLarge = ({ shaping: { maxBodyBytes } }: Upstream) =>
    maxBodyBytes !== null && bodyBytes > maxBodyBytes;
  return upstreams.some(isTooLarge) ? upstreams.filter((upstream) => !isTooLarge(upstream)) : upstreams;
}

/** Globs on models and paths. */
export type ModelRules = Pick<Upstream, "allow" | "deny">;

/** Whether the rules of a client's token admit a request. */
export function isAdmitted(rules: ModelRules, subject: Subject): boolean {
  return admission(subject)(rules);
}

function admission({ model, method, path }: Subject): (rules: ModelRules) => boolean {
  if (model !== null) return (rules) => matchesRules(rules, model);
  const plainPath = comparablePath(path);
  if (mustNameModel(method, path)) return (rules) => matchesRules(rules, plainPath);
  return ({ allow, deny }) =>
    matchesRules({ allow: allow.some(isPathPattern) ? allow : [], deny: deny.filter(isOfPaths) }, plainPath);
}

/** The upstreams to try, in order: by policy and session, then by what is known of their models, cooling ones last. */
export function candidates(allowed: readonly Upstream[], context: OrderContext): readonly Upstream[] {
  const preferred = applyPolicy(allowed, context);
  const ordered = byModel(context.reorder?.(preferred) ?? preferred, context.models ?? null);
  const isCooling = (upstream: Upstream) => context.standing(upstream).availability === "cooling";
  if (!ordered.some(isCooling)) return ordered;
  return [...ordered.filter((upstream) => !isCooling(upstream)), ...ordered.filter(isCooling)];
}

function applyPolicy(upstreams: readonly Upstream[], context: OrderContext): Upstream[] {
  switch (context.policy) {
    case "order":
      return [...upstreams];
    case "random":
      return weightedShuffle(upstreams, context.random);
    case "round_robin": {
      const start = upstreams.length === 0 ? 0 : context.turn % upstreams.length;
      return [...upstreams.slice(start), ...upstreams.slice(0, start)];
    }
    case "fastest": {
      const { speeds } = context;
      if (speeds === undefined) return [...upstreams];
      const { ordered, explored } = fastestFirst(upstreams, (upstream) => speeds.view(upstream));
      if (explored !== null) speeds.explored(explored);
      return ordered;
    }
    case "cheapest":
      return cheapestFirst(upstreams, context.costOf ?? (() => null));
    case "least_latency": {
      const latency = (upstream: Upstream) => context.standing(upstream).latencyMs ?? 0;
      return [...upstreams].sort((a, b) => latency(a) - latency(b));
    }
    default:
      return context.policy satisfies never;
  }
}

/** Efraimidis and Spirakis (2006): keys u^(1/w), descending, draw without replacement by weight. */
function weightedShuffle(upstreams: readonly Upstream[], random: () => number): Upstream[] {
  return upstreams
    .map((upstream) => ({ upstream, key: Math.pow(random(), 1 / Math.max(upstream.weight, 1e-9)) }))
    .sort((a, b) => b.key - a.key)
    .map(({ upstream }) => upstream);
}

/** Whether `allow` and `deny` admit a model, or a path. */
export function matchesRules({ allow, deny }: ModelRules, subject: string): boolean {
  if (deny.some((glob) => matchesGlob(glob, subject))) return false;
  return allow.length === 0 || allow.some((glob) => matchesGlob(glob, subject));
}

/** Whether a pattern can match a path: `/v1/files*`, `/*`; models are also called `/data/models/x`. */
export function isPathPattern(glob: string): boolean {
  const wildcard = glob.search(/[*?]/);
  const literal = wildcard < 0 ? glob : glob.slice(0, wildcard);
  return glob.startsWith("/") &&
    (`${literal}/`.startsWith("/v1/") || (wildcard >= 0 && "/v1/".startsWith(literal)));
}

/** The same, or it matches everything. */
function isOfPaths(glob: string): boolean {
  return isPathPattern(glob) || /^\*+$/.test(glob);
}

/** Globs with `*` (any run) and `?` (one character), anchored, case-sensitive. Linear in practice, no regex. */
export function matchesGlob(glob: string, text: string): boolean {
  let g = 0;
  let t = 0;
  let starAt = -1;
  let starText = 0;
  while (t < text.length) {
    if (g < glob.length && (glob[g] === "?" || glob[g] === text[t]) && glob[g] !== "*") {
      g++;
      t++;
    } else if (glob[g] === "*") {
      starAt = g++;
      starText = t;
    } else if (starAt >= 0) {
      g = starAt + 1;
      t = ++starText;
    } else {
      return false;
    }
  }
  while (glob[g] === "*") g++;
  return g === glob.length;
}

const DEFAULT_TIMEOUT_MS = 60_000;
const STREAM_TIMEOUT_MS = 5_000;
const LARGE_BODY_TIMEOUT_MS = 20_000;
/** For the body to begin, once the head has come. */
const FIRST_BYTE_TIMEOUT_MS = 8_000;
/** For an upstream without another one after it, and for what takes long by its nature. */
const LONG_TIMEOUT_MS = 120_000;
const LARGE_BODY_BYTES = 128 * 1024;

/**
 * Milliseconds allowed until the response headers.
 *
 * @param isLast no other upstream is left for this request, so that giving up would help nobody
 */
export function firstByteTimeout(
  { body, isStream, kind }: Pick<Inbound, "body" | "isStream" | "kind">,
  upstream: Pick<Upstream, "timeoutMs"> & Partial<Pick<Upstream, "shaping">>,
  isLast: boolean,
): number {
  const streamTimeoutMs = upstream.shaping?.streamTimeoutMs ?? null;
  if (isStream && streamTimeoutMs !== null) return streamTimeoutMs;
  if (upstream.timeoutMs !== null && upstream.timeoutMs > 0) return upstream.timeoutMs;
  if (isLast || kind === "images" || kind === "audio") return LONG_TIMEOUT_MS;
  if ((body?.length ?? 0) > LARGE_BODY_BYTES) return LARGE_BODY_TIMEOUT_MS;
  return isStream ? STREAM_TIMEOUT_MS : DEFAULT_TIMEOUT_MS;
}

/**
 * After which failures the next upstream is asked: all; those before any answer; or those that are not the client's own
 * mistake.
 */
export type RetryOn = "any" | "connect" | "server";

/**
 * Milliseconds allowed between the head of a stream and the first byte of its body, while another upstream is left: a
 * head alone is no sign of life.
 * @param headersTimeoutMs what {@link firstByteTimeout} allowed
 */
export function bodyStartTimeout(headersTimeoutMs: number): number {
  return Math.max(FIRST_BYTE_TIMEOUT_MS, headersTimeoutMs);
}

/** An upstream's own limit for the head and the first content of a stream. */
export interface StreamLimit {
  readonly limitMs: number;
  /** On the monotonic clock. */
  readonly untilMs: number;
}

/** @param sentMs when the request was sent; monotonic */
export function streamLimit({ shaping }: Pick<Upstream, "shaping">, sentMs: number): StreamLimit | null {
  const { streamTimeoutMs: limitMs } = shaping;
  return limitMs === null ? null : { limitMs, untilMs: sentMs + limitMs };
}

export interface DecisionContext {
  /** No other upstream is left for this request. */
  readonly isLast: boolean;
  readonly retryOn: RetryOn;
  /** The request carried `If-None-Match` or `If-Modified-Since`. */
  readonly isConditional: boolean;
}

/**
 * Whether another upstream must not be asked, because code or type is among `--final-codes`.
 * @param finalCodes in lower case
 */
export function isFinalError(error: ReportedError | null, finalCodes: ReadonlySet<string>): boolean {
  return error !== null && finalCodes.size > 0 &&
    [error.code, error.type].some((name) => name !== null && finalCodes.has(name.toLowerCase()));
}

/** What follows from how an attempt ended. */
export type Decision =
  | { readonly type: "relay" }
  | { readonly type: "next" }
  /** Nothing can be relayed: answer with an error of the program's own. */
  | { readonly type: "give_up" };

/** The table of docs/failover.md. A `client_gone` needs no decision: the request is over. */
export function decide(
  outcome: Exclude<AttemptOutcome, { type: "client_gone" }>,
  context: DecisionContext,
): Decision {
  switch (outcome.type) {
    case "response":
      return decideOnStatus(outcome.status, context);
    case "connect_error":
    case "no_credential":
      return context.isLast ? { type: "give_up" } : { type: "next" };
    case "timeout": {
      const isNext = !context.isLast && (outcome.phase === "headers" || context.retryOn !== "connect");
      return isNext ? { type: "next" } : { type: "give_up" };
    }
    case "bad_reply":
    case "bad_stream": {
      const isServerFault = outcome.error === null
        ? !outcome.isFinished
        : isServerFailure(impliedStatus(outcome.error));
      if (movesOn(context, isServerFault)) return { type: "next" };
      return outcome.isCut ? { type: "give_up" } : { type: "relay" };
    }
    default:
      return outcome satisfies never;
  }
}

function decideOnStatus(status: number, context: DecisionContext): Decision {
  if (status >= 200 && status < 300) return { type: "relay" };
  if (status === 304 && context.isConditional) return { type: "relay" };
  if (movesOn(context, isServerFailure(status))) return { type: "next" };
  return status >= 400 && status <= 599 ? { type: "relay" } : { type: "give_up" };
}

function movesOn({ isLast, retryOn }: DecisionContext, isServerFault: boolean): boolean {
  return !isLast && (retryOn === "any" || (retryOn === "server" && isServerFault));
}

/** For `--retry-on server`: whatever is not the client's own mistake. */
function isServerFailure(status: number): boolean {
  return status < 400 || status >= 500 || SERVER_FAILURES.has(status);
}

const SERVER_FAILURES: ReadonlySet<number> = new Set([401, 402, 403, 408, 429]);

const MAX_RETRY_AFTER_MS = 5 * 60_000;

/**
 * How long a 429 or 503 asks to wait, in ms, capped at 5 min; null when it does not say.
 * `retry-after-ms` (OpenAI) wins over `Retry-After` (RFC 9110 section 10.2.3: seconds or HTTP date, by the reply's clock).
 */
export function retryAfterMs(headers: HeaderView, wallNowMs: number): number | null {
  const milliseconds = Number(headers.get("retry-after-ms") ?? NaN);
  if (Number.isFinite(milliseconds) && milliseconds >= 0) return Math.min(milliseconds, MAX_RETRY_AFTER_MS);
  const value = headers.get("retry-after");
  if (value === null || value.trim() === "") return null;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : untilDate(value, headers.get("date"), wallNowMs);
  return Number.isFinite(ms) && ms >= 0 ? Math.min(ms, MAX_RETRY_AFTER_MS) : null;
}

/** 0 when it has passed; NaN when it is no date. */
function untilDate(value: string, sentAt: string | null, wallNowMs: number): number {
  const sentMs = Date.parse(sentAt ?? "");
  return Math.max(0, Date.parse(value) - (Number.isFinite(sentMs) ? sentMs : wallNowMs));
}
