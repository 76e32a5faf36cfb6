import assert from "node:assert/strict";
import { LOGIN_CODE_MS, LoginCode } from "../../../../src/http/admin/login_code.ts";

Deno.test("LoginCode is taken once, until its time is over, and only the last one", () => {
  let nowMs = 5_000;
  const codes = new LoginCode(() => nowMs);
  assert.equal(codes.redeem(""), false, "there is none yet");
  const first = codes.issue();
  assert.match(first, /^[\w-]{27}$/);
  assert.equal(codes.redeem(`${first} `), false);
  assert.equal(codes.redeem(first), true, "a wrong one does not use it up");
  assert.equal(codes.redeem(first), false);
  const second = codes.issue();
  const third = codes.issue();
  assert.notEqual(second, third);
  assert.equal(codes.redeem(second), false);
  nowMs += LOGIN_CODE_MS - 1;
  assert.equal(codes.redeem(third), true);
  const last = codes.issue();
  nowMs += LOGIN_CODE_MS;
  assert.equal(codes.redeem(last), false);
  nowMs -= 1;
  assert.equal(codes.redeem(last), false, "what is over stays so");
});
