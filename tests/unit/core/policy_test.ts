import assert from "node:assert/strict";
import type { Availability } from "../../../src/core/breaker.ts";
import {
  allowedUpstreams,
  bodyStartTimeout,
  candidates,
  decide,
  firstByteTimeout,
  fittingUpstreams,
  isFinalError,
  matchesGlob,
  retryAfterMs,
  streamLimit,
} from "../../../src/core/policy.ts";
import type { AttemptOutcome, EndpointKind, OrderPolicy, Upstream } from "../../../src/core/types.ts";
import { NO_SHAPING } from "../../../src/core/upstream_options.ts";
import { anUpstream } from "../../support/upstream_value.ts";

interface OrderCase {
  readonly policy?: OrderPolicy;
  readonly model?: string | null;
  readonly cooling?: readonly number[];
  readonly trial?: readonly number[];
  readonly latencies?: Readonly<Record<number, number>>;
  readonly random?: () => number;
  readonly turn?: number;
}

function order(upstreams: readonly Upstream[], options: OrderCase = {}): number[] {
  const availability = (id: number): Availability =>
    options.cooling?.includes(id) ? "cooling" : options.trial?.includes(id) ? "trial" : "ready";
  const model = options.model === undefined ? "m" : options.model;
  return candidates(allowedUpstreams(upstreams, { model, method: "GET", path: "/v1/files" }), {
    policy: options.policy ?? "order",
    standing: ({ id }) => ({ availability: availability(id), latencyMs: options.latencies?.[id] ?? null }),
    random: options.random ?? (() => 0.5),
    turn: options.turn ?? 0,
  }).map(({ id }) => id);
}

Deno.test("candidates() keeps the defined order, cooling ones last, none left out", () => {
  const three = [anUpstream(1), anUpstream(2), anUpstream(3)];
  assert.deepEqual(order([]), []);
  assert.deepEqual(order(three), [1, 2, 3]);
  assert.deepEqual(order(three, { cooling: [1] }), [2, 3, 1]);
  assert.deepEqual(order(three, { cooling: [1, 2, 3] }), [1, 2, 3]);
  assert.deepEqual(order(three, { cooling: [1, 2] }), [3, 1, 2]);
  assert.deepEqual(order(three, { trial: [1] }), [1, 2, 3]);
});

Deno.test("allowedUpstreams() omits disabled, not allowed and denied upstreams", () => {
  const rows = [
    anUpstream(1, { isEnabled: false }),
    anUpstream(2, { allow: ["gpt-*"] }),
    anUpstream(3, { deny: ["gpt-*"] }),
    anUpstream(4, { allow: ["gpt-*"], deny: ["gpt-4*"] }),
    anUpstream(5),
  ];
  assert.deepEqual(order(rows, { model: "gpt-3" }), [2, 4, 5]);
  assert.deepEqual(order(rows, { model: "gpt-4o" }), [2, 5]);
  assert.deepEqual(order(rows, { model: "claude" }), [3, 5]);
});

const idsFor = (upstreams: readonly Upstream[], method: string, path: string) =>
  allowedUpstreams(upstreams, { model: null, method, path }).map(({ id }) => id);

Deno.test("allowedUpstreams() matches an encoded letter in a path as the letter", () => {
  const upstreams = [anUpstream(1, { deny: ["/v1/files*"] })];
  const ids = (path: string) => idsFor(upstreams, "GET", path);
  assert.deepEqual(ids("/v1/files"), []);
  assert.deepEqual(ids("/v1/f%69les"), []);
  assert.deepEqual(ids("/v1/%66%69%6C%65%73/a"), []);
  assert.deepEqual(ids("/v1/%2566iles"), [1]);
});

