import assert from "node:assert/strict";
import type { UpstreamRow } from "../../../../src/store/store.ts";
import { NO_BILLING, NO_LIMITS, NO_SHAPING } from "../../../../src/core/upstream_options.ts";
import { EMPTY_ROW, parseUpstreamRow } from "../../../../src/store/config/upstream_row.ts";

const SECRET = "sk-verysecretkey0001";

function makeRow(changes: Partial<UpstreamRow> = {}): UpstreamRow {
  return { ...EMPTY_ROW, id: 7, sk: SECRET, endpoint: "https://api.example.com/v1", ...changes };
}

Deno.test("parseUpstreamRow() fills in what a hand-typed row leaves out", () => {
  const result = parseUpstreamRow(makeRow({ sk: ` ${SECRET}\n`, endpoint: " https://api.example.com/v1 " }));
  assert.ok(result.isValid);
  const { modelMap, ...upstream } = result.upstream;
  assert.deepEqual({ ...modelMap }, {});
  assert.deepEqual(upstream, {
    id: 7,
    name: "api.example.com",
    endpoint: "https://api.example.com/v1",
    sk: SECRET,
    keys: [SECRET],
    keyN: null,
    keyPolicy: "round_robin",
    position: 7,
    isEnabled: true,
    timeoutMs: null,
    allow: [],
    deny: [],
    authStyle: null,
    weight: 1,
    limits: NO_LIMITS,
    shaping: NO_SHAPING,
    billing: NO_BILLING,
  });
});

Deno.test("parseUpstreamRow() reads every column", () => {
  const result = parseUpstreamRow(makeRow({
    timeout: 1.5,
    name: " mine ",
    position: 2,
    enabled: 0,
    allow: "gpt-*, o1 ,,",
    deny: "*-preview",
    modelMap: '{"fast":"gpt-4o-mini"}',
    authStyle: " API-Key ",
    weight: 3,
  }));
  assert.ok(result.isValid);
  const { upstream } = result;
  assert.equal(upstream.timeoutMs, 1500);
  assert.equal(upstream.name, "mine");
  assert.equal(upstream.position, 2);
  assert.equal(upstream.isEnabled, false);
  assert.deepEqual(upstream.allow, ["gpt-*", "o1"]);
  assert.deepEqual(upstream.deny, ["*-preview"]);
  assert.equal(upstream.modelMap["fast"], "gpt-4o-mini");
  assert.equal(upstream.modelMap["constructor"], undefined);
  assert.equal(upstream.authStyle, "api-key");
  assert.equal(upstream.weight, 3);
});

Deno.test("parseUpstreamRow() reads one key a line, each once", () => {
  const result = parseUpstreamRow(makeRow({ sk: "\r\n sk-a \r\nsk-b\n\nsk-a\n" }));
  assert.ok(result.isValid);
  const { sk, keys, keyN } = result.upstream;
  assert.deepEqual({ sk, keys, keyN }, { sk: "sk-a", keys: ["sk-a", "sk-b"], keyN: null });
});

Deno.test("parseUpstreamRow() reads every option, and takes what is empty as not set", () => {
  const options = {
    key_policy: " Fill ",
    max_parallel: "Auto",
    rpm: 60,
    tpm: "1000.9",
    set_headers: '{"X-Team":"a","x-drop":null}',
    body_patch: '{"top_k":null}',
    only_paths: "/v1/chat/*, /v1/embeddings",
    max_body: 1024,
    stream_timeout: 1.5,
    error_text: "*quota*\r\n余额不足",
    proxy: "socks5://user:pass@127.0.0.1:1080",
  };
  const result = parseUpstreamRow(makeRow({ options }));
  assert.ok(result.isValid);
  const { keyPolicy, limits, shaping } = result.upstream;
  assert.deepEqual({ keyPolicy, limits }, {
    keyPolicy: "fill",
    limits: { maxParallel: "auto", rpm: 60, tpm: 1000 },
  });
  assert.deepEqual(shaping, {
    setHeaders: { "x-team": "a", "x-drop": null },
    bodyPatch: { top_k: null },
    onlyPaths: ["/v1/chat/*", "/v1/embeddings"],
    maxBodyBytes: 1024,
    streamTimeoutMs: 1000,
    errorTexts: ["*quota*", "余额不足"],
    proxy: "socks5://user:pass@127.0.0.1:1080",
  });
  const unset = parseUpstreamRow(
    makeRow({ options: { max_parallel: "0", rpm: -1, proxy: " ", body_patch: "" } }),
  );
  assert.ok(unset.isValid);
  assert.equal(unset.upstream.limits, NO_LIMITS);
  assert.equal(unset.upstream.shaping, NO_SHAPING);
});

