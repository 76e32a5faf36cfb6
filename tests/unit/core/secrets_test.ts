import assert from "node:assert/strict";
import { maskSecret, redactSecrets } from "../../../src/core/secrets.ts";

Deno.test("maskSecret() shows both ends of a long secret and nothing of a short one", () => {
  assert.equal(maskSecret("sk-abcdefwxyz"), "sk-…wxyz");
  assert.equal(maskSecret("sk-abcdwxyz"), "…");
  assert.equal(maskSecret(""), "…");
});

Deno.test("redactSecrets() masks every exact occurrence of every secret", () => {
  const secrets = ["sk-abcdefwxyz", "short", "abc"];
  assert.equal(
    redactSecrets("key sk-abcdefwxyz, again sk-abcdefwxyz, short, abc", secrets),
    "key sk-…wxyz, again sk-…wxyz, …, abc",
  );
  assert.equal(redactSecrets("nothing here", secrets), "nothing here");
  assert.equal(redactSecrets("a.c aXc", ["a.c "]), "…aXc");
});
