/** Every view: accessible in light and dark, fit for a phone, in Chinese, and readable without JavaScript. */
import axe from "axe-core";
import assert from "node:assert/strict";
import type { BrowserContextOptions } from "playwright-core";
import { eventually, Router, TEST_TOKEN } from "../support/router.ts";
import { chatEvents, FakeUpstream, reply, type Script, silentAfter } from "../support/upstream.ts";
import { seedTraffic } from "./seed.ts";
import { browserTest, PHONE, Visitor } from "./visitor.ts";

const NEVER_ENDING = silentAfter(
  chatEvents(["The Tuul ", "rises in the ", "Khan Khentii ", "mountains, north-east of ", "Ulaanbaatar"])
    .slice(0, -3),
);
const upstreamScript: Script = (request, wire) =>
  request.target.endsWith("/models")
    ? reply(200, JSON.stringify({ data: [{ id: "gpt-4o" }, { id: "gpt-4o-mini" }, { id: "o3" }] }))(
      request,
      wire,
    )
    : NEVER_ENDING(request, wire);

/** A router with a month of traffic and one request in flight. */
class Scene implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack();
  router!: Router;

  static async start(): Promise<Scene> {
    const scene = new Scene();
    const stack = scene.#stack;
    const upstream = stack.use(new FakeUpstream(upstreamScript));
    const names = ["openai", "azure-east", "deepseek"];
    const directory = await seedTraffic(
      names.map((name, index) => ({ name, endpoint: `${upstream.endpoint}/${index}` })),
    );
    stack.defer(() => Deno.remove(directory, { recursive: true }));
    scene.router = stack.use(await Router.start({ directory, token: TEST_TOKEN }));
    const answer = await scene.router.chat({ model: "gpt-4o", stream: true });
    stack.defer(() => answer.body?.cancel());
    return scene;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

interface View {
  readonly name: string;
  readonly path: string;
  /** Actions before the check. */
  readonly prepare?: (visitor: Visitor) => Promise<unknown>;
  /** An error page, which the browser also logs. */
  readonly status?: number;
}

const VIEWS: readonly View[] = [
  { name: "overview", path: "", prepare: ({ page }) => page.locator(".u-over").first().waitFor() },
  { name: "overview-30d", path: "?range=30d", prepare: ({ page }) => page.getByText("table").click() },
  { name: "records", path: "/records" },
  { name: "records-search", path: "/records?q=khentii&model=gpt*&since=24h" },
  { name: "records-failed", path: "/records?failedOn=azure-east&attempts=%3E1&slowerThan=2s" },
  { name: "records-none", path: "/records?q=nothingislikethis" },
  {
    name: "record",
    path: "/records",
    prepare: async ({ page }) => {
      await page.locator(".record", { hasText: "Yes: -18" }).locator(".row-link").click();
      await page.locator(".conversation").waitFor();
    },
  },
  {
    name: "record-open",
    path: "/records",
    prepare: async ({ page }) => {
      await page.locator(".record", { hasText: "Yes: -18" }).locator(".row-link").click();
      await page.locator(".conversation").waitFor();
      for (const summary of await page.locator("summary").all()) await summary.click();
    },
  },
  ...[["record-formatted", "sorting"], ["record-failed", "rate limit"], ["record-calls", "query"]].map((
    [name = "", words = ""],
  ): View => ({
    name,
    path: `/records?q=${encodeURIComponent(words)}`,
    prepare: async ({ page }) => {
      await page.locator(".record .row-link").first().click();
      await page.locator(".conversation").waitFor();
    },
  })),
  {
    name: "live",
    path: "/live",
    prepare: async (visitor) => {
      await visitor.page.locator("[data-live-list] a").click();
      await visitor.sees(/Khan Khentii/);
    },
  },
  {
    name: "upstreams",
    path: "/upstreams",
    prepare: async ({ page }) => {
      await page.locator(".upstream-actions button").first().click();
      await page.locator(".test-result .notice").first().waitFor();
    },
  },
  {
    name: "upstream-edit",
    path: "/upstreams/1",
    prepare: async ({ page }) => {
      for (const summary of await page.locator("summary").all()) await summary.click();
    },
  },
  { name: "upstream-remove", path: "/upstreams/1/remove" },
  { name: "costs", path: "/costs" },
  { name: "costs-year", path: "/costs?range=365d" },
  {
    name: "tokens",
    path: "/tokens",
    prepare: async ({ page }) => {
      for (const summary of await page.locator("summary").all()) await summary.click();
    },
  },
  { name: "token", path: "/tokens/show?which=editor" },
  { name: "token-edit", path: "/tokens/edit?which=editor" },
  { name: "settings", path: "/settings" },
  { name: "not-found", path: "/records/999999", status: 404 },
];

async function show(visitor: Visitor, { path, prepare, status }: View): Promise<void> {
  await visitor.go(path);
  await visitor.page.locator("main").waitFor();
  await prepare?.(visitor);
  if (status !== undefined) assert.match(visitor.takeProblems().join(), new RegExp(String(status)));
}

/** Serious and critical findings of axe-core. */
async function seriousViolations({ page }: Visitor): Promise<string[]> {
  const violations = await page.evaluate(`(async () => {
    ${axe.source}
    const { violations } = await axe.run();
    return violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ target }) => target.join(" ")) }));
  })()`) as { id: string; impact: string; where: string[] }[];
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, where }) => `${id}: ${where.slice(0, 5).join(", ")}`);
}