Deno.test("patterns of models say nothing about requests without a model, patterns of paths do", () => {
  const table: [rules: Pick<Upstream, "allow" | "deny">, path: string, isAllowed: boolean][] = [
    [{ allow: ["gpt-*"], deny: [] }, "/v1/files", true],
    [{ allow: ["*file*"], deny: [] }, "/v1/batches", true],
    [{ allow: ["meta-llama/x*"], deny: [] }, "/v1/models", true],
    [{ allow: ["/data/models/llama*"], deny: [] }, "/v1/models", true],
    [{ allow: ["/v1/files*"], deny: [] }, "/v1/files/f", true],
    [{ allow: ["/v1/files*"], deny: [] }, "/v1/batches", false],
    [{ allow: ["gpt-*", "/v1/files*"], deny: [] }, "/v1/batches", false],
    [{ allow: ["*", "/v1/files*"], deny: [] }, "/v1/batches", true],
    [{ allow: ["/*"], deny: [] }, "/v1/batches", true],
    [{ allow: ["/v?/files"], deny: [] }, "/v1/batches", false],
    [{ allow: ["*"], deny: [] }, "/v1/batches", true],
    [{ allow: [], deny: ["*file*", "gpt-*", "?*"] }, "/v1/files", true],
    [{ allow: [], deny: ["/v1/files*"] }, "/v1/files/f", false],
    [{ allow: [], deny: ["/v1*"] }, "/v1/files/f", false],
    [{ allow: [], deny: ["*"] }, "/v1/files/f", false],
    [{ allow: ["gpt-*"], deny: ["/v1/files"] }, "/v1/files", false],
  ];
  for (const [rules, path, isAllowed] of table) {
    assert.deepEqual(
      idsFor([anUpstream(1, rules)], "GET", path),
      isAllowed ? [1] : [],
      JSON.stringify(rules),
    );
  }
});

Deno.test("what must name a model and names none is not let past a pattern of models", () => {
  const upstreams = [anUpstream(1, { allow: ["gpt-*"] }), anUpstream(2, { allow: ["/v1/*"] }), anUpstream(3)];
  assert.deepEqual(idsFor(upstreams, "POST", "/v1/chat/completions"), [2, 3]);
  assert.deepEqual(idsFor(upstreams, "POST", "/v1/responses"), [2, 3]);
  assert.deepEqual(idsFor(upstreams, "GET", "/v1/chat/completions"), [1, 2, 3]);
  assert.deepEqual(idsFor(upstreams, "POST", "/v1/responses/resp_1/cancel"), [1, 2, 3]);
});

Deno.test("round_robin starts with the next upstream each time", () => {
  const three = [anUpstream(1), anUpstream(2), anUpstream(3)];
  const turns = [0, 1, 2, 3].map((turn) => order(three, { policy: "round_robin", turn }));
  assert.deepEqual(turns, [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]);
  assert.deepEqual(order([], { policy: "round_robin", turn: 7 }), []);
  assert.deepEqual(order(three, { policy: "round_robin", turn: 1, cooling: [2] }), [3, 1, 2]);
});

Deno.test("least_latency puts unknown latencies first, then the fastest; ties keep the defined order", () => {
  const three = [anUpstream(1), anUpstream(2), anUpstream(3)];
  assert.deepEqual(order(three, { policy: "least_latency", latencies: { 1: 90, 2: 20, 3: 50 } }), [2, 3, 1]);
  assert.deepEqual(order(three, { policy: "least_latency", latencies: { 1: 90, 2: 20 } }), [3, 2, 1]);
  assert.deepEqual(order(three, { policy: "least_latency" }), [1, 2, 3]);
});

Deno.test("random draws by weight from the given random source", () => {
  const draws = (values: number[]) => () => values.shift() ?? 0;
  const three = [anUpstream(1), anUpstream(2), anUpstream(3)];
  assert.deepEqual(order(three, { policy: "random", random: draws([0.1, 0.9, 0.5]) }), [2, 3, 1]);
  const weighted = [anUpstream(1, { weight: 1 }), anUpstream(2, { weight: 3 })];
  let seed = 1;
  const random = () => (seed = seed * 48271 % 2147483647) / 2147483647;
  let firsts = 0;
  for (let at = 0; at < 2_000; at++) if (order(weighted, { policy: "random", random })[0] === 2) firsts++;
  assert.ok(Math.abs(firsts / 2_000 - 0.75) < 0.05, `${firsts}`);
});

