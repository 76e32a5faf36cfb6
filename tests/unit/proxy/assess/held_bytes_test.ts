import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { HeldBytes } from "../../../../src/proxy/assess/held_bytes.ts";

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text));
}

function text(held: HeldBytes): string {
  return Buffer.concat(held.chunks).toString();
}

Deno.test("HeldBytes keeps pieces of every size in order, lent or not", () => {
  const sizes = [1, 5_000, 3, 2_048, 2_049, 900, 70_000, 10, 10, 1_500, 1];
  for (const isLent of [true, false]) {
    const held = new HeldBytes();
    let expected = "";
    sizes.forEach((size, index) => {
      const piece = String.fromCharCode(0x61 + index).repeat(size);
      const lent = bytes(piece);
      held.push(lent, { isLent });
      held.own();
      if (isLent) lent.fill(0x21);
      expected += piece;
    });
    assert.equal(text(held), expected);
    assert.equal(held.length, expected.length);
  }
});

Deno.test("HeldBytes needs few objects for many small pieces", () => {
  const held = new HeldBytes();
  for (let count = 0; count < 20_000; count++) held.push(bytes(`data: ${count}\n\n`), { isLent: true });
  held.own();
  assert.ok(held.chunks.length < 50, `${held.chunks.length} chunks`);
  assert.ok(text(held).endsWith("data: 19999\n\n"));
});

Deno.test("HeldBytes.takeFirst() removes the beginning and goes on", () => {
  const held = new HeldBytes();
  for (const piece of [": a\n", ": b\n", "data: c"]) held.push(bytes(piece), { isLent: true });
  assert.equal(Buffer.from(held.takeFirst(8)).toString(), ": a\n: b\n");
  held.push(bytes("\n\n"), { isLent: true });
  held.own();
  assert.equal(text(held), "data: c\n\n");
  assert.equal(held.length, 9);
  assert.equal(held.takeFirst(0).length, 0);
});
