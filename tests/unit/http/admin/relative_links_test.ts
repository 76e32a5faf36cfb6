/** Links that work below any path. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { AdminEnv } from "../../../../src/http/admin/env.ts";
import { relativeLinks, upFrom } from "../../../../src/http/admin/relative_links.ts";

Deno.test("upFrom() is the way to the folder that holds /admin", () => {
  const table: readonly [path: string, up: string | null][] = [
    ["/admin", ""],
    ["/admin/", "../"],
    ["/admin/records", "../"],
    ["/admin/records/5/turns", "../../../"],
    ["/router/admin", ""],
    ["/admin/router/admin/records", "../"],
    ["/administration/admin", ""],
    ["/administration", null],
    ["/adminx/records", null],
    ["/v1/models", null],
    ["", null],
  ];
  for (const [path, up] of table) assert.equal(upFrom(path), up, path);
});

function app(answer: () => Response): Hono<AdminEnv> {
  const routes = new Hono<AdminEnv>();
  routes.use(relativeLinks());
  routes.all("*", () => answer());
  return new Hono<AdminEnv>().route("/admin", routes);
}

const html = (text: string) =>
  new Response(text, { headers: { "content-type": "text/html; charset=UTF-8" } });

Deno.test("links of HTML are made relative, and nothing else is touched", async () => {
  const page = app(() =>
    html(
      '<a href="/admin">x</a><form action="/admin/records?q=1"><input value="/admin/x">' +
        '<p hx-get="/admin/a" data-live="/admin/api/live" title="/admin/y">/admin &quot;</p>' +
        '<a href="/administration">x</a><a href="https://a.example/admin">x</a>',
    )
  );
  assert.equal(
    await (await page.request("/admin/records/5")).text(),
    '<a href="../../admin">x</a><form action="../../admin/records?q=1"><input value="/admin/x">' +
      '<p hx-get="../../admin/a" data-live="../../admin/api/live" title="/admin/y">/admin &quot;</p>' +
      '<a href="/administration">x</a><a href="https://a.example/admin">x</a>',
  );
  const json = app(() => Response.json({ text: ' href="/admin"' }));
  assert.deepEqual(await (await json.request("/admin/records/5")).json(), { text: ' href="/admin"' });
});

Deno.test("what htmx draws into a page has links for that page", async () => {
  const part = app(() => {
    const answer = html('<a href="/admin/live">x</a>');
    answer.headers.set("hx-push-url", "/admin/records?q=1");
    return answer;
  });
  const headers = { "hx-request": "true", "hx-current-url": "https://proxy.example/some/admin/records" };
  const answer = await part.request("/admin/records/5/turns", { headers });
  assert.equal(await answer.text(), '<a href="../admin/live">x</a>');
  assert.equal(answer.headers.get("hx-push-url"), "../admin/records?q=1");
  for (const url of ["", "nonsense", "https://evil.example/"]) {
    const lost = await part.request("/admin/records", { headers: { ...headers, "hx-current-url": url } });
    assert.equal(await lost.text(), '<a href="../admin/live">x</a>');
  }
});

Deno.test("an address of htmx makes no answer larger than a page of ours would", async () => {
  const part = app(() => html('<a href="/admin/live">x</a>'.repeat(100)));
  for (const tail of ["/".repeat(10_000), "/a".repeat(5_000)]) {
    const headers = { "hx-request": "true", "hx-current-url": `https://proxy.example/admin${tail}` };
    const answer = await part.request("/admin/records", { headers });
    assert.equal(await answer.text(), '<a href="../admin/live">x</a>'.repeat(100));
  }
});

Deno.test("redirects are relative to the address that was asked", async () => {
  const redirecting = app(() =>
    new Response(null, { status: 303, headers: { location: "/admin/tokens?done=1" } })
  );
  const answer = await redirecting.request("/admin/tokens/revoke");
  assert.equal(answer.headers.get("location"), "../../admin/tokens?done=1");
  const elsewhere = app(() =>
    new Response(null, { status: 303, headers: { location: "https://a.example/admin" } })
  );
  assert.equal((await elsewhere.request("/admin/x")).headers.get("location"), "https://a.example/admin");
});
