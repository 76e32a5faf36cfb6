import assert from "node:assert/strict";
import { multipartBoundary, readFormParts } from "../../../src/core/multipart.ts";

const FILE_BYTES = new Uint8Array([0, 13, 10, 45, 45, 255]);

Deno.test("multipartBoundary() finds the boundary of forms only", () => {
  const table: [contentType: string | null, boundary: string | null][] = [
    [null, null],
    ["application/json", null],
    ["multipart/mixed; boundary=b", null],
    ["multipart/form-data", null],
    ["multipart/form-data; boundary=abc", "abc"],
    ["Multipart/Form-Data; charset=utf-8; Boundary=abc", "abc"],
    ['multipart/form-data; boundary="a b:c"', "a b:c"],
    ["multipart/form-data; boundary=abc; charset=utf-8", "abc"],
    ["multipart/form-data ;  boundary=abc ", "abc"],
    ["multipart/form-data; BOUNDARY = abc", "abc"],
    ['multipart/form-data; x="; boundary=no"; boundary="a;b"', "a;b"],
    ["multipart/form-data; boundary=a; boundary=b", "a"],
    ["multipart/form-data; boundary=", null],
    ['multipart/form-data; boundary=""', null],
    ["multipart/form-data; boundary=a b", null],
    [`multipart/form-data; boundary=${"b".repeat(201)}`, null],
  ];
  for (const [contentType, boundary] of table) {
    assert.equal(multipartBoundary(contentType), boundary, String(contentType));
  }
});

Deno.test("readFormParts() outlines the output of FormData", async () => {
  const form = new FormData();
  form.set("model", "whisper-1");
  form.set("empty", "");
  form.set("long", "x".repeat(5_000));
  form.set("file", new File([FILE_BYTES], "a b.wav", { type: "audio/wav" }));
  const response = new Response(form);
  const boundary = multipartBoundary(response.headers.get("content-type"));
  assert.ok(boundary);
  const body = await response.bytes();
  const parts = readFormParts(body, boundary);
  assert.deepEqual(body.slice(parts[3]?.startByte, (parts[3]?.startByte ?? 0) + 6), FILE_BYTES);
  assert.deepEqual(parts.map(({ startByte: _, ...part }) => part), [
    { name: "model", fileName: null, contentType: null, sizeBytes: 9, text: "whisper-1" },
    { name: "empty", fileName: null, contentType: null, sizeBytes: 0, text: "" },
    { name: "long", fileName: null, contentType: null, sizeBytes: 5_000, text: null },
    { name: "file", fileName: "a b.wav", contentType: "audio/wav", sizeBytes: 6, text: null },
  ]);
});

Deno.test("readFormParts() never throws, wherever the body is cut", async () => {
  const form = new FormData();
  form.set("model", "m");
  form.set("file", new File(["content"], "f.txt"));
  const response = new Response(form);
  const boundary = multipartBoundary(response.headers.get("content-type"));
  assert.ok(boundary);
  const bytes = await response.bytes();
  for (let length = 0; length <= bytes.length; length++) {
    const parts = readFormParts(bytes.subarray(0, length), boundary);
    assert.ok(parts.length <= 2);
  }
});

Deno.test("readFormParts() reads at most 100 parts", () => {
  const part = '--b\r\nContent-Disposition: form-data; name="n"\r\n\r\nv\r\n';
  const bytes = new TextEncoder().encode(part.repeat(500) + "--b--\r\n");
  assert.equal(readFormParts(bytes, "b").length, 100);
});

Deno.test("readFormParts() finds the first delimiter only at the start of a line, and reads a body once", () => {
  const form =
    `preamble --b\r\n--b\r\ncontent-disposition: form-data; name="a"\r\ncontent-type:  text/plain \r\n\r\nx\r\n--b--\r\n`;
  const body = new TextEncoder().encode(form);
  const parts = readFormParts(body, "b");
  assert.deepEqual(parts.map(({ name, contentType, text }) => [name, contentType, text]), [[
    "a",
    "text/plain",
    "x",
  ]]);
  assert.equal(readFormParts(body, "b"), parts);
  assert.notEqual(readFormParts(body, "c"), parts);
});

Deno.test("readFormParts() reads a disposition as RFC 2183 and RFC 7578 write it", () => {
  const table: [head: string, name: string | null, fileName?: string | null][] = [
    ['Content-Disposition: form-data; name="model"', "model"],
    ["Content-Disposition: form-data; name=model", "model"],
    ["content-disposition:form-data;NAME=model", "model"],
    ['CONTENT-DISPOSITION: FORM-DATA; Name="model"', "model"],
    ['Content-Disposition: form-data ; name = "model" ', "model"],
    ["Content-Disposition : form-data;\tname\t=\tmodel\t", "model"],
    ['X: name="other"\r\nContent-Disposition: form-data; name="model"', "model"],
    ['Content-Disposition: form-data;\r\n name="model"', "model"],
    ['Content-Disposition: form-data; x=1; name="model"; y', "model"],
    ["Content-Disposition: form-data; y; name=model;", "model"],
    ['Content-Disposition: form-data; name="say \\"hi\\"; x=\\\\"', 'say "hi"; x=\\'],
    ['Content-Disposition: form-data; x="name=\\"no\\"; name=no"; name=model', "model"],
    ['Content-Disposition: form-data; filename="a.wav"; name="file"', "file", "a.wav"],
    [
      'Content-Disposition: form-data; name="file"; filename="a; name=\\"model\\".wav"',
      "file",
      'a; name="model".wav',
    ],
    ['Content-Disposition: form-data; name="file"; filename="C:\\dir\\a.wav"', "file", "C:\\dir\\a.wav"],
    ["Content-Disposition: form-data; name=file; filename=a.wav", "file", "a.wav"],
    ['Content-Disposition: form-data; name="file"; filename=""', "file", ""],
    ["Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''na%C3%AFve.wav", "file", "naïve.wav"],
    ["Content-Disposition: form-data; name=file; filename=a; filename*=utf-8'en'b%20c", "file", "b c"],
    ["Content-Disposition: form-data; filename*=iso-8859-1''%e9; name=file", "file", "iso-8859-1''%e9"],
    ["Content-Disposition: form-data; name=file; filename*=utf-8''%zz", "file", "utf-8''%zz"],
    ['Content-Disposition: form-data; filename="name="', null],
    ['Content-Disposition: form-data; name=""', null],
    ["Content-Disposition: form-data", null],
    ["Content-Type: text/plain", null],
  ];
  for (const [head, name, fileName = null] of table) {
    const [part] = readFormParts(new TextEncoder().encode(`--b\r\n${head}\r\n\r\nv\r\n--b--`), "b");
    assert.equal(part?.name ?? null, name, head);
    assert.equal(part?.fileName ?? null, fileName, head);
    if (name !== null) assert.equal(part?.text, fileName === null ? "v" : null, head);
  }
});
