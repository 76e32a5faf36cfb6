/** Upstreams and tokens on a real database, without a command line and without HTTP. */
import assert from "node:assert/strict";
import { ControlError } from "../../../src/control/errors.ts";
import { Tokens } from "../../../src/control/tokens.ts";
import { Upstreams } from "../../../src/control/upstreams.ts";
import { isModelName, readTexts, toChanges } from "../../../src/control/upstream_values.ts";
import { Registry } from "../../../src/store/config/registry.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import type { ConfigStore } from "../../../src/store/store.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const KEY = "sk-upstream-0123456789wxyz";
const INPUT = { endpoint: "https://a.example/v1", key: KEY };

async function withConfig(use: (config: ConfigStore) => void): Promise<void> {
  const directory = await Deno.makeTempDir();
  const database = openDatabase(`${directory}/db.sqlite`);
  try {
    use(database.config);
  } finally {
    database.close();
    await Deno.remove(directory, { recursive: true });
  }
}

function upstreamsOf(config: ConfigStore): Upstreams {
  const registry = new Registry({ store: config, clock: new FakeClock(), onProblem: () => {} });
  return new Upstreams({ config, registry });
}

/** Code and field of the refusal. */
function refused(action: () => unknown): readonly [code: string, field: string | null] {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ControlError, String(error));
    assert.doesNotMatch(error.message, /--/);
    assert.ok(!error.message.includes(KEY));
    return [error.code, error.field];
  }
  assert.fail("it was not refused");
}

Deno.test("upstreams are added, found, changed, moved and removed, and their keys are masked", () =>
  withConfig((config) => {
    const upstreams = upstreamsOf(config);
    const added = upstreams.add({ ...INPUT, name: "a", isEnabled: false, allow: ["gpt-*"] });
    assert.deepEqual([added.id, added.name, added.key, added.isEnabled, added.place, added.allow], [
      1,
      "a",
      "sk-…wxyz",
      false,
      1,
      ["gpt-*"],
    ]);
    upstreams.add({ endpoint: "https://b.example/v1", key: "asis" });
    assert.deepEqual([upstreams.find("b.example").id, upstreams.find("1").name], [2, "a"]);
    assert.equal(upstreams.edit(1, { isEnabled: true, timeoutSeconds: 5 }).timeoutSeconds, 5);
    assert.equal(upstreams.move(2, 1).place, 1);
    upstreams.remove(2);
    assert.deepEqual(upstreams.list().map(({ id }) => id), [1]);
  }));

Deno.test("a change that is refused says which input is wrong", () =>
  withConfig((config) => {
    const upstreams = upstreamsOf(config);
    upstreams.add({ ...INPUT, name: "a" });
    const other = { endpoint: "https://b.example/v1", key: "asis" };
    assert.deepEqual(refused(() => upstreams.add({ ...other, name: "a" })), ["duplicate", "name"]);
    assert.deepEqual(refused(() => upstreams.edit(7, { name: "b" })), ["not_found", "upstream"]);
    assert.deepEqual(refused(() => upstreams.find("nobody")), ["not_found", "upstream"]);
    assert.deepEqual(refused(() => upstreams.move(7, 1)), ["not_found", "upstream"]);
    assert.deepEqual(refused(() => upstreams.remove(7)), ["not_found", "upstream"]);
    assert.equal(upstreams.edit(1, { name: "a" }).name, "a");
  }));

Deno.test("every value of an upstream has its bounds, however it is given", () => {
  const typed = [
    ["name", { name: "7" }],
    ["name", { name: "a\nb" }],
    ["timeoutSeconds", { timeoutSeconds: "1.5" }],
    ["authStyle", { authStyle: "basic" }],
    ["allow", { allow: "a,,b" }],
    ["deny", { deny: "a\tb" }],
    ["modelMap", { modelMap: "a=b=c" }],
    ["weight", { weight: "0" }],
  ] as const;
  for (const [field, texts] of typed) {
    assert.deepEqual(refused(() => toChanges(readTexts(texts))), ["invalid", field]);
  }
  const given = [
    ["key", { key: " " }],
    ["endpoint", { endpoint: "ftp://x.example" }],
    ["timeoutSeconds", { timeoutSeconds: 1.5 }],
    ["timeoutSeconds", { timeoutSeconds: 100_000 }],
    ["allow", { allow: ["a\tb"] }],
    ["allow", { allow: [" "] }],
    ["deny", { deny: ["a", ""] }],
    ["deny", { deny: ["a,b"] }],
    ["modelMap", { modelMap: { a: "b\n" } }],
    ["modelMap", { modelMap: { "": "b" } }],
    ["weight", { weight: -1 }],
    ["weight", { weight: Number.NaN }],
    ["weight", { weight: 2_000_000 }],
  ] as const;
  for (const [field, input] of given) assert.deepEqual(refused(() => toChanges(input)), ["invalid", field]);
  assert.deepEqual(toChanges(readTexts({ name: "", timeoutSeconds: "none", allow: "a, b", weight: "2" })), {
    name: null,
    timeout: null,
    allow: ["a", "b"],
    weight: 2,
  });
  assert.deepEqual(toChanges({ weight: 1e-7, modelMap: { "a=b": "c" }, allow: [] }), {
    weight: 1e-7,
    modelMap: { "a=b": "c" },
    allow: [],
  });
  assert.ok(isModelName("m/o3:x") && !isModelName("") && !isModelName("a\u202eb"));
});

Deno.test("a token is named, found and removed, and the last one stays", () =>
  withConfig((config) => {
    const tokens = new Tokens({ config });
    tokens.replaceAll({ name: "one", secret: "woodpecker-one" });
    assert.equal(tokens.add({ secret: "woodpecker-two" }).name, "token-2");
    assert.deepEqual(refused(() => tokens.add({ secret: "woodpecker-two" })), ["token_exists", null]);
    assert.deepEqual(refused(() => tokens.add({ name: "one", secret: "x" })), ["token_exists", "name"]);
    assert.deepEqual(refused(() => tokens.add({ name: "a b", secret: "x" })), ["invalid", "name"]);
    assert.deepEqual(refused(() => tokens.remove("nobody")), ["not_found", "token"]);
    assert.deepEqual(refused(() => tokens.setAdmin("woodpecker-two")), ["invalid", "adminToken"]);
    assert.equal(tokens.remove("woo…-two").name, "token-2");
    assert.deepEqual(refused(() => tokens.remove("one")), ["conflict", "token"]);
  }));
