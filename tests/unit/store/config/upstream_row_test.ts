import assert from "node:assert/strict";
import type { UpstreamRow } from "../../../../src/store/store.ts";
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
    position: 7,
    isEnabled: true,
    timeoutMs: null,
    allow: [],
    deny: [],
    authStyle: null,
    weight: 1,
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
    [{ sk: "sk-a\nb" }, /^sk holds characters/],
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
