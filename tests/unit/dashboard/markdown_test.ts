/** Replies as Markdown: what is drawn, and that nothing else can be. */
import assert from "node:assert/strict";
import { parseMarkdown, webAddress } from "../../../src/dashboard/markdown.ts";
import { FakeService, mounted, record } from "./fake_service.ts";

/** The reply's part of the record's page, whose reply this is. */
async function drawn(response: string, query = ""): Promise<string> {
  const service = new FakeService({ records: [record(1, { response })] });
  const page = await mounted(service).request(`http://x/admin/records/1${query}`, {
    headers: { accept: "text/html" },
  });
  const text = await page.text();
  return /<article class="turn turn-assistant turn-reply">.*?<\/article>/s.exec(text)?.[0] ?? "";
}

Deno.test("a reply is drawn as Markdown: headings, lists, tables, code, quotes, links", async () => {
  const html = await drawn([
    "# Title",
    "one **bold** and *soft* and ~~gone~~ `code`\nnext line",
    "3. c\n4. d",
    "- a\n  - b",
    "| a | b |\n|:-:|--:|\n| 1 | 2 |",
    "```ts\nconst a = 1 < 2;\n```",
    "> said",
    "[text](https://example.com/a?b=1&c=2)",
  ].join("\n\n"));
  for (
    const part of [
      '<p class="md-heading md-h1">Title</p>',
      "<strong>bold</strong>",
      "<em>soft</em>",
      "<s>gone</s>",
      "<code>code</code><br/>next line",
      '<ol start="3"><li>c</li><li>d</li></ol>',
      "<ul><li>a<ul><li>b</li></ul></li></ul>",
      '<th class="align-center">a</th>',
      '<td class="align-right">2</td>',
      "<code>const a = 1 &lt; 2;</code>",
      "<blockquote><p>said</p></blockquote>",
      '<a href="https://example.com/a?b=1&amp;c=2" rel="noopener noreferrer nofollow" target="_blank"',
    ]
  ) {
    assert.ok(html.includes(part), part);
  }
});

Deno.test("nothing of a reply becomes markup, a script, or a request to elsewhere", async () => {
  const html = await drawn([
    "<script>alert(1)</script> <img src=x onerror=alert(1)> <a href='javascript:alert(1)'>x</a>",
    "[a](javascript:alert(1)) [b](data:text/html,x) [c](vbscript:x) [d](//evil.example) [e](file:///etc/passwd)",
    "![remote](https://evil.example/x.png) ![svg](data:image/svg+xml;base64,PHN2Zz4=) ![s](recorded-image:1e9)",
    '```"><script>alert(2)</script>\ncode\n```',
    '[t](https://example.com "\\" onclick=alert(1)")',
    "<https://auto.example> \u202Egnp.exe",
  ].join("\n\n"));
  assert.deepEqual([...html.matchAll(/<(?:script|img|iframe|style|svg)\b[^>]*/g)].map(([tag]) => tag), []);
  const links = [...html.matchAll(/href="([^"]*)"/g)].map(([, address]) => address);
  assert.deepEqual(links, ["https://evil.example/x.png", "https://example.com/", "https://auto.example/"]);
  assert.doesNotMatch(html, /<[^>]*\son\w+=|\u202E/);
});

Deno.test("a picture of the reply comes from a route of the record, with the type of its bytes", async () => {
  const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
  const url = (type: string, bytes: Uint8Array) => `data:image/${type};base64,${bytes.toBase64()}`;
  const response = `![sun](${url("jpeg", png)})\n\n![not one](${
    url("png", new TextEncoder().encode("<svg>"))
  })`;
  const html = await drawn(response);
  assert.deepEqual([...html.matchAll(/<img[^>]*src="([^"]*)"/g)].map(([, src]) => src), [
    "/admin/records/1/image/reply/0",
    "/admin/records/1/image/reply/1",
  ]);
  assert.ok(!html.includes("base64"));
  const app = mounted(new FakeService({ records: [record(1, { response })] }));
  const image = await app.request("http://x/admin/records/1/image/reply/0");
  assert.deepEqual([image.status, image.headers.get("content-type")], [200, "image/png"]);
  assert.deepEqual(await image.bytes(), png);
  for (const path of ["reply/1", "reply/2", "reply", "t0p0", "t9p9/0", "constructor", "reply/99999"]) {
    const missing = await app.request(`http://x/admin/records/1/image/${path}`, {
      headers: { accept: "text/html" },
    });
    assert.equal(missing.status, 404, path);
  }
});

Deno.test("as text, a reply is shown as it was recorded", async () => {
  const html = await drawn("# Title\n\n**bold**", "?as=text");
  assert.ok(html.includes("# Title\n\n**bold**"));
});

Deno.test("what is too much for Markdown is shown as text, and nothing of it is lost", async () => {
  const deep = `${"> ".repeat(60)}the end`;
  assert.equal(parseMarkdown(deep), null);
  assert.ok((await drawn(deep)).includes("the end"));
  assert.equal(parseMarkdown(`${"*a **a ".repeat(40)}b${" a** a*".repeat(40)}`), null);
  assert.equal(parseMarkdown("x".repeat(100_000)), null);
  assert.equal(parseMarkdown("*a* ".repeat(8_000)), null);
  const wide = `${"|a".repeat(80)}\n${"|-".repeat(80)}\n${"x\n".repeat(4_000)}`;
  const tokens = parseMarkdown(wide);
  assert.ok(tokens === null || tokens.every(({ type }) => type !== "table_open"));
});

Deno.test("a long code block is folded, and each has a button that copies it", async () => {
  const html = await drawn(`\`\`\`sh\n${"echo\n".repeat(100)}\`\`\`\n\n\`\`\`\nshort\n\`\`\``);
  assert.match(html, /<details class="code-block"><summary>sh, 100 lines<\/summary>/);
  assert.equal(html.match(/data-copy=""/g)?.length, 3);
});

Deno.test("webAddress() takes web pages only", () => {
  for (const address of ["javascript:alert(1)", "java\nscript:x", "data:,x", "ftp://x", "//x", "x", ""]) {
    assert.equal(webAddress(address), null, address);
  }
  assert.equal(webAddress("HTTPS://Example.com"), "https://example.com/");
});
