/** Hostile or enormous recorded text: it stays text, and the page stays usable. */
import assert from "node:assert/strict";
import { eventually, Router } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";
import { browserTest, Visitor } from "./visitor.ts";

const HOSTILE = [
  `<script>globalThis.wasFooled = true</script>`,
  `<img src=x onerror="globalThis.wasFooled = true">`,
  `<a href="javascript:globalThis.wasFooled = true">click</a> [click](javascript:alert(1)) https://evil.example/x`,
  `"><svg onload=alert(1)> ' onmouseover='alert(1)' \${7*7} {{7*7}} </template></bdi></main>`,
  `\u202Egnp.exe\u202C \u2066isolated\u2069 \u200Fmark \u05E9\u05DC\u05D5\u05DD`,
  `\u001B[31mred\u001B[0m \u001B]8;;https://evil.example\u0007link\u001B]8;;\u0007 \u0000 \u007F`,
].join("\n");

/** None of it was interpreted as markup or script. */
async function assertInert({ page, origin }: Visitor): Promise<void> {
  const found = await page.evaluate(`({
    wasFooled: "wasFooled" in globalThis,
    scripts: [...document.querySelectorAll("script")].filter((each) => !each.src).length,
    images: document.querySelectorAll("img, iframe, object, embed, style").length,
    handlers: [...document.querySelectorAll("*")].flatMap((each) => [...each.attributes])
      .map(({ name }) => name).filter((name) => name.startsWith("on")),
    links: [...document.querySelectorAll("a")].map((each) => each.href),
    hasControl: /[\\u202A-\\u202E\\u2066-\\u2069\\u001B\\u0000\\u007F]/.test(document.documentElement.textContent),
  })`) as Record<string, unknown> & { readonly links: readonly string[] };
  const { links, ...rest } = found;
  assert.deepEqual(rest, { wasFooled: false, scripts: 0, images: 0, handlers: [], hasControl: false });
  assert.deepEqual(links.filter((link) => !link.startsWith(`${origin}/admin`)), []);
}

browserTest("hostile text is shown as text, wherever it is shown", async () => {
  await using upstream = new FakeUpstream(chatReply(HOSTILE));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: `evil <script>alert(1)</script>` }],
  });
  const call = {
    id: HOSTILE,
    type: "function",
    function: { name: HOSTILE, arguments: JSON.stringify({ x: HOSTILE }) },
  };
  const answer = await router.chat({
    model: `<script>x</script>\u202E`,
    stop: HOSTILE,
    messages: [
      { role: "system", content: HOSTILE },
      {
        role: HOSTILE,
        content: [{ type: "text", text: HOSTILE }, { type: "image_url", image_url: { url: HOSTILE } }],
      },
      { role: "assistant", reasoning_content: HOSTILE, content: HOSTILE, tool_calls: [call] },
      { role: "tool", tool_call_id: HOSTILE, content: HOSTILE },
    ],
  });
  await answer.body?.cancel();
  const record = await router.recordOf(answer);
  await using visitor = await Visitor.loggedIn(router);
  for (
    const path of ["/records", `/records/${record["id"]}`, "/", "/live", "/upstreams", "/records?q=wasFooled"]
  ) {
    await visitor.go(path);
    await visitor.page.locator("main").waitFor();
    await assertInert(visitor);
  }
  await visitor.go(`/records/${record["id"]}`);
  const text = await visitor.page.locator(".conversation").innerText();
  assert.ok(text.includes("<script>globalThis.wasFooled = true</script>"));
  assert.ok(text.includes("<U+202E>gnp.exe<U+202C>"));
  assert.ok(text.includes("\u241B[31mred"));
  await visitor.screenshot("hostile-light");
  for (const summary of await visitor.page.locator("summary").all()) await summary.click();
  await assertInert(visitor);
  await visitor.page.getByRole("button", { name: "Replay" }).click();
  await visitor.sees("Both replies are the same.");
  await assertInert(visitor);
});

