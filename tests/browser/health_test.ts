/** The banner when an upstream fails too often, and the page whose server is gone. */
import assert from "node:assert/strict";
import { eventually, Router, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";
import { browserTest, PHONE, Visitor } from "./visitor.ts";

const FILTER = "getComputedStyle(document.querySelector('main')).filter";
const BUSY = reply(503, '{"error":{"message":"The model is overloaded"}}');

browserTest(
  "the banner is amber when an upstream fails half, and its number leads to the records",
  async () => {
    let n = 0;
    await using half = new FakeUpstream((request, wire) =>
      (n++ % 2 === 0 ? BUSY : chatReply("hello"))(request, wire)
    );
    await using good = new FakeUpstream(chatReply("hello"));
    await using router = await Router.start({
      token: TEST_TOKEN,
      upstreams: [
        { endpoint: half.endpoint, name: "half" },
        { endpoint: good.endpoint, name: "good" },
        { endpoint: good.endpoint, name: "spare" },
      ],
    });
    for (let count = 0; count < 20; count++) await (await router.chat()).text();
    await router.recorded(20);
    await using visitor = await Visitor.loggedIn(router);
    const banner = visitor.page.locator(".verdict");
    await eventually(async () => {
      await visitor.go("");
      return /of 20 attempts/.test(await banner.textContent() ?? "") || null;
    }, "the statistics");
    assert.match(await banner.getAttribute("class") ?? "", /verdict-warn/);
    assert.match(
      await banner.textContent() ?? "",
      /half failed 50\u00a0% of 20 attempts\. The other upstream answers\./,
    );
    await visitor.sees("ok, 50\u00a0% failed");
    await visitor.sees("untested");
    await visitor.screenshot("overview-degraded");
    await visitor.page.setViewportSize(PHONE);
    await visitor.screenshot("overview-degraded-phone");
    const width = Number(await visitor.page.evaluate("document.documentElement.scrollWidth"));
    assert.ok(width <= PHONE.width, `${width}`);
    await banner.getByRole("link").click();
    await visitor.sees("10 records");
    await visitor.go("/upstreams?range=1h");
    await visitor.sees("50\u00a0% failed (10)");
    await visitor.page.getByRole("link", { name: "20 attempts" }).click();
    await visitor.sees("20 records");
  },
);

browserTest("a page whose server is gone is grey and says since when, and comes back by itself", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  const first = await Router.start({ token: TEST_TOKEN, upstreams: [{ endpoint: upstream.endpoint }] });
  try {
    // Stopped after the browser, which would notice it.
    await using stack = new AsyncDisposableStack();
    await using visitor = await Visitor.loggedIn(first);
    const { page } = visitor;
    const other = await page.context().newPage();
    await other.goto(`${visitor.origin}/admin/upstreams`);
    await page.bringToFront();
    const gone = page.locator("#gone");
    assert.equal(await gone.isVisible(), false);
    first.signal("SIGKILL");
    await first.exited();
    await gone.filter({ visible: true }).waitFor();
    assert.match(await gone.textContent() ?? "", /^No answer since \d\d:\d\d$/);
    const filter = await page.evaluate(FILTER);
    assert.equal(filter, "grayscale(1)");
    await visitor.screenshot("overview-gone");
    // A view without live figures notices it, too.
    await other.evaluate("document.dispatchEvent(new Event('visibilitychange'))");
    await other.locator("#gone").filter({ visible: true }).waitFor();

    const second = stack.use(
      await Router.start({
        directory: first.directory,
        args: ["--addr", `127.0.0.1:${first.port}`],
      }),
    );
    assert.equal(second.port, first.port);
    await gone.waitFor({ state: "hidden" });
    assert.equal(await page.evaluate(FILTER), "none");
    await other.close();
    visitor.takeProblems();
  } finally {
    await Deno.remove(first.directory, { recursive: true });
  }
});
