/**
 * The order of trial as the API and the page set it, while the server runs.
 */
import assert from "node:assert/strict";
import { askApi, Browser, posted, SAME_ORIGIN } from "../support/admin.ts";
import { Router } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

interface PolicyInUse {
  readonly policy: string;
  readonly isPolicyFixed: boolean;
}

async function answeredBy(router: Router, count: number): Promise<(string | null)[]> {
  const names: (string | null)[] = [];
  for (let index = 0; index < count; index++) {
    const response = await router.chat({ messages: [{ role: "user", content: "hello" }] });
    await response.body?.cancel();
    names.push(response.headers.get("x-oar-upstream"));
  }
  return names;
}

Deno.test("the API and the page set the order of trial, which holds for the next request", async (t) => {
  await using upstream = new FakeUpstream(chatReply("well"));
  await using router = await Router.start({
    upstreams: [{ endpoint: `${upstream.endpoint}/a`, name: "a" }, {
      endpoint: `${upstream.endpoint}/b`,
      name: "b",
    }],
    args: ["--affinity", "off"],
  });
  const browser = await Browser.login(router);
  const stored = () => router.query("SELECT value FROM config_kvs WHERE key = 'policy'")[0]?.["value"];
  assert.deepEqual(await answeredBy(router, 2), ["a", "a"]);

  await t.step("the API", async () => {
    const set = await askApi<PolicyInUse>(router, "/policy", posted({ policy: "round_robin" }, "PUT"));
    assert.deepEqual(set, { policy: "round_robin", isPolicyFixed: false });
    assert.equal((await askApi<PolicyInUse>(router, "/status")).policy, "round_robin");
    assert.equal(stored(), "round_robin");
    assert.deepEqual((await answeredBy(router, 2)).toSorted(), ["a", "b"]);
  });

  await t.step("only policies that there are", async () => {
    for (const policy of ["main", "dearest", "", null, 1]) {
      await askApi(router, "/policy", { ...posted({ policy }, "PUT"), status: 400 });
    }
    assert.equal(stored(), "round_robin");
  });

  await t.step("the page", async () => {
    const save = async (policy: string) => {
      const body = new URLSearchParams({ csrf: browser.csrfToken, policy });
      return await browser.fetch("/settings/policy", { method: "POST", headers: SAME_ORIGIN, body });
    };
    const saved = await save("order");
    await saved.body?.cancel();
    assert.equal(saved.status, 303);
    assert.equal(stored(), "order");
    const refused = await save("dearest");
    await refused.body?.cancel();
    assert.equal(refused.status, 400);
    const text = await (await browser.fetch("/settings")).text();
    assert.match(text, /<option value="order" selected=""/);
    assert.doesNotMatch(text, /<select id="field-policy" name="policy" disabled/);
    assert.deepEqual(await answeredBy(router, 2), ["a", "a"]);
  });
});

Deno.test("a server that was started with a policy keeps it, and the page says so", async () => {
  await using upstream = new FakeUpstream(chatReply("well"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "a" }],
    args: ["--policy", "random"],
  });
  const set = await askApi<PolicyInUse>(router, "/policy", posted({ policy: "fastest" }, "PUT"));
  assert.deepEqual(set, { policy: "random", isPolicyFixed: true });
  const browser = await Browser.login(router);
  const text = await (await browser.fetch("/settings")).text();
  assert.match(text, /<select id="field-policy" name="policy" disabled/);
  assert.match(text, /keeps random\./);
});