const OPTION_PROBLEMS: readonly (readonly [Partial<UpstreamRow>, RegExp])[] = [
  [{ options: { key_policy: "hidden" } }, /^key_policy is none of/],
  [{ options: { max_parallel: "hidden" } }, /^max_parallel is not a number/],
  [{ options: { rpm: Number.NaN } }, /^rpm is not a number/],
  [{ options: { set_headers: "hidden" } }, /^set_headers is not a JSON object/],
  [{ options: { set_headers: '{"a b":"hidden"}' } }, /^set_headers is refused: "a b" is no name/],
  [{ options: { set_headers: '{"a":"hid\\nden"}' } }, /^set_headers is refused: the value of a must be/],
  [
    { options: { set_headers: '{"Authorization":"hidden"}' } },
    /^set_headers is refused: Authorization cannot/,
  ],
  [{ options: { set_headers: '{"transfer-encoding":null}' } }, /^set_headers is refused: transfer-encoding/],
  [{ options: { body_patch: '{"seed":12345678901234567890}' } }, /^body_patch holds a number/],
  [{ options: { body_patch: `${'{"a":'.repeat(20)}1${"}".repeat(20)}` } }, /^body_patch is nested/],
  [{ options: { error_text: "hidden".repeat(50) } }, /^error_text has a line/],
  [{ options: { body_patch: "[]" } }, /^body_patch is not a JSON object/],
  [{ options: { proxy: "hidden.example:80" } }, /^proxy is not a URL/],
];

Deno.test("parseUpstreamRow() takes a timeout of zero or less as none, and caps a huge one", () => {
  for (const [timeout, expected] of [[0, null], [-5, null], [1e12, 2 ** 31 - 1]] as const) {
    const result = parseUpstreamRow(makeRow({ timeout }));
    assert.equal(result.isValid && result.upstream.timeoutMs, expected);
  }
});

Deno.test("parseUpstreamRow() names what is wrong without showing key or endpoint", () => {
  const table: readonly (readonly [Partial<UpstreamRow>, RegExp])[] = [
    [{ sk: null }, /^sk is empty/],
    [{ sk: "  " }, /^sk is empty/],
    [{ sk: "sk-a\tb" }, /^sk holds characters/],
    [{ sk: "sk-a\nsk-ключ" }, /^sk holds characters/],
    [{ sk: "sk-a\nasis" }, /^sk holds asis/],
    [{ sk: Array.from({ length: 1001 }, (_, n) => `sk-${n}`).join("\n") }, /^sk holds more than 1000 keys/],
    ...OPTION_PROBLEMS,
    [{ sk: "sk-ключ" }, /^sk holds characters/],
    [{ endpoint: null }, /^endpoint is empty/],
    [{ endpoint: "api.example.com" }, /^endpoint is not an http/],
    [{ endpoint: "ftp://hidden.example/" }, /^endpoint is not an http/],
    [{ endpoint: "https://user:hidden@api.example.com/" }, /^endpoint carries/],
    [{ timeout: Number.NaN }, /^timeout is not a number/],
    [{ enabled: Number.NaN }, /^enabled is not a number/],
    [{ modelMap: "[]" }, /^model_map/],
    [{ modelMap: '{"a":1}' }, /^model_map/],
    [{ modelMap: "{" }, /^model_map/],
    [{ authStyle: "basic" }, /^auth_style/],
    [{ weight: -1 }, /^weight is negative/],
  ];
  for (const [changes, expected] of table) {
    const result = parseUpstreamRow(makeRow(changes));
    assert.ok(!result.isValid, JSON.stringify(changes));
    assert.match(result.problem, expected);
    assert.doesNotMatch(result.problem, /hidden|verysecret/);
  }
});
