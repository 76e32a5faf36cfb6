import assert from "node:assert/strict";
import { judgeKeys, type KeyAnswer } from "../../../src/control/key_probe.ts";
import { changedKeys, readKeyText } from "../../../src/control/upstream_keys.ts";

Deno.test("keys are one a line, without empty lines, comments and repeats", () => {
  assert.equal(readKeyText(" sk-1 "), "sk-1");
  assert.equal(readKeyText("\r\nsk-1\r\n\r\n# mine\n sk-2 \rsk-1\n"), "sk-1\nsk-2");
});

Deno.test("a line that is no key is named by its number, and not shown", () => {
  assert.throws(
    () => readKeyText("sk-1\n\nsk-geheim-ü\n"),
    (error: Error) => error.message.includes("line 3") && !error.message.includes("geheim"),
  );
  assert.throws(() => readKeyText("sk-1\nsk-2 sk-3"), /without spaces, in line 2$/);
  assert.throws(() => readKeyText(" sk-1 sk-2 "), /without spaces$/);
  assert.throws(() => readKeyText("a\n".repeat(600_000)), /1 MiB/);
  const many = Array.from({ length: 1_001 }, (_each, n) => `sk-${n}`).join("\n");
  assert.throws(() => readKeyText(many), /more than 1000 keys/);
});

Deno.test("keys are added and removed by number or masked form", () => {
  const keys = ["sk-aaaaaaaaa-1111", "sk-aaaaaaaaa-2222", "sk-bbbbbbbbb-2222"];
  assert.deepEqual(changedKeys(keys, { add: ["x\ny"], remove: ["2"] }), [keys[0], keys[2], "x", "y"]);
  assert.deepEqual(changedKeys(keys, { add: [keys[0] ?? ""], remove: ["sk-…1111"] }), [
    keys[1],
    keys[2],
    keys[0],
  ]);
  assert.throws(
    () => changedKeys(keys, { add: [], remove: ["sk-…2222"] }),
    /^ControlError: removeKey fits several keys/,
  );
  assert.throws(
    () => changedKeys(keys, { add: [], remove: ["4"] }),
    /^ControlError: removeKey is none of its 3 keys/,
  );
  assert.throws(
    () => changedKeys(["k"], { add: [], remove: ["1"] }),
    /^ControlError: removeKey would leave it without/,
  );
});

function answer(status: number | null): KeyAnswer {
  const level = status === 200 ? "ok" : status === 404 ? "warn" : "fail";
  return {
    status,
    verdict: { level, message: `answered ${status}`, advice: level === "ok" ? null : "look" },
  };
}

Deno.test("a test of several keys says what each said", () => {
  const upstream = { id: 7, keys: ["a", "b", "c"] };
  const said = (...statuses: (number | null)[]) => {
    const { level, message } = judgeKeys(upstream, statuses.map(answer));
    return `${level}: ${message}`;
  };
  assert.equal(said(200, 200, 200), "ok: 3 keys: all answer; key 1 answered 200");
  assert.equal(said(200, 401, 200), "warn: 3 keys: 2 answer, key 2 is refused");
  assert.equal(said(402, 401, 200), "warn: 3 keys: 1 answers, key 1 has no credit, key 2 is refused");
  assert.equal(
    said(401, null, 429),
    "fail: 3 keys: none answers, key 1 is refused, key 2 cannot be asked, key 3 is throttled, or has no credit",
  );
  assert.equal(said(404, 404, 404), "warn: 3 keys, each: answered 404");
  assert.equal(said(200, 200), "ok: 3 keys (2 were asked): all answer; key 1 answered 200");
});
