/** The link that a server prints on its terminal, in a browser. */
import assert from "node:assert/strict";
import { Router } from "../support/router.ts";
import { hasPython, OnTerminal } from "../support/terminal.ts";
import { browserTest, Visitor } from "./visitor.ts";

const python = await hasPython();

browserTest("the printed link logs in, and its code stays in no address", async () => {
  if (!python) return;
  // The visitor's own router only stands for an origin; the link is that of the server on the terminal.
  await using router = await Router.start({ upstreams: [] });
  const cwd = await Deno.makeTempDir();
  try {
    await using server = new OnTerminal(["serve", "--addr", "127.0.0.1:0"], { cwd });
    const [, link = "", port = ""] = await server.shows(/admin page on (http:\S+:(\d+)\/\S+#code=\S+) /);
    const origin = `http://127.0.0.1:${port}`;
    await using visitor = await Visitor.open(router, { origin });
    await visitor.page.goto(link);
    await visitor.page.waitForURL(`${origin}/admin`);
    await visitor.page.getByRole("navigation").getByRole("link", { name: "Records" }).click();
    await visitor.page.waitForURL(`${origin}/admin/records`);
    // Logged in already: the login page leads on, and the browser carries the code along.
    await visitor.page.goto(link);
    await visitor.page.waitForFunction("location.pathname === '/admin' && location.hash === ''");
    await visitor.page.context().clearCookies();
    await visitor.page.goto("about:blank");
    const answered = visitor.page.waitForResponse((response) => response.request().method() === "POST");
    await visitor.page.goto(link);
    assert.equal((await answered).status(), 403);
    await visitor.page.getByText("This link has been used").waitFor();
    assert.equal(visitor.page.url(), `${origin}/admin/login`);
    visitor.takeProblems();
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});
