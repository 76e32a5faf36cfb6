import assert from "node:assert/strict";
import { SecretSet } from "../../../src/core/secret_set.ts";
import { redactSecrets } from "../../../src/core/secrets.ts";

/** Like those of providers: with one common beginning, and with one each. */
const SHARED = Array.from({ length: 40 }, (_, n) => `sk-proj-${n}-${"abcdefghij".slice(n % 5)}`);
const APART = Array.from({ length: 40 }, (_, n) => `${String.fromCharCode(0x41 + n)}${n}-key-0123456789`);

for (const [name, secrets] of [["one", SHARED.slice(0, 1)], ["shared", SHARED], ["apart", APART]] as const) {
  const set = new SecretSet(secrets);

  Deno.test(`SecretSet masks like redactSecrets(): ${name} beginnings`, () => {
    for (const secret of secrets) {
      for (
        const text of [secret, `${secret}${secret}`, `a ${secret} b`, ` ${secret.slice(1)}`, `é中${secret}é`]
      ) {
        assert.equal(set.redact(text), redactSecrets(text, secrets), text);
        assert.ok(!set.redact(text).includes(secret));
      }
    }
    assert.equal(set.redact(secrets.join(" ")), redactSecrets(secrets.join(" "), secrets));
    const clean = "nothing sk-proj- A0-key-012345678 of it";
    assert.equal(set.redact(clean), clean);
  });

  Deno.test(`SecretSet masks the start of a secret at the end of a cut text: ${name} beginnings`, () => {
    for (const secret of secrets) {
      for (let length = 0; length < secret.length; length++) {
        const text = `bad key ${secret.slice(0, length)}`;
        assert.equal(set.redact(text), redactSecrets(text, secrets), text);
      }
    }
  });
}

Deno.test("SecretSet masks the longer of two secrets with the same beginning", () => {
  const set = new SecretSet(["sk-0123456789abc", "sk-0123456789abcdef"]);
  assert.equal(set.redact("x sk-0123456789abcdef y"), "x sk-…cdef y");
  assert.equal(set.redact("x sk-0123456789abcxyz y"), "x sk-…9abcxyz y");
});

Deno.test("SecretSet knows its secrets, and masks nothing when it is empty", () => {
  assert.ok(new SecretSet(SHARED).has(SHARED[3] ?? ""));
  assert.ok(!new SecretSet(SHARED).has("sk-proj"));
  assert.equal(new SecretSet([]).redact("anything at all"), "anything at all");
});
