import assert from "node:assert/strict";
import type { Alert } from "../../../src/notify/notifier.ts";
import { alertText, causeKey, digestText, type Repeats } from "../../../src/notify/texts.ts";

const same = (text: string) => text;
const isServed = () => true;

function failed(fields: Partial<Extract<Alert, { type: "request_failed" }>> = {}): Alert {
  return {
    type: "request_failed",
    ip: "1.2.3.4",
    model: "gpt-4o",
    status: 502,
    message: "upstream unreachable",
    requestId: "01J",
    ...fields,
  };
}

const TEXTS: readonly { readonly name: string; readonly alert: Alert; readonly text: string }[] = [
  {
    name: "a failed request",
    alert: failed(),
    text: "IP: 1.2.3.4 request gpt-4o error 502 with upstream unreachable",
  },
  {
    name: "a token near its budget",
    alert: { type: "budget_near", client: "amy", budget: "20/month", spentUsd: "16.5" },
    text: "Token amy has spent 16.5 USD of its budget of 20/month",
  },
  {
    name: "a budget that is used up",
    alert: { type: "budget_reached", client: "amy", budget: "20/month", spentUsd: "20" },
    text: "Token amy has used up its budget of 20/month: 20 USD are spent",
  },
  {
    name: "a request without a model",
    alert: failed({ model: null, status: 404 }),
    text: "IP: 1.2.3.4 request - error 404 with upstream unreachable",
  },
  {
    name: "an upstream that is down",
    alert: { type: "upstream_down", upstream: "api.openai.com", reason: "connection refused" },
    text: "Upstream api.openai.com is down: connection refused",
  },
  {
    name: "an upstream that has recovered",
    alert: { type: "upstream_recovered", upstream: "api.openai.com" },
    text: "Upstream api.openai.com has recovered",
  },
  {
    name: "an upstream that is degraded",
    alert: { type: "upstream_degraded", upstream: "a", attempts: 120, failed: 44 },
    text: "Upstream a is degraded: 37 % of its 120 attempts in the last 10 minutes failed",
  },
  {
    name: "an upstream that is no longer degraded",
    alert: { type: "upstream_recovered", upstream: "a", attempts: 120, failed: 5 },
    text: "Upstream a is no longer degraded: 4 % of its 120 attempts in the last 10 minutes failed",
  },
  {
    name: "an upstream that was degraded, and is not tried any more",
    alert: { type: "upstream_recovered", upstream: "a", attempts: 0, failed: 0 },
    text: "Upstream a is no longer degraded: it was not tried in the last 10 minutes",
  },
  {
    name: "lost records",
    alert: { type: "records_dropped", reason: "disk_full" },
    text: "Records are being lost, requests go on: the database cannot take them (disk_full)",
  },
  {
    name: "records that are written again",
    alert: { type: "records_resumed" },
    text: "Records are being written again",
  },
];

for (const { name, alert, text } of TEXTS) {
  Deno.test(`alertText() describes ${name}`, () => assert.equal(alertText(alert, same), text));
}

