import assert from "node:assert/strict";
import { RouterError } from "../../../src/core/errors.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import {
  askedHedge,
  hedgeDelayMs,
  isHedgedKind,
  mayBeSentTwice,
  parseHedgeDelay,
} from "../../../src/core/hedging.ts";

const asked = (value: string) => askedHedge(new HeaderFields([["x-oar-hedge", value]]));

Deno.test("parseHedgeDelay() reads off, auto and milliseconds", () => {
  assert.equal(parseHedgeDelay("off"), null);
  assert.equal(parseHedgeDelay(" Auto "), "auto");
  assert.equal(parseHedgeDelay("600000"), 600_000);
  for (const text of ["", "0", "600001", "1.5", "-1", "1e3", "on"]) {
    assert.equal(parseHedgeDelay(text), undefined, text);
  }
});

Deno.test("askedHedge() tells off from nothing, and refuses the rest", () => {
  assert.equal(askedHedge(new HeaderFields()), undefined);
  assert.equal(asked("off"), null);
  assert.equal(asked("250"), 250);
  const refused = asked("soon");
  assert.ok(refused instanceof RouterError && refused.status === 400);
});

Deno.test("isHedgedKind() leaves out what an upstream keeps, and what costs much", () => {
  for (const kind of ["chat", "completions", "responses", "messages", "embeddings", "moderations"] as const) {
    assert.ok(isHedgedKind({ kind, method: "POST" }));
    assert.equal(isHedgedKind({ kind, method: "GET" }), false);
  }
  for (const kind of ["images", "audio", "models", "files", "other"] as const) {
    assert.equal(isHedgedKind({ kind, method: "POST" }), false);
  }
});

Deno.test("mayBeSentTwice() reads what the body forbids", () => {
  const may = (body: string | null, headers: Record<string, string> = {}) =>
    mayBeSentTwice({
      headers: new HeaderFields(Object.entries(headers)),
      body: body === null ? null : new TextEncoder().encode(body),
    });
  for (
    const body of [
      '{"model":"m"}',
      '{"store":false,"background": null}',
      '{"messages":[{"content":"\\"store\\":true"}]}',
      '{"metadata":{"store":true},"input":"größer"}',
    ]
  ) assert.ok(may(body), body);
  for (
    const body of [
      null,
      "",
      "not JSON",
      '{"store":true}',
      '{"store" : true , "model":"m"}',
      '{"background":true}',
      '{"background":1}',
      '{"st\\u006fre":true}',
      '{"Store":true}',
      '{"store":false,"store":true}',
      '{"previous_response_id":"resp_1"}',
      '{"conversation":{"id":"conv_1"}}',
      `{"input":"${"x".repeat(1024 * 1024)}"}`,
    ]
  ) assert.equal(may(body), false, body?.slice(0, 60));
  assert.ok(may('{"model":"m"}', { "content-type": "application/json", "content-encoding": "identity" }));
  assert.equal(may('{"model":"m"}', { "content-encoding": "zstd" }), false);
  assert.equal(may('{"model":"m"}', { "content-type": "multipart/form-data; boundary=b" }), false);
});

Deno.test("hedgeDelayMs() follows what is usual, and gives a trial two seconds", () => {
  const delay = (asked: number | "auto" | null, usualMs: number | null, isTrial = false) =>
    hedgeDelayMs(asked, { usualMs, isTrial });
  assert.equal(delay(null, 500), null);
  assert.equal(delay(300, 5_000), 300);
  assert.equal(delay("auto", null), null);
  assert.equal(delay("auto", 200), 1_000);
  assert.equal(delay("auto", 3_500), 3_500);
  assert.equal(delay(null, null, true), 2_000);
  assert.equal(delay(null, 3_000, true), 3_000);
  assert.equal(delay(null, 90_000, true), 10_000);
  assert.equal(delay(300, null, true), 300);
  assert.equal(delay("auto", 1_200, true), 1_200);
});