Deno.test("firstByteTimeout() follows its table", () => {
  const KIB = 1024;
  const table: [
    bodyBytes: number | null,
    isStream: boolean,
    kind: EndpointKind,
    own: number | null,
    isLast: boolean,
    ms: number,
  ][] = [
    [null, false, "chat", null, false, 60_000],
    [10, false, "chat", null, false, 60_000],
    [10, true, "chat", null, false, 5_000],
    [128 * KIB, false, "chat", null, false, 60_000],
    [128 * KIB, true, "chat", null, false, 5_000],
    [128 * KIB + 1, false, "chat", null, false, 20_000],
    [128 * KIB + 1, true, "chat", null, false, 20_000],
    [10, false, "chat", null, true, 120_000],
    [10, true, "chat", null, true, 120_000],
    [128 * KIB + 1, true, "chat", null, true, 120_000],
    [10, false, "images", null, false, 120_000],
    [10, true, "images", null, false, 120_000],
    [128 * KIB + 1, false, "images", null, false, 120_000],
    [128 * KIB + 1, false, "audio", null, false, 120_000],
    [10, true, "chat", 7_000, false, 7_000],
    [128 * KIB + 1, true, "images", 7_000, false, 7_000],
    [10, false, "chat", 7_000, true, 7_000],
    [10, false, "chat", 0, false, 60_000],
    [10, false, "chat", -1, true, 120_000],
  ];
  for (const [bodyBytes, isStream, kind, timeoutMs, isLast, ms] of table) {
    const body = bodyBytes === null ? null : new Uint8Array(bodyBytes);
    assert.equal(
      firstByteTimeout({ body, isStream, kind }, { timeoutMs }, isLast),
      ms,
      JSON.stringify([bodyBytes, isStream, kind, timeoutMs, isLast]),
    );
  }
});

type Decided = "relay" | "next" | "give_up";
type Judged = Exclude<AttemptOutcome, { type: "client_gone" }>;

Deno.test("decide() follows the failover table of docs/architecture.md", () => {
  const response = (status: number): Judged => ({ type: "response", status });
  const timeout = (phase: "headers" | "first_token" | "body"): Judged => ({
    type: "timeout",
    phase,
    limitMs: 1,
  });
  const badReply = (isCut: boolean): Judged => ({
    type: "bad_reply",
    message: "",
    isCut,
    isFinished: false,
    error: null,
  });
  const badStream = (isCut: boolean): Judged => ({
    type: "bad_stream",
    message: "",
    isCut,
    isFinished: false,
    error: null,
  });
  /** Not last, last, not last with --retry-on connect. */
  const table: [Judged, Decided, Decided, Decided][] = [
    [response(200), "relay", "relay", "relay"],
    [response(204), "relay", "relay", "relay"],
    [response(299), "relay", "relay", "relay"],
    [response(300), "next", "give_up", "give_up"],
    [response(304), "next", "give_up", "give_up"],
    [response(307), "next", "give_up", "give_up"],
    [response(400), "next", "relay", "relay"],
    [response(401), "next", "relay", "relay"],
    [response(429), "next", "relay", "relay"],
    [response(500), "next", "relay", "relay"],
    [response(599), "next", "relay", "relay"],
    [response(600), "next", "give_up", "give_up"],
    [response(999), "next", "give_up", "give_up"],
    [response(99), "next", "give_up", "give_up"],
    [{ type: "connect_error", message: "", isReset: false }, "next", "give_up", "next"],
    [{ type: "no_credential" }, "next", "give_up", "next"],
    [timeout("headers"), "next", "give_up", "next"],
    [timeout("first_token"), "next", "give_up", "give_up"],
    [timeout("body"), "next", "give_up", "give_up"],
    [badReply(false), "next", "relay", "relay"],
    [badReply(true), "next", "give_up", "give_up"],
    [badStream(false), "next", "relay", "relay"],
    [badStream(true), "next", "give_up", "give_up"],
  ];
  for (const [outcome, notLast, last, connectOnly] of table) {
    const decided = [
      decide(outcome, { isLast: false, retryOn: "any", isConditional: false }),
      decide(outcome, { isLast: true, retryOn: "any", isConditional: false }),
      decide(outcome, { isLast: false, retryOn: "connect", isConditional: false }),
    ].map(({ type }) => type);
    assert.deepEqual(decided, [notLast, last, connectOnly], JSON.stringify(outcome));
  }
  for (const isLast of [false, true]) {
    const context = { isLast, retryOn: "any", isConditional: true } as const;
    assert.equal(decide(response(304), context).type, "relay");
    assert.equal(decide(response(302), context).type, isLast ? "give_up" : "next");
  }
});

