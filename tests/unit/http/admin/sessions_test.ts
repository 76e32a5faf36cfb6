/** Sessions that the browser keeps. */
import assert from "node:assert/strict";
import { AdminSessions, SESSION_MS, type SessionsDeps } from "../../../../src/http/admin/sessions.ts";

const TOKEN = "admin-token-0123456789";

function sessions(changes: Partial<SessionsDeps> = {}): AdminSessions {
  const ended = { has: () => false, add: () => Promise.resolve() };
  return new AdminSessions({
    now: () => 1_000_000,
    adminToken: () => TOKEN,
    sessionKey: "key",
    ended,
    ...changes,
  });
}

Deno.test("a session is found by every process with the same key and admin token, and by no other", () => {
  const session = sessions().open() ?? assert.fail();
  const found = sessions().find(session);
  assert.equal(found?.csrfToken?.length, 43);
  assert.deepEqual(sessions().find(session), found);
  assert.equal(sessions({ sessionKey: "another" }).find(session), null);
  assert.equal(sessions({ adminToken: () => "another-token-0123" }).find(session), null);
  assert.equal(sessions({ adminToken: () => null }).find(session), null);
  assert.equal(sessions({ adminToken: () => null }).open(), null);
});

Deno.test("a session ends after its time, by the clock on the wall", () => {
  let nowMs = 1_000_000;
  const each = sessions({ now: () => nowMs });
  const session = each.open() ?? assert.fail();
  nowMs += SESSION_MS - 1000;
  assert.notEqual(each.find(session), null);
  nowMs += 1000;
  assert.equal(each.find(session), null);
});

Deno.test("two sessions have different ids and CSRF tokens, and closing one leaves the other", async () => {
  const each = sessions();
  const [first, second] = [each.open() ?? "", each.open() ?? ""];
  assert.notEqual(first, second);
  assert.notEqual(each.find(first)?.csrfToken, each.find(second)?.csrfToken);
  await each.close(first);
  assert.equal(each.find(first), null);
  assert.notEqual(each.find(second), null);
});

Deno.test("what is no session is none, however long it is, and closing it does nothing", async () => {
  const each = sessions();
  const session = each.open() ?? "";
  const [ends = "", id = "", signature = ""] = session.split(".");
  const later = (parseInt(ends, 36) + 1).toString(36);
  for (
    const text of [
      "",
      ".",
      "..",
      `${later}.${id}.${signature}`,
      `${ends}.${id}.`,
      `${ends}.${id}`,
      `${session}x`,
      `${ends}..${signature}`,
      "x".repeat(1_000_000),
    ]
  ) {
    assert.equal(each.find(text), null, text.slice(0, 20));
    await each.close(text);
  }
  assert.notEqual(each.find(session), null);
});
