import assert from "node:assert/strict";
import type { Stats, UpstreamView } from "../../../src/control/admin_service.ts";
import { chooseLanguage } from "../../../src/dashboard/messages/language.ts";
import { judge } from "../../../src/dashboard/verdict.ts";
import { upstream } from "./fake_service.ts";

const { messages: m, format } = chooseLanguage("en");
const share = (id: number, attempts: number, failures: number): Stats["upstreams"][number] => ({
  ...{
    id,
    name: `upstream-${id}`,
    requests: attempts - failures,
    failures,
    attempts,
    p95Ms: null,
    costNano: 0,
  },
});

function judged(
  upstreams: readonly UpstreamView[],
  shares: Stats["upstreams"] = [],
  errors = 0,
): readonly [tone: string, culprits: string] {
  const none = { p50Ms: null, p95Ms: null, firstTokenP50Ms: null, firstTokenP95Ms: null };
  const costs = { costNano: 0, unpriced: 0, estimatedTokens: 0 };
  const total = { requests: 100, errors, inputTokens: 0, outputTokens: 0, ...none, ...costs };
  const { tone, culprits } = judge({ m, format }, { total, upstreams: shares }, upstreams);
  return [
    tone,
    culprits.map((each) => `${each.upstream.id}:${each.count?.percent ?? each.upstream.state}`).join(),
  ];
}

const degraded = { attempts: 40, failed: 10, isDegraded: true };
const untested = upstream(3, { state: "untested" });

Deno.test("the banner is amber while others answer, red when nobody does, and names who", () => {
  const [one, two] = [upstream(1), upstream(2)];
  assert.deepEqual(judged([one, two], [share(1, 120, 12)]), ["good", ""]);
  assert.deepEqual(judged([one, two], [share(1, 120, 45)]), ["warn", "1:38"]);
  assert.deepEqual(judged([one, two], [share(1, 3, 1), share(2, 9, 9)]), ["good", ""]);
  assert.deepEqual(judged([one], [share(1, 120, 45)]), ["bad", "1:38"]);
  assert.deepEqual(judged([one, two], [share(1, 120, 45), share(2, 50, 20)]), ["bad", "1:38,2:40"]);
  assert.deepEqual(judged([upstream(1, { state: "failing" }), two]), ["warn", "1:failing"]);
  assert.deepEqual(judged([upstream(1, { recent: degraded }), two]), ["warn", "1:25"]);
  assert.deepEqual(judged([one, two], [share(1, 120, 45)], 20), ["bad", "1:38"]);
});

Deno.test("what nobody has tested is not green, and is nobody who answers in place of another", () => {
  assert.deepEqual(judged([untested]), ["info", ""]);
  assert.deepEqual(judged([upstream(1), untested]), ["good", ""]);
  assert.deepEqual(judged([upstream(1, { state: "failing" }), untested]), ["bad", "1:failing"]);
  assert.deepEqual(judged([upstream(1), untested], [share(3, 20, 20)]), ["warn", "3:100"]);
  assert.deepEqual(judged([untested], [share(3, 20, 20)]), ["bad", "3:100"]);
});

Deno.test("upstreams that are not used do not count", () => {
  const off = upstream(1, { state: "disabled", recent: degraded });
  const wrong = upstream(2, { state: "skipped", problem: "no URL" });
  assert.deepEqual(judged([off, wrong, upstream(4)], [share(1, 100, 90)]), ["good", ""]);
  assert.deepEqual(judged([off, wrong]), ["bad", ""]);
});
