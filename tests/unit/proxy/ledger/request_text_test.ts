import assert from "node:assert/strict";
import { requestText } from "../../../../src/proxy/ledger/request_text.ts";

const LIMIT_BYTES = 1_000;

function textOf(bytes: Uint8Array): ReturnType<typeof requestText> {
  return requestText(bytes, "application/json", LIMIT_BYTES);
}

Deno.test("requestText() gives a text as it was sent, byte order mark and replacement characters included", () => {
  for (const text of ['{"a":"plain"}', "\ufeff{}", '{"a":"\ufffd 中 \u{1f600}"}', "\ufffd"]) {
    assert.deepEqual(textOf(new TextEncoder().encode(text)), { text, isTruncated: false });
  }
});

Deno.test("requestText() describes what is no UTF-8, wherever the wrong byte is", () => {
  const table = [[0xff], [0x7b, 0xc3], [0x7b, 0xe4, 0xb8, 0x7d], [0xef, 0xbf, 0xbd, 0x80], [
    0xed,
    0xa0,
    0x80,
  ]];
  for (const bytes of table) {
    const text = JSON.stringify({ content_type: "application/json", bytes: bytes.length });
    assert.deepEqual(textOf(Uint8Array.from(bytes)), { text, isTruncated: true }, String(bytes));
  }
});