browserTest("axe-core finds what is wrong with a page (so that its silence means something)", async () => {
  await using scene = await Scene.start();
  await using visitor = await Visitor.open(scene.router);
  await visitor.go("/login");
  await visitor.page.evaluate(`document.querySelector("label").remove()`);
  assert.match((await seriousViolations(visitor)).join(), /label/);
});

for (const colorScheme of ["light", "dark"] as const) {
  browserTest(`every view is accessible and draws itself: ${colorScheme}`, async () => {
    await using scene = await Scene.start();
    await using visitor = await Visitor.open(scene.router, { colorScheme });
    await visitor.go("/login");
    assert.deepEqual(await seriousViolations(visitor), [], "login");
    await visitor.screenshot(`login-${colorScheme}`);
    await visitor.logIn();
    for (const view of VIEWS) {
      await show(visitor, view);
      assert.deepEqual(await seriousViolations(visitor), [], view.name);
      await visitor.screenshot(`${view.name}-${colorScheme}`);
    }
  });
}

browserTest("every view fits a phone", async () => {
  await using scene = await Scene.start();
  await using visitor = await Visitor.open(scene.router, { viewport: PHONE, isMobile: true, hasTouch: true });
  await visitor.go("/login");
  await visitor.screenshot("login-phone");
  await visitor.logIn();
  for (const view of VIEWS) {
    await show(visitor, view);
    const overhang = await visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth");
    assert.equal(overhang, 0, `${view.name} is wider than the screen`);
    assert.deepEqual(await seriousViolations(visitor), [], view.name);
    await visitor.screenshot(`${view.name}-phone`);
  }
});

browserTest("a browser that wants Chinese gets Chinese", async () => {
  await using scene = await Scene.start();
  await using visitor = await Visitor.open(scene.router, { locale: "zh-CN" });
  await visitor.go("/login");
  await visitor.sees("管理令牌");
  await visitor.logIn();
  for (
    const [name, path, text] of [
      ["overview", "", "每秒请求数"],
      ["records", "/records", "耗时"],
      ["upstreams", "/upstreams", "添加上游"],
      ["live", "/live", "刚刚结束"],
    ] as const
  ) {
    await visitor.go(path);
    await visitor.sees(text);
    assert.equal(await visitor.page.locator("html").getAttribute("lang"), "zh-Hans");
    await visitor.screenshot(`${name}-zh`);
  }
});

browserTest("times are in the browser's zone, shown and typed, until another is chosen", async () => {
  await using scene = await Scene.start();
  await using visitor = await Visitor.loggedIn(scene.router, { timezoneId: "Asia/Kolkata" });
  const { page } = visitor;
  await visitor.go("/records");
  const first = () => page.locator(".record time").first();
  const iso = String(await first().getAttribute("datetime"));
  const inKolkata = new Date(Date.parse(iso) + 5.5 * 3_600_000).toISOString().slice(0, 19).replace("T", " ");
  assert.equal(
    (await first().innerText()).replace(/\s+/g, " ").split(" ").toSorted().join(" "),
    inKolkata.split(" ").toSorted().join(" "),
  );
  const minutesLater = new Date(Date.parse(iso) + 5.5 * 3_600_000 + 60_000).toISOString().slice(0, 16);
  await visitor.go(`/records?since=${minutesLater}`);
  await visitor.sees("No record matches");
  await visitor.go("/settings");
  await page.getByLabel("Time zone").selectOption("UTC");
  await page.getByLabel("Theme").selectOption("dark");
  await page.getByRole("region", { name: "Display" }).getByRole("button", { name: "Save" }).click();
  await visitor.sees("Saved.");
  assert.match(
    String(await page.evaluate("getComputedStyle(document.body).backgroundColor")),
    /rgb\(15, 18, 17\)/,
  );
  await visitor.go("/records");
  assert.equal(
    await page.locator(`.record time[datetime="${iso}"] .clock`).first().innerText(),
    iso.slice(11, 19),
  );
});

