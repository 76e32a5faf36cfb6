/** What chats say when they get too many messages. */
import assert from "node:assert/strict";
import { isLater, namedWaitMs } from "../../../src/notify/later.ts";

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);

Deno.test("which refusals mean later", () => {
  const table: readonly [status: number, body: string, isLater: boolean][] = [
    [429, "", true],
    [400, '{"code":9499,"msg":"too many request","data":{}}', true],
    [400, '{"code":9499,"msg":"Bad Request","data":{}}', false],
    [400, '{"code":9499,"msg":"params error, msg_type need"}', false],
    [200, '{"code":9499}', true],
    [200, '{"code":11232,"msg":"frequency limited psm"}', true],
    [400, '{"code":11232,"msg":"x"}', true],
    [400, '{"code":99991400,"msg":"request trigger frequency limit"}', true],
    [200, '{"code":19021,"msg":"sign match fail"}', false],
    [200, '{"code":19036,"msg":"the message exceeds the size limit of 30KB"}', false],
    [200, '{"code":0}', false],
    [200, '{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}', true],
    [200, '{"errcode":410100,"errmsg":"发送速度太快而限流"}', true],
    [200, '{"errcode":-1,"errmsg":"系统繁忙"}', true],
    [200, '{"errcode":310000,"errmsg":"keywords not in content"}', false],
    [400, "rate_limited", true],
    [400, "invalid_payload", false],
    [403, "", false],
    [404, "no_service", false],
    [
      200,
      "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
      true,
    ],
    [200, "[1,2", false],
    [400, "null", false],
  ];
  for (const [status, body, expected] of table) assert.equal(isLater({ status, body }), expected, body);
});

Deno.test("how long a channel asks to wait", () => {
  const table: readonly [headers: Record<string, string>, body: string, ms: number | null][] = [
    [{}, '{"errcode":"M_LIMIT_EXCEEDED","retry_after_ms":1234}', 1234],
    [{ "retry-after": "9" }, '{"retry_after_ms":1234}', 1234],
    [{}, '{"retry_after":0.65,"global":false}', 650],
    [{ "retry-after": "30" }, "", 30_000],
    [{ "retry-after": " 1.5 " }, "{}", 1500],
    [{ "retry-after": "Fri, 02 Jan 2026 03:04:25 GMT" }, "", 20_000],
    [{ "retry-after": "Fri, 02 Jan 2026 03:04:00 GMT" }, "", 0],
    [{ "retry-after": "soon" }, "", null],
    [{ "retry-after": "-5" }, '{"retry_after_ms":-1}', null],
    [{ "x-ogw-ratelimit-reset": "7" }, '{"code":99991400}', 7000],
    [{ "x-ratelimit-reset-after": "2.5" }, "", 2500],
    [{}, '{"retry_after_ms":"800"}', 800],
    [{}, '{"retry_after_ms":1e999}', null],
    [{}, '{"retry_after_ms":{}}', null],
    [{}, "not JSON", null],
    [{}, "", null],
  ];
  for (const [headers, body, ms] of table) {
    const refusal = { status: 429, headers: new Headers(headers), body, nowMs: NOW };
    assert.equal(namedWaitMs(refusal), ms, `${JSON.stringify(headers)} ${body}`);
  }
});
