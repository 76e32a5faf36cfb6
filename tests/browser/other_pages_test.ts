/** Foreign pages in a logged-in browser: one from an upstream, and one from another site. */
import assert from "node:assert/strict";
import { Router } from "../support/router.ts";
import { FakeUpstream, reply } from "../support/upstream.ts";
import { browserTest, Visitor } from "./visitor.ts";

/** A page whose text shows whether its script ran, and what it could do. */
const page = (script: string) =>
  `<!doctype html><title>x</title><p id="said">nothing ran</p><script>(async () => {
    const said = document.getElementById("said");
    said.textContent = "it ran";
    said.textContent += await (async () => { ${script} })().catch((error) => ", " + error.name);
  })()</script>`;

browserTest("HTML of an upstream runs nothing, for somebody who is logged in", async () => {
  const script = `return " with " + (await (await fetch("/admin/api/records")).text()).length;`;
  await using upstream = new FakeUpstream(reply(200, page(script), { "content-type": "text/html" }));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--noauth"],
  });
  await using visitor = await Visitor.loggedIn(router);
  await visitor.page.goto(`${visitor.origin}/v1/files/evil/content`);
  assert.equal(await visitor.page.locator("#said").textContent(), "nothing ran");
  const problems = visitor.takeProblems();
  assert.ok(problems.some((problem) => /Blocked script execution/.test(problem)), problems.join("\n"));
});

browserTest(
  "another site's page gets nothing of a server that runs with --noauth, unless it is allowed",
  async () => {
    const script = `return ", " + (await (await fetch(location.hash.slice(1))).text());`;
    await using upstream = new FakeUpstream(reply(200, '{"data":["paid for"]}'));
    await using site = new FakeUpstream(reply(200, page(script), { "content-type": "text/html" }));
    for (const isAllowed of [false, true]) {
      const allowed = isAllowed ? ["--allow-origin", `http://127.0.0.1:${site.port}`] : [];
      await using router = await Router.start({
        upstreams: [{ endpoint: upstream.endpoint }],
        args: ["--noauth", ...allowed],
      });
      await using visitor = await Visitor.open(router);
      const models = `${visitor.origin}/v1/models`;
      await visitor.page.goto(`http://127.0.0.1:${site.port}/page#${models}`);
      await visitor.sees(isAllowed ? 'it ran, {"data":["paid for"]}' : "it ran, TypeError");
      assert.equal(upstream.requests.length, isAllowed ? 1 : 0);
      visitor.takeProblems();
    }
  },
);
