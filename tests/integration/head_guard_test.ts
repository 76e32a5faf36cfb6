import assert from "node:assert/strict";
import { adminTokenOf, adminUrl, askApi, SAME_ORIGIN } from "../support/admin.ts";
import { Router } from "../support/router.ts";
import { FakeUpstream, reply } from "../support/upstream.ts";

const REFUSED: readonly string[] = [
  "text/plain",
  "application/jsonp",
  "application/json; charset=utf-8; x=y",
  "multipart/form-data",
  "multipart/form-data;boundary=",
  `multipart/form-data; boundary=${"b".repeat(300)}`,
  `multipart/form-data; ${" ".repeat(4_000)}x`,
  "multipart/form-data; boundary=b; boundary=c",
  "application/x-www-form-urlencoded, application/json",
];
const TAKEN: readonly string[] = [
  "application/x-www-form-urlencoded",
  "application/x-www-form-urlencoded;charset=UTF-8",
  "Multipart/Form-Data; boundary=----WebKitFormBoundaryAaBb0123456789",
  'multipart/form-data; boundary="a b"',
];

Deno.test("requests that are not for an upstream are refused by their head, before routing", async (t) => {
  await using upstream = new FakeUpstream(reply(200, `{"object":"list","data":[]}`));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const login = (contentType: string, body = "token=x") =>
    fetch(adminUrl(router, "/login"), {
      method: "POST",
      redirect: "manual",
      headers: { ...SAME_ORIGIN, "content-type": contentType },
      body,
    });

  for (const contentType of REFUSED) {
    await t.step(`Content-Type ${contentType.slice(0, 60)}`, async () => {
      const response = await login(contentType);
      assert.equal(response.status, 415);
      assert.match(await response.text(), /Content-Type is not understood here; send application\/json/);
    });
  }
  for (const contentType of TAKEN) {
    await t.step(`Content-Type ${contentType}`, async () => {
      const response = await login(contentType);
      await response.body?.cancel();
      assert.notEqual(response.status, 415);
    });
  }
  await t.step("a login form that is larger than any token", async () => {
    const response = await login("application/x-www-form-urlencoded", "a&".repeat(10_000));
    await response.body?.cancel();
    assert.equal(response.status, 413);
  });
  await t.step("a head of more than 8 KiB is for upstreams only", async () => {
    const headers = { "x-long": "x".repeat(9_000), authorization: `Bearer ${router.token}` };
    for (const path of ["/healthz", "/admin/login", "/admin/api/records", "/nowhere"]) {
      const response = await fetch(`http://127.0.0.1:${router.port}${path}`, { headers });
      assert.equal(response.status, 431, path);
      assert.match(await response.text(), /head is larger than 8 KiB/);
    }
    const relayed = await fetch(`http://127.0.0.1:${router.port}/v1/models`, { headers });
    assert.equal(relayed.status, 200);
    await relayed.body?.cancel();
  });
  await t.step("the page keeps working", async () => {
    await askApi(router, "/records");
    const response = await login("application/x-www-form-urlencoded", `token=${adminTokenOf(router)}`);
    await response.body?.cancel();
    assert.equal(response.status, 303);
  });
});

Deno.test("a path, a user agent and an unknown path are bounded in the record and in answers", async () => {
  await using upstream = new FakeUpstream(reply(200, `{"object":"list","data":[]}`));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const long = "p".repeat(8_000);
  const response = await fetch(`http://127.0.0.1:${router.port}/v1/files/${long}`, {
    headers: { authorization: `Bearer ${router.token}`, "user-agent": "u".repeat(8_000) },
  });
  await response.body?.cancel();
  assert.equal(response.status, 200);
  const [row] = router.query("SELECT path, user_agent FROM records");
  assert.match(String(row?.["path"]), /^\/v1\/files\/p+…$/);
  assert.equal(String(row?.["path"]).length, 1024);
  assert.match(String(row?.["user_agent"]), /^u+…$/);
  assert.equal(String(row?.["user_agent"]).length, 512);
  assert.ok(router.text.split("\n").every((line) => line.length < 20_000));
});

Deno.test("lists and pages cut long values in rows of older versions", async () => {
  await using router = await Router.start();
  const long = "m".repeat(1_000_000);
  router.execute(
    `INSERT INTO records(created_at, model, path, user_agent, body, response, status)
      VALUES ('2023-11-08 12:34:56+08:00', '${long}', '/v1/${long}', '${long}', '"{}"', 'x', 200)`,
  );
  const list = JSON.stringify(await askApi(router, "/records"));
  assert.ok(list.length < 4_000, String(list.length));
  const detail = JSON.stringify(await askApi(router, "/records/1"));
  assert.ok(detail.length < 8_000, String(detail.length));
});
