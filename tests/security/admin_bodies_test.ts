/** Requests below `/admin` without a login: limited in size and time, and never an internal error. */
import assert from "node:assert/strict";
import { adminTokenOf, adminUrl, Browser, SAME_ORIGIN } from "../support/admin.ts";
import { RawClient } from "../support/raw_client.ts";
import { Router } from "../support/router.ts";

const FORM = "content-type: application/x-www-form-urlencoded\r\n";
const FROM_PAGE = "sec-fetch-site: same-origin\r\n";

function head(router: Router, path: string, fields: string): string {
  return `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${router.port}\r\n${FROM_PAGE}${fields}\r\n`;
}

/** Sends it and waits for the end of the connection without a limit. */
async function answerTo(router: Router, text: string): Promise<string> {
  using client = await RawClient.connect(router.port);
  await client.send(text);
  return await client.readToEnd();
}

Deno.test("a missing body below /admin ends its connection, with or without a login", async (t) => {
  await using router = await Router.start({ args: ["--client-timeout", "0.2"] });
  const { cookie, csrfToken } = await Browser.login(router);
  const loggedIn = `cookie: ${cookie}\r\n`;
  const token = `authorization: Bearer ${adminTokenOf(router)}\r\n`;
  const json = "content-type: application/json\r\n";
  const cases: readonly [what: string, text: string, status: number][] = [
    ["the login", `${head(router, "/admin/login", `${FORM}content-length: 1000\r\n`)}token=`, 408],
    [
      "the login, chunked",
      `${head(router, "/admin/login", `${FORM}transfer-encoding: chunked\r\n`)}5\r\ntok`,
      408,
    ],
    ["nothing of the login", head(router, "/admin/login", `${FORM}content-length: 1000\r\n`), 408],
    [
      "a form, logged in",
      `${head(router, "/admin/upstreams", `${loggedIn}${FORM}content-length: 100\r\n`)}csrf=${csrfToken}`,
      408,
    ],
    ["the API", `${head(router, "/admin/api/tokens", `${token}${json}content-length: 100\r\n`)}{"name"`, 408],
    [
      "the API, chunked",
      `${head(router, "/admin/api/tokens", `${token}${json}transfer-encoding: chunked\r\n`)}5\r\n`,
      408,
    ],
    ["the API without a login", head(router, "/admin/api/tokens", `${json}content-length: 100\r\n`), 401],
    [
      "chunked, without a login",
      head(router, "/admin/api/tokens", `${json}transfer-encoding: chunked\r\n`),
      401,
    ],
    ["a path that reads none", head(router, "/admin/assets/none", "content-length: 100\r\n"), 401],
    ["another path that reads none", head(router, "/healthz", "content-length: 100\r\n"), 404],
  ];
  for (const [what, text, status] of cases) {
    await t.step(what, async () => {
      const answer = await answerTo(router, text);
      assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer.slice(0, 300));
    });
  }
  assert.ok(!/\b(ERROR|ERR)\b/.test(router.text), router.text);
});

Deno.test("an invalid login form is refused as such, without a log line", async (t) => {
  await using router = await Router.start();
  const sized = (fields: string, body: string) =>
    head(router, "/admin/login", `${fields}connection: close\r\ncontent-length: ${body.length}\r\n`) + body;
  const chunked = (fields: string, body: string) =>
    head(router, "/admin/login", `${fields}connection: close\r\ntransfer-encoding: chunked\r\n`) + body;
  const multipart = "content-type: multipart/form-data; boundary=x\r\n";
  const refused: readonly [what: string, text: string, status: RegExp][] = [
    [
      "a multipart without an end",
      sized(multipart, "--x\r\ncontent-disposition: form-data; name=token\r\n\r\na"),
      /400|403/,
    ],
    ["a multipart without parts", sized(multipart, "nothing"), /400/],
    [
      "a part without a name",
      sized(multipart, "--x\r\ncontent-disposition: form-data\r\n\r\na\r\n--x--\r\n"),
      /400|403/,
    ],
    ["no boundary", sized("content-type: multipart/form-data\r\n", "--x"), /400|415/],
    ["an empty boundary", sized("content-type: multipart/form-data; boundary=\r\n", "--\r\n\r\n"), /400|415/],
    ["no multipart at all", sized(multipart, ""), /400/],
    ["no UTF-8", sized(FORM, "token=\x80\xff&next=%ff"), /403/],
    ["a bad chunk", chunked(FORM, "zz\r\ntoken=a\r\n0\r\n\r\n"), /400/],
    [
      "a file for a token",
      sized(
        multipart,
        '--x\r\ncontent-disposition: form-data; name="token"; filename="a"\r\n\r\na\r\n--x--\r\n',
      ),
      /403/,
    ],
    ["another kind", sized("content-type: text/plain\r\n", "token=a"), /40[03]|415/],
    ["no kind", sized("", "token=a"), /40[03]|415/],
    ["16 KiB and more", sized(FORM, `token=${"a".repeat(17_000)}`), /413/],
    [
      "16 KiB and more, chunked",
      chunked(FORM, `4800\r\ntoken=${"a".repeat(0x4800 - 6)}\r\n0\r\n\r\n`),
      /413/,
    ],
  ];
  for (const [what, text, status] of refused) {
    await t.step(what, async () => {
      const answer = await answerTo(router, text);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 (${status.source}) `));
    });
  }
  await t.step("a method in lower case, with a body that it cannot have", async () => {
    for (const method of ["get", "head", "Get"]) {
      const text = sized(FORM, "token=a").replace("POST", method);
      assert.match(await answerTo(router, text), /^HTTP\/1\.1 [24]\d\d /);
    }
  });
  await t.step("a truncated one", async () => {
    using client = await RawClient.connect(router.port);
    await client.send(head(router, "/admin/login", `${FORM}content-length: 100\r\n`) + "token=");
    client.close();
  });
  await t.step("the right token still logs in, with both kinds of form", async () => {
    const form = new FormData();
    form.set("token", adminTokenOf(router));
    for (const body of [form, new URLSearchParams({ token: adminTokenOf(router) })]) {
      const init = { method: "POST", headers: SAME_ORIGIN, body, redirect: "manual" } as const;
      const response = await fetch(adminUrl(router, "/login"), init);
      await response.body?.cancel();
      assert.equal(response.status, 303);
    }
  });
  assert.ok(!/\b(ERROR|ERR|WARN|WRN)\b/.test(router.text.replace(/.*no upstream yet.*/, "")), router.text);
});

Deno.test("an invalid form after the login is refused as such, too", async () => {
  await using router = await Router.start();
  const browser = await Browser.login(router);
  const headers = {
    ...SAME_ORIGIN,
    "content-type": "multipart/form-data; boundary=x",
    "x-csrf-token": browser.csrfToken,
  };
  for (const path of ["/upstreams", "/tokens"]) {
    const response = await browser.fetch(path, { method: "POST", headers, body: "--x\r\nbroken" });
    await response.body?.cancel();
    assert.equal(response.status, 400, path);
  }
  assert.ok(!/\b(ERROR|ERR)\b/.test(router.text), router.text);
});
