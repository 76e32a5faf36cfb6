/** The page as strangers reach it: under another name, through proxies and tunnels, below a path, in many tabs. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { adminTokenOf } from "../support/admin.ts";
import { eventually, Router } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";
import { browserTest, Visitor } from "./visitor.ts";

interface FrontOptions {
  /** Removed from the beginning of paths, as by `location /router/ { proxy_pass http://…/; }` of nginx. */
  readonly prefix?: string;
  /** Headers that it sets; undefined: not passed on. Without `host`, it is the router's address. */
  readonly headers?: (request: Request) => Record<string, string>;
}

/** A reverse proxy in front of a router. */
function front(router: Router, { prefix = "", headers = () => ({}) }: FrontOptions) {
  const client = Deno.createHttpClient({ allowHost: true });
  const ending = new AbortController();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    if (!pathname.startsWith(`${prefix}/`)) return new Response("not mine", { status: 404 });
    const passed = new Headers(request.headers);
    passed.delete("host");
    for (const [name, value] of Object.entries(headers(request))) passed.set(name, value);
    const answer = await fetch(`http://127.0.0.1:${router.port}${pathname.slice(prefix.length)}${search}`, {
      method: request.method,
      headers: passed,
      body: request.body,
      redirect: "manual",
      signal: ending.signal,
      client,
    });
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  });
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      // Event streams of pages that were closed.
      ending.abort();
      await server.shutdown();
      client.close();
    },
  };
}

const TRUSTING = ["--trusted-proxy", "127.0.0.1"];

/** Logs in, goes to every view, changes something, and logs out. */
async function useThePage(visitor: Visitor): Promise<void> {
  const { page } = visitor;
  for (const view of ["Records", "Live", "Upstreams", "Settings", "Tokens", "Overview", "Tokens"]) {
    await page.getByRole("navigation").getByRole("link", { name: view }).click();
    await page.getByRole("heading", { level: 1 }).first().waitFor();
    assert.ok(page.url().startsWith(`${visitor.origin}/admin`), page.url());
  }
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForURL(`${visitor.origin}/admin/login`);
}

browserTest("the page can be used over plain HTTP under a name that is not loopback", async () => {
  await using router = await Router.start({ args: TRUSTING });
  await using visitor = await Visitor.loggedIn(router, { origin: `http://router.test:${router.port}` });
  await useThePage(visitor);
});

const PROXIES: readonly (readonly [name: string, options: FrontOptions])[] = [
  ["that passes the host", { headers: (request) => ({ host: request.headers.get("host") ?? "" }) }],
  ["that says the host apart", {
    headers: (request) => ({ "x-forwarded-host": request.headers.get("host") ?? "" }),
  }],
  ["that passes no host", {}],
  ["below a path", { prefix: "/some/router" }],
  ["below a path of the same name, with a login of its own", {
    prefix: "/admin",
    headers: () => ({ authorization: "Bearer a-token-of-the-login-proxy" }),
  }],
];

for (const [name, options] of PROXIES) {
  browserTest(`the page can be used behind a proxy ${name}`, async () => {
    await using router = await Router.start({ args: TRUSTING });
    await using proxy = front(router, options);
    const origin = `http://router.test:${proxy.port}${options.prefix ?? ""}`;
    await using visitor = await Visitor.loggedIn(router, { origin });
    await useThePage(visitor);
  });
}

browserTest("records, live replies and forms work below a path", async () => {
  await using upstream = new FakeUpstream(chatReply("Ulaanbaatar"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }], args: TRUSTING });
  await using proxy = front(router, { prefix: "/some/router" });
  await using visitor = await Visitor.loggedIn(router, {
    origin: `http://router.test:${proxy.port}/some/router`,
  });
  const { page } = visitor;
  await visitor.go("/live");
  const finished = page.locator("[data-finished-list] a").first();
  // The page does not say when its event stream has begun.
  await eventually(async () => {
    await (await router.chat()).text();
    return await finished.isVisible() ? true : null;
  }, "a finished request on the page");
  await finished.click();
  await visitor.sees("Ulaanbaatar");
  assert.match(page.url(), /\/some\/router\/admin\/records\/[^/]+$/);
  await visitor.go("/tokens");
  await page.locator('form[action$="admin/tokens"] input[name="name"]').fill("below");
  await page.locator('form[action$="admin/tokens"] button[type=submit]').click();
  await visitor.sees("below");
  assert.ok(page.url().startsWith(visitor.origin), page.url());
});

browserTest("eight tabs at once load and follow what happens", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await using visitor = await Visitor.loggedIn(router);
  const context = visitor.page.context();
  const tabs: Page[] = [];
  for (let n = 0; n < 8; n++) {
    const tab = await context.newPage();
    await tab.goto(`${visitor.origin}/admin/live`);
    tabs.push(tab);
  }
  const seenBy = async (count: number) => {
    const counts = await Promise.all(tabs.map((tab) => tab.locator("[data-finished-list] a").count()));
    return counts.every((each) => each > count);
  };
  const follow = async (count: number) => {
    await eventually(async () => {
      await (await router.chat()).text();
      return await seenBy(count) ? true : null;
    }, "a finished request in every tab");
  };
  await follow(0);
  await tabs.shift()?.close();
  const counts = await Promise.all(tabs.map((tab) => tab.locator("[data-finished-list] a").count()));
  await follow(Math.max(...counts));
});

browserTest("a session that is over leads from the live view to the login and back", async () => {
  await using router = await Router.start();
  await using visitor = await Visitor.loggedIn(router);
  await visitor.go("/live");
  const old = adminTokenOf(router);
  router.execute("UPDATE config_kvs SET value = ? WHERE key = 'admin'", `${old}-new`);
  // The stream of an open page goes on; the next one is refused.
  await visitor.page.evaluate("dispatchEvent(new Event('pagehide')), dispatchEvent(new Event('pageshow'))");
  await eventually(() => visitor.path.startsWith("/login") ? true : null, "the login page");
  assert.equal(visitor.path, "/login?next=%2Fadmin%2Flive");
  visitor.takeProblems();
  await visitor.page.locator("#token").fill(adminTokenOf(router));
  await visitor.page.locator("form button[type=submit]").click();
  await visitor.page.waitForURL(`${visitor.origin}/admin/live`);
});