browserTest("hostile text stays text while it arrives", async () => {
  const end = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (request, wire) => {
    const { chunk, chatEvent, chatEvents, STREAM_HEAD, LAST_CHUNK } = await import("../support/upstream.ts");
    await wire.write(STREAM_HEAD + chunk(chatEvent({ content: HOSTILE })));
    await Promise.race([end.promise, request.closed]);
    await wire.write(chunk(chatEvents(["end"]).slice(1).join("")) + LAST_CHUNK);
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await using visitor = await Visitor.loggedIn(router);
  await visitor.go("/live");
  const answer = await router.chat({ stream: true, model: `<script>globalThis.wasFooled = true</script>` });
  await visitor.page.locator("[data-live-list] a").click();
  await eventually(
    async () =>
      (await visitor.page.locator("[data-slot=text]").innerText()).includes("\u241B[31mred") || null,
    "the reply's text",
  );
  await assertInert(visitor);
  end.resolve();
  await answer.text();
  await visitor.sees("The reply has ended.");
  await assertInert(visitor);
});

browserTest("two megabytes in one message and five hundred messages stay usable", async (t) => {
  const long = `${"All work and no play makes Jack a dull boy. ".repeat(23)}\n`.repeat(2_000) +
    "The very end.";
  const reply = `${"x".repeat(2_000_000)} The end of the reply.`;
  await using upstream = new FakeUpstream(chatReply(reply));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--record-body-limit", "16MiB"],
  });
  const ask = async (messages: unknown): Promise<string> => {
    const answer = await router.chat({ messages });
    await answer.body?.pipeTo(new WritableStream());
    return String((await router.recordOf(answer))["id"]);
  };
  assert.ok(long.length > 2_000_000);
  const longId = await ask([{ role: "user", content: long }]);
  const manyId = await ask(Array.from({ length: 500 }, (_, index) => ({
    role: index % 2 === 0 ? "user" : "assistant",
    content: `Message number ${index}. ${"It goes on and on. ".repeat(200)}`,
  })));
  await using visitor = await Visitor.loggedIn(router);
  const { page } = visitor;
  const pageLength = async () => (await page.content()).length;

  await t.step("a long message is cut, and shown whole on request", async () => {
    await visitor.go(`/records/${longId}`);
    assert.ok(await pageLength() < 200_000, `the page has ${await pageLength()} characters`);
    const user = page.locator(".turn-user");
    assert.ok(!(await user.textContent())?.includes("The very end."));
    await user.getByRole("link", { name: /Show all of it/ }).click();
    await eventually(
      async () => (await user.textContent())?.endsWith("The very end.") || null,
      "the end of the message",
    );
    const answer = page.locator(".turn-reply");
    await answer.getByRole("link", { name: /Show all of it/ }).click();
    await eventually(
      async () => (await answer.textContent())?.endsWith("The end of the reply.") || null,
      "the end of the reply",
    );
    await page.getByText("As a curl command").click();
    await visitor.sees(/save it as request.json first/);
    assert.equal(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), true);
  });

  await t.step("a long conversation is folded, and unfolds", async () => {
    await visitor.go(`/records/${manyId}`);
    assert.ok(await pageLength() < 400_000, `the page has ${await pageLength()} characters`);
    assert.equal(await page.locator(".turn").count(), 24);
    await page.getByRole("link", { name: "Show 477 messages between" }).click();
    await eventually(async () => await page.locator(".turn").count() === 501 || null, "all messages");
    const texts = await page.locator(".turn").evaluateAll(
      (turns: { readonly textContent: string | null }[]) =>
        turns.map(({ textContent }) => textContent?.match(/\d+/)?.[0]),
    );
    assert.deepEqual(texts.slice(0, 500), Array.from({ length: 500 }, (_, index) => String(index)));
  });
});
