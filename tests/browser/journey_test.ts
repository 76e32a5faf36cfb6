/** A day with the page, from the first login to the last click, against the real program. */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { adminTokenOf } from "../support/admin.ts";
import { eventually, Router } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  LAST_CHUNK,
  reply,
  type Script,
  STREAM_HEAD,
} from "../support/upstream.ts";
import { browserTest, Visitor } from "./visitor.ts";

const MODELS = reply(
  200,
  JSON.stringify({ object: "list", data: [{ id: "gpt-4o" }, { id: "gpt-4o-mini" }] }),
);

/** Lists models; answers chats by the script. */
function withModels(chat: Script): Script {
  return (request, wire) => request.target.endsWith("/models") ? MODELS(request, wire) : chat(request, wire);
}

/** Streams words one by one, each when it is released. */
class SlowWords {
  readonly #words: readonly string[];
  readonly #gates: PromiseWithResolvers<void>[];

  constructor(words: readonly string[]) {
    this.#words = words;
    this.#gates = words.map(() => Promise.withResolvers<void>());
  }

  /** Releases the words up to this one. */
  release(count: number): void {
    for (const gate of this.#gates.slice(0, count)) gate.resolve();
  }

  script: Script = async (_request, wire) => {
    const [begin = "", ...events] = chatEvents(this.#words);
    await wire.write(STREAM_HEAD + chunk(begin));
    for (const [index, event] of events.entries()) {
      await this.#gates[index]?.promise;
      await wire.write(chunk(event));
    }
    await wire.write(LAST_CHUNK);
  };
}

/** Fills a form's field by its label. */
async function fill(visitor: Visitor, fields: Record<string, string>): Promise<void> {
  for (const [label, text] of Object.entries(fields)) {
    await visitor.page.getByLabel(label, { exact: true }).fill(text);
  }
}

browserTest("a day with the page, from the first login to the last", async (t) => {
  const words = new SlowWords(["Ulaan", "baatar ", "lies by ", "the Tuul."]);
  await using alpha = new FakeUpstream(withModels(words.script));
  await using beta = new FakeUpstream(withModels(chatReply("Ulaanbaatar lies far away.")));
  await using router = await Router.start();
  await using visitor = await Visitor.open(router);
  const { page } = visitor;
  // Each step builds on the one before.
  const step = async (name: string, fn: () => Promise<void>) => {
    if (!await t.step(name, fn)) throw new Error(`stopped after: ${name}`);
  };

  await step("a wrong token is refused, the admin token opens the page that was wanted", async () => {
    await visitor.go("/records");
    assert.equal(visitor.path, "/login?next=%2Fadmin%2Frecords");
    await page.getByLabel("Admin token").fill(router.token);
    await page.getByRole("button", { name: "Log in" }).click();
    await visitor.sees("That is not the admin token.");
    assert.match(visitor.takeProblems().join(), /403/);
    await page.getByLabel("Admin token").fill(adminTokenOf(router));
    await page.getByRole("button", { name: "Log in" }).click();
    await visitor.sees("Nothing was recorded yet");
    assert.equal(visitor.path, "/records");
  });

  await step("an empty router says what to do, and takes its first upstreams", async () => {
    await page.getByRole("link", { name: "Overview" }).click();
    await visitor.sees("No upstream yet");
    await page.getByRole("link", { name: "Add an upstream" }).click();
    for (const [name, { endpoint }] of [["alpha", alpha], ["beta", beta]] as const) {
      await fill(visitor, { Endpoint: endpoint, Key: `sk-key-of-${name}-123456`, Name: name });
      await page.getByRole("button", { name: "Add", exact: true }).click();
      await visitor.sees("The upstream was added.");
    }
    const text = await page.locator("#upstreams").innerText();
    assert.match(text, /alpha[\s\S]*beta/);
    assert.ok(!(await page.content()).includes("sk-key-of-alpha-123456"));
  });

  await step("one click tests an upstream", async () => {
    await page.getByRole("button", { name: "Test beta" }).click();
    await visitor.sees(/Works: 2 models in/);
  });

  await step("a form that is wrong comes back with what was typed, and says why", async () => {
    await fill(visitor, { Endpoint: alpha.endpoint, Key: "sk-key-of-alpha-123456", Name: "again" });
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.getByRole("alert").waitFor();
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "again");
    assert.equal(visitor.takeProblems().length, 1);
  });

  await step("a reply arrives on the page token by token, while it streams to its client", async () => {
    await page.getByRole("link", { name: "Live" }).click();
    await visitor.sees("Nothing is under way.");
    const client = new OpenAI({ apiKey: router.token, baseURL: `${visitor.origin}/v1`, maxRetries: 0 });
    const messages = [{ role: "user" as const, content: "Where is the capital of Mongolia?" }];
    const running = client.chat.completions.create({ model: "gpt-4o", stream: true, messages });
    words.release(1);
    const stream = await running;
    await page.getByRole("link", { name: /gpt-4o/ }).click();
    const shown = page.locator("[data-slot=text]");
    const sees = (text: string) =>
      eventually(async () => (await shown.innerText()).trim() === text || null, text);
    await sees("Ulaan");
    words.release(2);
    await sees("Ulaanbaatar");
    words.release(3);
    await sees("Ulaanbaatar lies by");
    words.release(4);
    let received = "";
    for await (const { choices } of stream) received += choices[0]?.delta.content ?? "";
    assert.equal(received, "Ulaanbaatar lies by the Tuul.");
    await visitor.sees("The reply has ended.");
    assert.equal(await shown.innerText(), received);
    await page.locator("[data-finished-list] li").first().waitFor();
  });

  await step("its record shows the conversation", async () => {
    await page.locator("[data-finished-list] a").first().click();
    await visitor.sees("Where is the capital of Mongolia?");
    await visitor.sees("Ulaanbaatar lies by the Tuul.");
    assert.match(await page.locator(".attempts").innerText(), /alpha/);
    await page.getByText("As a curl command").click();
    assert.match(await page.locator("#curl").innerText(), /Authorization: Bearer \$OPENAI_API_KEY/);
  });

  await step("a word of the reply finds it, from the keyboard alone", async () => {
    await page.getByRole("link", { name: "Records" }).click();
    await page.locator(".record").first().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("tuul");
    await page.locator("mark").first().waitFor();
    assert.equal(await page.locator("mark").first().innerText(), "Tuul");
    assert.equal(visitor.path, "/records?q=tuul");
    await page.keyboard.press("Escape");
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.waitForURL(/records\/\d+\?q=tuul$/);
    await visitor.sees("Ulaanbaatar lies by the Tuul.");
    await page.goBack();
    await page.locator("mark").first().waitFor();
  });

  await step(
    "a record leads to the next one of its list, shows its reply as it came, and is deleted",
    async () => {
      await (await router.chat({ model: "to-be-deleted" })).body?.cancel();
      await router.recorded(2);
      await visitor.go("/records");
      await page.locator(".record .row-link").first().click();
      await page.waitForURL(/records\/2$/);
      await page.keyboard.press("j");
      await page.waitForURL(/records\/1$/);
      await page.getByRole("link", { name: "As text" }).click();
      await page.waitForURL(/as=text/);
      await page.getByRole("link", { name: "Newer" }).click();
      await page.waitForURL(/records\/2$/);
      await page.getByRole("link", { name: "Delete" }).click();
      await page.getByRole("button", { name: "Delete" }).click();
      await visitor.sees("The record was deleted.");
      assert.equal(await page.locator(".record").count(), 1);
    },
  );

  await step("filters narrow the list, and live in the address", async () => {
    await (await router.chat({ model: "other-model" })).body?.cancel();
    await router.recorded(2);
    await visitor.go("/records");
    await page.getByText("Filters").click();
    await page.getByLabel("Model", { exact: true }).fill("other-*");
    await page.getByLabel("Model", { exact: true }).press("Tab");
    await eventually(() => visitor.path === "/records?model=other-*" || null, "the filter in the address");
    await eventually(async () => await page.locator(".record").count() === 1 || null, "one record");
    await page.reload();
    assert.equal(await page.locator(".record").count(), 1);
    await page.getByRole("link", { name: "Clear all" }).click();
    await eventually(async () => await page.locator(".record").count() === 2 || null, "both records");
    await page.getByText("Filters").click();
    await page.getByLabel("Since").fill("soon");
    await page.getByLabel("Since").press("Tab");
    await visitor.sees(/"soon" is no time/);
  });

  await step("a replay to another upstream stands beside the recorded reply", async () => {
    await visitor.go("/records?model=gpt-4o");
    await page.locator(".record .row-link").click();
    await page.getByLabel("Replay to").selectOption({ label: "beta" });
    await page.getByRole("button", { name: "Replay" }).click();
    await visitor.sees(/Answered 200 in/);
    assert.match(await page.locator(".diff-removed").innerText(), /Ulaanbaatar lies by the Tuul\./);
    assert.match(await page.locator(".diff-added").innerText(), /Ulaanbaatar lies far away\./);
    await page.getByRole("link", { name: "Open the new record" }).click();
    await visitor.sees("Ulaanbaatar lies far away.");
  });

  await step("the order changes by dragging, and by the arrows", async () => {
    const order = () =>
      router.query("SELECT name FROM openai_upstreams ORDER BY position").map(({ name }) => name);
    await page.getByRole("link", { name: "Upstreams" }).click();
    const grip = await page.locator("[data-upstream]", { hasText: "beta" }).locator("[data-grip]")
      .boundingBox();
    const first = await page.locator("[data-upstream]").first().boundingBox();
    assert.ok(grip !== null && first !== null);
    await page.mouse.move(grip.x + 5, grip.y + 5);
    await page.mouse.down();
    await page.mouse.move(grip.x + 5, first.y + 5, { steps: 8 });
    await page.mouse.up();
    await eventually(() => order().join() === "beta,alpha" || null, "beta before alpha");
    await page.getByRole("button", { name: "Move alpha up" }).click();
    await visitor.sees("The order was changed.");
    assert.deepEqual(order(), ["alpha", "beta"]);
  });

  await step("an upstream is disabled, edited and removed", async () => {
    await page.getByRole("button", { name: "Disable beta" }).click();
    await visitor.sees("The upstream is disabled.");
    await page.getByRole("link", { name: "Edit beta" }).click();
    await fill(visitor, { Name: "gamma" });
    await page.getByText("More options").click();
    await fill(visitor, { "Model names": "gpt-4o=gpt-4o-mini", "Timeout in seconds": "7" });
    await page.getByRole("button", { name: "Save" }).click();
    await visitor.sees("Saved.");
    const [row] = router.query(
      "SELECT name, timeout, model_map, enabled, sk FROM openai_upstreams WHERE name = 'gamma'",
    );
    assert.deepEqual({ ...row }, {
      name: "gamma",
      timeout: 7,
      model_map: '{"gpt-4o":"gpt-4o-mini"}',
      enabled: 0,
      sk: "sk-key-of-beta-123456",
    });
    await page.getByRole("link", { name: "Remove gamma" }).click();
    await page.getByRole("button", { name: "Remove" }).click();
    await visitor.sees("The upstream was removed.");
    assert.equal(await page.locator("[data-upstream]").count(), 1);
  });

  await step("a token is made, works, is revoked, and works no more", async () => {
    await page.getByRole("link", { name: "Tokens" }).click();
    await page.getByLabel("Name", { exact: true }).fill("notebook");
    await page.getByRole("button", { name: "Make a token" }).click();
    const secret = await page.locator("#secret").innerText();
    const ask = async () => {
      const response = await fetch(`${visitor.origin}/v1/models`, {
        headers: { authorization: `Bearer ${secret}` },
      });
      await response.body?.cancel();
      return response.status;
    };
    await eventually(async () => await ask() === 200 || null, "the token to work");
    await visitor.go("/tokens");
    assert.ok(!(await page.content()).includes(secret));
    await page.getByRole("link", { name: "Revoke notebook" }).click();
    await page.getByRole("button", { name: "Revoke" }).click();
    await visitor.sees("The token was revoked.");
    await eventually(async () => await ask() === 403 || null, "the token to be refused");
  });

  await step("after logging out, nothing is shown any more", async () => {
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Admin token").waitFor();
    await visitor.go("/records");
    assert.equal(visitor.path, "/login?next=%2Fadmin%2Frecords");
  });
});