browserTest("a click on a plot, or on a number, shows its records", async () => {
  await using scene = await Scene.start();
  await using visitor = await Visitor.loggedIn(scene.router);
  const { page } = visitor;
  await visitor.go("?range=24h");
  await page.locator(".u-over").first().waitFor();
  await page.locator(".u-over").first().click({ position: { x: 120, y: 60 } });
  await page.waitForURL(/records\?since=.*&until=/);
  await visitor.go("?range=24h");
  await page.locator(".tile-value.bad").click();
  await page.waitForURL(/failed=yes/);
  const shown = await page.locator("#record-count").innerText();
  assert.equal(shown, `${await page.locator(".record").count()} records`);
});

const WITHOUT_SCRIPT: BrowserContextOptions = { javaScriptEnabled: false };

browserTest("without JavaScript everything can be read, and forms work", async (t) => {
  await using scene = await Scene.start();
  await using visitor = await Visitor.open(scene.router, WITHOUT_SCRIPT);
  const { page } = visitor;
  const step = async (name: string, fn: () => Promise<void>) => {
    if (!await t.step(name, fn)) throw new Error(`stopped after: ${name}`);
  };
  await visitor.go("/login");
  await visitor.logIn();

  await step("overview", async () => {
    assert.match(await page.locator(".tiles").innerText(), /Requests\s*\d{1,3}(,\d{3})*\b/);
    assert.match(await page.locator(".plot noscript").first().innerText(), /The plots need JavaScript/);
    await page.getByText("The same as a table").click();
    assert.ok(await page.locator(".figures tbody tr").count() > 10);
    assert.match(await page.locator(".in-flight").innerText(), /gpt-4o/);
    await visitor.screenshot("overview-no-script");
  });
  await step("records: search, pages, one record", async () => {
    await visitor.go("/records");
    assert.equal(await page.locator(".record").count(), 50);
    const newest = await page.locator(".record").first().getAttribute("data-record");
    await page.getByRole("link", { name: "Older records" }).click();
    assert.match(visitor.path, /^\/records\?before=\d+$/);
    assert.notEqual(await page.locator(".record").first().getAttribute("data-record"), newest);
    await page.getByLabel("Search requests and replies").fill("Sükhbaatar");
    await page.getByRole("button", { name: "Search" }).click();
    assert.equal(visitor.path, "/records?q=S%C3%BCkhbaatar");
    assert.equal(await page.locator("mark").first().innerText(), "Sükhbaatar");
    await page.locator(".record .row-link").first().click();
    await visitor.sees(/Yes: -18 °C/);
    assert.match(await page.locator(".attempts").innerText(), /azure-east[\s\S]*503[\s\S]*openai/);
    await visitor.screenshot("record-no-script");
  });
  await step("live", async () => {
    await visitor.go("/live");
    assert.match(await page.locator("[data-live-list]").innerText(), /gpt-4o/);
    assert.equal(await page.locator("[data-finished-list] li").count() > 5, true);
  });
  await step("upstreams: the order, a test", async () => {
    await visitor.go("/upstreams");
    await page.getByRole("button", { name: "Move azure-east up" }).click();
    await visitor.sees("The order was changed.");
    assert.match(await page.locator("#upstreams").innerText(), /azure-east[\s\S]*openai[\s\S]*deepseek/);
    await page.getByRole("button", { name: "Test openai" }).click();
    await visitor.sees(/Works: 3 models/);
  });
  await step("tokens, settings", async () => {
    await visitor.go("/tokens");
    await visitor.sees("Make a token");
    await visitor.go("/settings");
    await visitor.sees("--database");
  });
});

browserTest("the list goes on as one scrolls, and the overview's figures renew themselves", async () => {
  await using scene = await Scene.start();
  await using visitor = await Visitor.open(scene.router);
  await visitor.go("/login");
  await visitor.logIn();
  const { page } = visitor;
  await visitor.go("/records");
  assert.equal(await page.locator(".record").count(), 50);
  await page.locator(".list-end").scrollIntoViewIfNeeded();
  await eventually(async () => await page.locator(".record").count() >= 100 || null, "the next page");
  const ids = await page.locator(".record").evaluateAll(
    (rows: { readonly dataset: { readonly record: string } }[]) =>
      rows.map(({ dataset }) => Number(dataset.record)),
  );
  assert.deepEqual(ids, [...new Set(ids)].toSorted((a, b) => b - a));
  await visitor.go("");
  await page.locator(".u-over").nth(8).waitFor();
  await page.evaluate(`document.getElementById("figures").dataset.isOld = ""`);
  await page.evaluate(`htmx.ajax("GET", "/admin?range=15m", {
    source: "#figures", target: "#figures", select: "#figures", swap: "outerHTML" })`);
  await page.locator("#figures:not([data-is-old])").waitFor();
  await page.locator(".u-over").nth(13).waitFor();
  assert.equal(await page.locator(".u-over").count(), 14);
});
