import assert from "node:assert/strict";
import { en } from "../../../src/dashboard/messages/en.ts";
import { EMPTY_FORM, formOf, readForm, toInput } from "../../../src/dashboard/upstream_form.ts";
import { upstream } from "./fake_service.ts";

Deno.test("an unchanged form gives back the upstream unchanged", () => {
  const before = upstream(1, {
    name: "azure",
    timeoutSeconds: 2.5,
    allow: ["gpt-*", "o3"],
    deny: ["gpt-4"],
    modelMap: { "gpt-4o": "deployment=a" },
    authStyle: "api-key",
    weight: 3,
  });
  const { endpoint, name, timeoutSeconds, allow, deny, modelMap, authStyle, weight } = before;
  const fields = Object.fromEntries(Object.entries(formOf(before)));
  assert.deepEqual(toInput(readForm(fields), en, readForm(fields)), {});
  assert.deepEqual(toInput(readForm(fields), en), {
    endpoint,
    name,
    timeoutSeconds,
    allow,
    deny,
    modelMap,
    authStyle,
    weight,
  });
});

Deno.test("a field that was not changed is left out, whatever it cannot show", () => {
  const before = upstream(1, { modelMap: { "a=b": "c", "d": "e\nf=g" }, name: "host.example", weight: 1 });
  const shown = readForm({ ...formOf(before) });
  assert.deepEqual(toInput({ ...shown, timeout: "7" }, en, shown), { timeoutSeconds: 7 });
  assert.deepEqual(toInput({ ...shown, key: "sk-1", name: "" }, en, shown), { key: "sk-1", name: null });
  assert.deepEqual(toInput({ ...shown, modelMap: "x=y" }, en, shown), { modelMap: { x: "y" } });
  assert.deepEqual(toInput({ ...shown, authStyle: "bearer" }, en, shown), { authStyle: "bearer" });
});

Deno.test("the key is never filled in, and an empty field keeps it", () => {
  assert.equal(formOf(upstream(1)).key, "");
  assert.ok(!("key" in toInput({ ...EMPTY_FORM, endpoint: "https://a.example/v1" }, en)));
  assert.deepEqual({ ...toInput({ ...EMPTY_FORM, key: "sk-1" }, en) }, {
    endpoint: "",
    key: "sk-1",
    name: null,
    timeoutSeconds: null,
    allow: [],
    deny: [],
    modelMap: {},
    authStyle: null,
    weight: 1,
  });
});

Deno.test("invalid values are named", () => {
  for (
    const [changes, message] of [
      [{ modelMap: "gpt-4o=\n" }, /"gpt-4o=" names no two models/],
      [{ modelMap: "gpt-4o" }, /"gpt-4o" names no two models/],
      [{ timeout: "soon" }, /"soon" is no number/],
      [{ timeout: "-1" }, /"-1" is no number/],
      [{ weight: "0" }, /"0" is no number/],
    ] as const
  ) {
    const input = toInput({ ...EMPTY_FORM, ...changes }, en);
    assert.ok("problem" in input);
    assert.match(input.problem, message);
  }
});

Deno.test("fields of other types are empty", () => {
  assert.deepEqual(readForm({ endpoint: new File([], "x"), name: ["a"], key: 1 }), EMPTY_FORM);
});
