import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ConnectionOutput } from "../../../src/wire/connection.ts";
import { fieldLine } from "../../../src/wire/head.ts";
import { readLatin1, writeLatin1 } from "../../../src/wire/latin1.ts";

const KIB = 1024;

/** Linear congruential, so that a failure can be repeated: https://en.wikipedia.org/wiki/Linear_congruential_generator */
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** Text of so many characters; a share of them above ASCII. */
function textOf(length: number, share: number, random: () => number): string {
  let text = "";
  while (text.length < length) {
    const isAbove = random() < share;
    text += String.fromCharCode(
      isAbove ? 0x80 + Math.floor(random() * 0x80) : 0x20 + Math.floor(random() * 0x5f),
    );
  }
  return text;
}

/** What a connection got, which takes at most `most` bytes a write. */
async function written(
  parts: [head: string, bytes: Uint8Array, tail: string],
  most = Infinity,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  const output = new ConnectionOutput({
    write: (bytes) => {
      const count = Math.min(bytes.length, most);
      pieces.push(Buffer.from(bytes.subarray(0, count)));
      return Promise.resolve(count);
    },
  });
  await output.write(...parts);
  return Buffer.concat(pieces);
}

const LENGTHS = [
  ...Array.from({ length: 41 }, (_, length) => length),
  ...[2, 4, 127, 128].flatMap((kib) => [-17, -1, 0, 1, 17].map((more) => kib * KIB + more)),
  1024 * KIB,
];

Deno.test("what goes out is the Latin-1 of the text, of every length, with every share of characters above ASCII", async () => {
  const random = seeded(18);
  for (const length of LENGTHS) {
    for (const share of [0, 0.01, 0.5, 1]) {
      const head = textOf(length, share, random);
      const body = Buffer.from(textOf(Math.floor(random() * 40), 0.5, random), "latin1");
      const tail = textOf(Math.floor(random() * 40), share, random);
      const expected = Buffer.concat([Buffer.from(head, "latin1"), body, Buffer.from(tail, "latin1")]);
      const seen = await written(
        [head, body, tail],
        random() < 0.5 ? 1 + Math.floor(random() * 70_000) : Infinity,
      );
      assert.ok(seen.equals(expected), `${length} characters, ${share} above ASCII`);
      assert.ok(readLatin1(Buffer.from(head, "latin1")) === head, `read: ${length} characters, ${share}`);
    }
  }
});

Deno.test("a head is whole beside a body of every size, also where it is written by itself", async () => {
  const random = seeded(19);
  for (const size of [0, 1, 4 * KIB, 127 * KIB - 100, 127 * KIB, 127 * KIB + 1, 128 * KIB, 1024 * KIB]) {
    for (let above = 0; above <= 40; above += 8) {
      const head = `GET / HTTP/1.1\r\nx-a: ${"\xe9".repeat(above)}${textOf(30, 0.2, random)}\r\n\r\n`;
      const body = Buffer.alloc(size, "b");
      const tail = `\xe9${textOf(20, 0.5, random)}`;
      const expected = Buffer.concat([Buffer.from(head, "latin1"), body, Buffer.from(tail, "latin1")]);
      assert.ok((await written([head, body, tail])).equals(expected), `${size} bytes, ${above} above ASCII`);
    }
  }
});

Deno.test("every character up to U+00FF is its own byte, wherever it stands; one above is never written", () => {
  for (const length of [1, 16, 17, 40]) {
    for (let code = 0; code <= 0x17f; code++) {
      for (const place of [0, length >> 1, length - 1]) {
        const text = `${"a".repeat(place)}${String.fromCharCode(code)}${"a".repeat(length - place - 1)}`;
        const target = new Uint8Array(length + 4);
        const write = () => writeLatin1(text, target, 2);
        if (code > 0xff) assert.throws(write, RangeError, `U+${code.toString(16)} at ${place} of ${length}`);
        else {
          write();
          assert.deepEqual([...target.subarray(2, -2)], [...Buffer.from(text, "latin1")]);
          assert.deepEqual([target[1], target.at(-2)], [0, 0]);
        }
      }
    }
  }
});

Deno.test("a header that would be another one, or the end of the head, is not written", () => {
  assert.equal(fieldLine("x-a", "a\tb \xe9\xff~"), "x-a: a\tb \xe9\xff~\r\n");
  for (let code = 0; code <= 0x200; code++) {
    const isAllowed = code === 0x09 || (code >= 0x20 && code !== 0x7f && code <= 0xff);
    if (isAllowed) fieldLine("x-a", `a${String.fromCharCode(code)}b`);
    else assert.throws(() => fieldLine("x-a", `a${String.fromCharCode(code)}b`), TypeError, `${code}`);
  }
  assert.throws(() => fieldLine("x-a\r\nx-b", "1"), TypeError);
});
