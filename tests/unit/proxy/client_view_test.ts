import assert from "node:assert/strict";
import type { ClientRules } from "../../../src/core/client_rules.ts";
import { NO_CLIENT_LIMITS } from "../../../src/core/client_rules.ts";
import { maskSecret } from "../../../src/core/secrets.ts";
import { SecretSet, SecretsWithOne } from "../../../src/core/secret_set.ts";
import { TokenGuard } from "../../../src/core/token_guard.ts";
import { sha256 } from "../../../src/core/digest.ts";
import { PreparedSnapshot } from "../../../src/proxy/prepared_snapshot.ts";
import { anUpstream } from "../../support/upstream_value.ts";

const TOKEN = "row-token-0123456789-abcdef";
const OTHER = "other-token-0123456789-abcd";
const hex = (text: string) => sha256(text).toString("hex");

function rules(changes: Partial<ClientRules> = {}): ClientRules {
  return {
    ...{
      id: 1,
      name: "amy",
      digest: hex(TOKEN),
      hint: "",
      isEnabled: true,
      expiresAtMs: null,
      createdAtMs: null,
    },
    ...{ allow: [], deny: [], upstreams: [], limits: NO_CLIENT_LIMITS, gate: null },
    ...changes,
  };
}

function prepared(clientRules: readonly ClientRules[]): PreparedSnapshot {
  return new PreparedSnapshot({
    ...{ version: 1, tokens: [], adminToken: null, policy: null, problems: [], clientRules },
    upstreams: [anUpstream(1, { name: "a", sk: "sk-key-of-a-0123456789" }), anUpstream(2, { name: "b" })],
  });
}

const chat = { method: "POST", path: "/v1/chat/completions", body: null };

Deno.test("a view narrows upstreams and models, and stays the same object while the snapshot does", () => {
  const only = rules({ allow: ["m*"], upstreams: ["2", "gone"] });
  const snapshot = prepared([only]);
  const view = snapshot.viewOf(only, TOKEN);
  assert.equal(snapshot.viewOf(only, TOKEN), view);
  const allowed = snapshot.allowed({ ...chat, model: "m1" }, view);
  assert.deepEqual(allowed.map(({ name }) => name), ["b"]);
  assert.equal(snapshot.allowed({ ...chat, model: "m1" }, view), allowed);
  assert.deepEqual(snapshot.allowed({ ...chat, model: "x" }, view), []);
  assert.deepEqual(snapshot.allowed({ ...chat, model: null }, view), []);
  assert.deepEqual(
    snapshot.allowed({ method: "GET", path: "/v1/files", body: null, model: null }, view).length,
    1,
  );
  const everyone = snapshot.viewOf(null, "listed");
  assert.equal(snapshot.allowed({ ...chat, model: "x" }, everyone).length, 2);
  assert.equal(snapshot.viewOf(null, null), everyone);
});

Deno.test("more tokens than views: the bound holds, and views go on to work", () => {
  const only = rules();
  const snapshot = prepared([only]);
  const first = snapshot.viewOf(only, TOKEN);
  for (let n = 0; n < 600; n++) snapshot.viewOf(only, `${TOKEN}-${n}`);
  assert.notEqual(snapshot.viewOf(only, TOKEN), first);
  assert.ok(snapshot.viewOf(only, TOKEN).guard.holds(`Bearer ${TOKEN}`));
});

Deno.test("a guard knows digests as values and words, and the presented token anywhere", () => {
  const snapshot = prepared([rules(), rules({ id: 2, name: "bob", digest: hex(OTHER) })]);
  const { guard } = snapshot.viewOf(rules(), TOKEN);
  for (const text of [TOKEN, `x${TOKEN}y`, TOKEN.toLowerCase(), btoa(`a:${TOKEN}`), `%72${TOKEN.slice(1)}`]) {
    assert.ok(guard.holds(text), text);
  }
  const held = [
    OTHER,
    `Bearer ${OTHER}`,
    `a=b;key="${OTHER}"`,
    btoa(OTHER),
    btoa(`u:${OTHER}`),
    `https://x/?k=${OTHER}&l`,
  ];
  for (const text of held) assert.ok(guard.holds(text), text);
  for (const text of [`x${OTHER}`, "Bearer sk-own-key-0123456789", hex(OTHER), ""]) {
    assert.ok(!guard.holds(text), text);
    assert.ok(!guard.holds(text), text);
  }
  assert.ok(guard.isInPath(`/v1/x/${OTHER}/y`));
  assert.ok(guard.isInPath(`/v1/x/${TOKEN}-y`));
  assert.ok(!guard.isInPath("/v1/chat/completions"));
  assert.ok(!new TokenGuard([]).holds(OTHER));
});

Deno.test("a guard finds tokens that are digests whatever their hints say of them", () => {
  const SHORT = "tok-1234";
  const known = (token: string, hint = maskSecret(token)) => ({ digest: hex(token), hint });
  const odd = "hand-made-0123456789";
  for (
    const digested of [
      [known(TOKEN), known(OTHER)],
      [known(TOKEN, "amy's"), known(OTHER)],
      [known(TOKEN), known(OTHER, "")],
      [known(SHORT), known(TOKEN), known(OTHER)],
    ]
  ) {
    const guard = new TokenGuard([], { digested });
    for (const token of [TOKEN, OTHER]) {
      // However its base64 is aligned, and in either alphabet.
      for (const before of ["", "u:", "us:", "use:", "\u00ff\u00fe:"]) {
        const coded = btoa(`${before}${token}`);
        assert.ok(guard.holds(`Basic ${coded}`), before);
        const other = coded.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
        assert.ok(guard.holds(other), other);
        assert.ok(guard.holds(`x=${encodeURIComponent(encodeURIComponent(coded))}`), before);
      }
      assert.ok(guard.holds(`https%3A%2F%2Fx%2F%3Fk%3D${token.replaceAll("-", "%2D")}%26l`));
      for (
        const text of [
          token,
          `Bearer ${token}`,
          `k="${token}"`,
          btoa(`u:${token}`),
          `https://x/?k=${token}&l`,
        ]
      ) {
        assert.ok(guard.holds(text), `${text} with ${JSON.stringify(digested)}`);
      }
      assert.ok(guard.isInPath(`/v1/x/${token}/y`));
    }
    const hasShort = digested.length === 3;
    for (const text of [SHORT, `Bearer ${SHORT}`, btoa(`u:${SHORT}`)]) {
      assert.equal(guard.holds(text), hasShort, text);
    }
    for (const text of [odd, `x${OTHER}`, `${TOKEN}x`, hex(TOKEN), ""]) assert.ok(!guard.holds(text), text);
  }
});

Deno.test("a set with one more masks both, whichever holds the other", () => {
  const shared = new SecretSet(["sk-shared-0123456789", "sk-own-0123456789"]);
  const set = new SecretsWithOne(shared, "sk-own-0123456789-longer-tail");
  const masked = set.redact(
    "a sk-own-0123456789-longer-tail b sk-shared-0123456789 c sk-own-0123456789-longer",
  );
  assert.equal(masked, "a sk-…tail b sk-…6789 c sk-…");
  assert.ok(set.has("sk-shared-0123456789") && set.has("sk-own-0123456789-longer-tail"));
  assert.equal(set.maxLength, "sk-own-0123456789-longer-tail".length);
  const other = new SecretsWithOne(shared, "row-token-0123456789");
  assert.equal(other.redact("row-token-0123456789 sk-shared-0123456789"), "row…6789 sk-…6789");
});