Deno.test("alertText() is one line of bounded length, whatever the upstream said", () => {
  const text = alertText(failed({ message: `a\r\nb\u001b[31m\u2028c ${"😀".repeat(2000)}` }), same);
  assert.match(text, /with a b \[31m c 😀/);
  assert.ok(text.length < 600);
  assert.ok(!/[\p{Cc}\u2028]/u.test(text));
  assert.ok(text.endsWith("…"));
});

Deno.test("alertText() masks before it shortens, so that no part of a secret remains", () => {
  const secret = "sk-verysecretvalue1234";
  const message = `${"x".repeat(490)} ${secret}`;
  const text = alertText(failed({ message }), (value) => value.replaceAll(secret, "…"));
  assert.ok(!text.includes("sk-ve"));
});

Deno.test("causeKey() ignores client, identifiers and numbers", () => {
  const a = failed({
    message: "Rate limit reached for org-ab12 on req_77f: try again in 3.2s",
    ip: "1.1.1.1",
  });
  const b = failed({
    message: "Rate limit reached for org-cd34 on req_99a: try again in 12s",
    ip: "2.2.2.2",
  });
  assert.equal(causeKey(a, isServed), causeKey(b, isServed));
});

Deno.test("causeKey() distinguishes type, model, status, message and upstream", () => {
  const keys = [
    failed(),
    failed({ model: "gpt-5" }),
    failed({ status: 503 }),
    failed({ message: "timed out" }),
    { type: "upstream_down", upstream: "a", reason: "x" },
    { type: "upstream_down", upstream: "b", reason: "x" },
    { type: "upstream_recovered", upstream: "a" },
    { type: "records_dropped", reason: "x" },
    { type: "records_resumed" },
  ] satisfies Alert[];
  assert.equal(new Set(keys.map((alert) => causeKey(alert, isServed))).size, keys.length);
});

Deno.test("causeKey() is bounded for a message and a model of any length", () => {
  assert.ok(
    causeKey(failed({ model: "m".repeat(1e6), message: "word ".repeat(1e6) }), isServed).length < 300,
  );
});

Deno.test("digestText() lists the most frequent causes and sums up the rest", () => {
  const repeats = Array.from(
    { length: 25 },
    (_, index) => ({ count: index + 1, last: failed({ message: `cause ${index}` }) }),
  );
  const lines = digestText(repeats, same).split("\n");
  assert.equal(lines.length, 21);
  assert.equal(lines[0], "25 more, the last: IP: 1.2.3.4 request gpt-4o error 502 with cause 24");
  assert.equal(lines[20], "15 more of 5 other causes");
});

Deno.test("causeKey() does not distinguish models never served, even when the message repeats them", () => {
  const key = (model: string) =>
    causeKey(failed({ model, message: `The model ${model} does not exist` }), () => false);
  assert.equal(key("evil-abc"), key("evil-xyz"));
  assert.notEqual(key("evil-abc"), causeKey(failed({ model: null }), () => false));
});

Deno.test("digestText() has room for urgent alerts", () => {
  const repeats: Repeats[] = Array.from(
    { length: 30 },
    (_, n) => ({ count: 100, last: failed({ message: `c ${n}` }) }),
  );
  repeats.push({ count: 1, last: { type: "upstream_down", upstream: "a", reason: "x" } });
  assert.equal(digestText(repeats, same).split("\n")[0], "1 more, the last: Upstream a is down: x");
});

const HOSTILE: readonly [said: string, shown: string][] = [
  ["@all", "[at]all"],
  ["@room @here @channel", "[at]room [at]here [at]channel"],
  ["\uff20all", "[at]all"],
  ["@\u200ball", "[at]all"],
  ['<at user_id="all">everyone</at>', '(at user_id="all")everyone(/at)'],
  ["&lt;at user_id=all&gt;", "& lt;at user_id=all& gt;"],
  ["<!channel> <https://evil.example|here>", "(!channel) (https[:]//evil[.]example|here)"],
  ["http://evil.example/a", "http[:]//evil[.]example/a"],
  ["HTTPS://EVIL.EXAMPLE", "HTTPS[:]//EVIL[.]EXAMPLE"],
  ["h\u200bttp:/\u200b/evil.example", "http[:]//evil[.]example"],
  ["www.evil.example/a evil\u3002example", "www[.]evil[.]example/a evil[.]example"],
  ["[here](https://evil.example) ![x](a)", "[here] (https[:]//evil[.]example) ![x] (a)"],
  ["somebody@evil.example", "somebody[at]evil[.]example"],
  ["`code`", "'code'"],
  ["left\u202eright", "leftright"],
];
const HARMLESS = [
  "gpt-4.1-mini",
  "meta-llama/Llama-3.1-8B",
  "HTTP 503",
  "a & b",
  "took 3.5 s: too long",
  "[1]",
];

Deno.test("alertText() makes no links or mentions from texts of clients and upstreams", () => {
  for (const [said, shown] of [...HOSTILE, ...HARMLESS.map((text) => [text, text] as const)]) {
    const text = alertText(failed({ model: said, message: `no ${said}` }), same);
    assert.equal(text, `IP: 1.2.3.4 request ${shown} error 502 with no ${shown}`);
    const down = alertText({ type: "upstream_down", upstream: "api.openai.com", reason: said }, same);
    assert.equal(down, `Upstream api.openai.com is down: ${shown}`);
  }
  const long = alertText(failed({ model: "@".repeat(1e5), message: "://".repeat(1e5) }), same);
  assert.ok(long.length < 700);
});

Deno.test("the end of a degraded episode and that of a failing one are causes of their own", () => {
  const alerts: Alert[] = [
    { type: "upstream_recovered", upstream: "a" },
    { type: "upstream_recovered", upstream: "a", attempts: 9, failed: 0 },
    { type: "upstream_degraded", upstream: "a", attempts: 10, failed: 5 },
    { type: "upstream_degraded", upstream: "b", attempts: 10, failed: 5 },
  ];
  assert.equal(new Set(alerts.map((alert) => causeKey(alert, () => true))).size, 4);
  assert.equal(
    causeKey({ type: "upstream_degraded", upstream: "a", attempts: 99, failed: 98 }, () => true),
    "upstream_degraded a",
  );
});

Deno.test("each token and threshold is a cause of its own", () => {
  const keys = (["budget_near", "budget_reached"] as const).flatMap((type) =>
    ["amy", "bob"].map((client) => causeKey({ type, client, budget: "1/day", spentUsd: "1" }, isServed))
  );
  assert.equal(new Set(keys).size, 4);
});