Deno.test("matchesGlob() is anchored and supports only * and ?", () => {
  const table: [glob: string, text: string, matches: boolean][] = [
    ["gpt-4o", "gpt-4o", true],
    ["gpt-4o", "gpt-4o-mini", false],
    ["gpt-4o", "GPT-4o", false],
    ["*", "", true],
    ["*", "anything/at:all", true],
    ["", "", true],
    ["", "a", false],
    ["?", "", false],
    ["?", "a", true],
    ["gpt-*", "gpt-", true],
    ["gpt-*", "xgpt-4", false],
    ["*-mini", "gpt-4o-mini", true],
    ["*-mini", "gpt-4o-mini-2", false],
    ["gpt-?o*", "gpt-4o-mini", true],
    ["a*b*c", "a-b-b-c", true],
    ["a*b*c", "a-c-b", false],
    ["**", "x", true],
    ["a**b", "ab", true],
    ["a.c", "abc", false],
    ["[a]", "a", false],
    ["*?", "", false],
    ["*?", "a", true],
    ["*a*a*a*a*a*b", "a".repeat(2_000), false],
  ];
  for (const [glob, text, matches] of table) {
    assert.equal(matchesGlob(glob, text), matches, `${glob} ~ ${text}`);
  }
});

Deno.test("retryAfterMs() reads both headers, caps at five minutes, and ignores nonsense", () => {
  const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
  const table: [headers: Record<string, string>, ms: number | null][] = [
    [{}, null],
    [{ "retry-after": "7" }, 7_000],
    [{ "retry-after": "0" }, 0],
    [{ "retry-after": "1.5" }, 1_500],
    [{ "retry-after": "600" }, 300_000],
    [{ "retry-after": "-1" }, null],
    [{ "retry-after": "soon" }, null],
    [{ "retry-after": "" }, null],
    [{ "retry-after": "Fri, 02 Jan 2026 03:04:25 GMT" }, 20_000],
    // Dates have no fractions of a second, and clocks differ: the reply's own date counts.
    [{ "retry-after": "Fri, 02 Jan 2026 03:00:00 GMT" }, 0],
    [{ "retry-after": "Fri, 02 Jan 2026 03:00:02 GMT", date: "Fri, 02 Jan 2026 03:00:00 GMT" }, 2_000],
    [{ "retry-after": "Fri, 02 Jan 2026 03:09:01 GMT", date: "Fri, 02 Jan 2026 03:09:00 GMT" }, 1_000],
    [{ "retry-after": "Fri, 02 Jan 2026 03:04:25 GMT", date: "yesterday" }, 20_000],
    [{ "retry-after-ms": "250" }, 250],
    [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
    [{ "retry-after-ms": "x", "retry-after": "9" }, 9_000],
    [{ "retry-after-ms": "-5", "retry-after": "9" }, 9_000],
    [{ "retry-after-ms": "9999999" }, 300_000],
  ];
  for (const [headers, ms] of table) {
    assert.equal(retryAfterMs(new Headers(headers), nowMs), ms, JSON.stringify(headers));
  }
});

Deno.test("decide() with --retry-on server moves on after all but the client's own mistakes", () => {
  const response = (status: number): Judged => ({ type: "response", status });
  const bad = (error: string | null, more: { isCut?: boolean; isFinished?: boolean } = {}): Judged => ({
    type: "bad_stream",
    message: "",
    isCut: false,
    isFinished: false,
    error: error === null ? null : { message: "", code: null, type: error },
    ...more,
  });
  const next: Judged[] = [
    ...[301, 401, 402, 403, 408, 429, 500, 503, 529, 600].map(response),
    { type: "connect_error", message: "", isReset: false },
    { type: "timeout", phase: "headers", limitMs: 1 },
    { type: "timeout", phase: "first_token", limitMs: 1 },
    bad(null, { isCut: true }),
    bad(null),
    bad("overloaded_error"),
    bad("authentication_error"),
  ];
  const relay: Judged[] = [
    ...[200, 400, 404, 409, 413, 422, 451].map(response),
    bad("invalid_request_error"),
    bad("not_found_error"),
    bad(null, { isFinished: true }),
  ];
  const decided = (outcome: Judged, isLast: boolean) =>
    decide(outcome, { isLast, retryOn: "server", isConditional: false }).type;
  for (const outcome of next) {
    assert.equal(decided(outcome, false), "next", JSON.stringify(outcome));
    assert.notEqual(decided(outcome, true), "next", JSON.stringify(outcome));
  }
  for (const outcome of relay) {
    for (const isLast of [false, true]) {
      assert.equal(decided(outcome, isLast), "relay", JSON.stringify(outcome));
    }
  }
});

Deno.test("bodyStartTimeout() is eight seconds, or what the head may take", () => {
  assert.equal(bodyStartTimeout(5_000), 8_000);
  assert.equal(bodyStartTimeout(20_000), 20_000);
});

Deno.test("isFinalError() looks at code and type, whatever their case", () => {
  const error = (code: string | null, type: string | null = null, message = "m") => ({ message, code, type });
  const codes = new Set(["content_filter", "1301"]);
  assert.ok(isFinalError(error("content_filter"), codes));
  assert.ok(isFinalError(error(null, "content_filter"), codes));
  assert.ok(isFinalError(error("1301", "x"), codes));
  assert.ok(isFinalError(error("Content_Filter", "x"), codes));
  assert.equal(isFinalError(error("contentfilter", "content_filters"), codes), false);
  assert.equal(isFinalError(error(null, null, "content_filter"), codes), false);
  assert.equal(isFinalError(null, codes), false);
  assert.equal(isFinalError(error("content_filter"), new Set()), false);
});

Deno.test("an upstream's own limit for streams takes the place of all others, also for the last upstream", () => {
  const upstream = anUpstream(1, { timeoutMs: 7_000, shaping: { ...NO_SHAPING, streamTimeoutMs: 3_000 } });
  for (const isLast of [false, true]) {
    const body = new Uint8Array(1_000_000);
    assert.equal(firstByteTimeout({ body, isStream: true, kind: "chat" }, upstream, isLast), 3_000);
    assert.equal(firstByteTimeout({ body, isStream: false, kind: "chat" }, upstream, isLast), 7_000);
  }
  assert.deepEqual(streamLimit(upstream, 500), { limitMs: 3_000, untilMs: 3_500 });
  assert.equal(streamLimit(anUpstream(), 500), null);
});

Deno.test("upstreams for some paths or sizes only are left out of other requests", () => {
  const upstreams = [
    anUpstream(1, { shaping: { ...NO_SHAPING, onlyPaths: ["/v1/chat/*", "/v1/models"] } }),
    anUpstream(2, { shaping: { ...NO_SHAPING, maxBodyBytes: 100 } }),
    anUpstream(3),
  ];
  const ids = (path: string) =>
    allowedUpstreams(upstreams, { model: "m", method: "POST", path }).map(({ id }) => id);
  assert.deepEqual(ids("/v1/chat/completions"), [1, 2, 3]);
  assert.deepEqual(ids("/v1/ch%61t/completions"), [1, 2, 3]);
  assert.deepEqual(ids("/v1/models/x"), [2, 3]);
  assert.equal(fittingUpstreams(upstreams, 100), upstreams, "the same list when all take it");
  assert.deepEqual(fittingUpstreams(upstreams, 101).map(({ id }) => id), [1, 3]);
});
