/** Theme, language, time zone and time range: what is chosen is what is shown. */
import assert from "node:assert/strict";
import { FakeService, type FakeState, mounted, NOW, record, tokenOf } from "./fake_service.ts";

async function get(path: string, { cookie = "", state = {} }: { cookie?: string; state?: FakeState } = {}) {
  const service = new FakeService(state);
  const headers = { accept: "text/html", cookie, "accept-language": "en" };
  const response = await mounted(service).request(`http://x/admin${path}`, { headers });
  return { text: await response.text(), service };
}

Deno.test("times are shown and read in the browser's zone, or in the one that was chosen", async () => {
  const state = { records: [record(1, { createdAtMs: NOW })] };
  const cases = [
    ["oar_browser_zone=Asia/Shanghai", "20:00:00", "Asia/Shanghai", Date.UTC(2026, 10, 26, 2)],
    ["oar_zone=UTC; oar_browser_zone=Asia/Shanghai", "12:00:00", "UTC", Date.UTC(2026, 10, 26, 10)],
    ["oar_zone=Europe%2FBerlin", "13:00:00", "Europe/Berlin", Date.UTC(2026, 10, 26, 9)],
  ] as const;
  for (const [cookie, shown, zone, sinceMs] of cases) {
    const { text, service } = await get("/records?since=2026-11-26+10:00", { cookie, state });
    assert.match(text, new RegExp(`<span class="clock">${shown}</span>`), cookie);
    assert.match(text, new RegExp(`data-zone="${zone}"`), cookie);
    const [, query] = service.calls.find(([name]) => name === "records") ?? [];
    assert.deepEqual((query as { filter: unknown }).filter, { sinceMs }, cookie);
  }
  const { text } = await get("/records", { cookie: 'oar_browser_zone=<script>; oar_zone="x"' });
  assert.doesNotMatch(text, /data-zone="&lt;/);
});

Deno.test("theme and language follow the cookie before the browser", async () => {
  const dark = await get("", { cookie: "oar_theme=dark; oar_language=zh" });
  assert.match(dark.text, /<html lang="zh-Hans"/);
  assert.match(dark.text, /name="color-scheme" content="dark"/);
  assert.match(dark.text, /href="\/admin\/assets\/dark-\w+\.css"\/>/);
  assert.doesNotMatch((await get("", { cookie: "oar_theme=light" })).text, /dark-\w+\.css/);
  assert.match((await get("")).text, /dark-\w+\.css" media="\(prefers-color-scheme: dark\)"/);
  assert.match((await get("", { cookie: "oar_language=xx; oar_theme=pink" })).text, /<html lang="en"/);
});

Deno.test("the form of the settings sets the cookies, and nothing else", async () => {
  const post = (fields: Record<string, string>) =>
    mounted(new FakeService()).request("http://x/admin/display", {
      method: "POST",
      body: new URLSearchParams(fields),
    });
  const done = await post({ theme: "dark", language: "zh", zone: "Asia/Tokyo" });
  assert.deepEqual([done.status, done.headers.get("location")], [303, "/admin/settings?done=displaySaved"]);
  const cookies = done.headers.getSetCookie();
  assert.deepEqual(cookies.map((cookie) => cookie.split(";")[0]), [
    "oar_theme=dark",
    "oar_language=zh",
    "oar_zone=Asia%2FTokyo",
  ]);
  assert.ok(cookies.every((cookie) => /Max-Age=\d+; HttpOnly; SameSite=Strict$/.test(cookie)));
  const odd = await post({ theme: "<script>", zone: "Mars/Base" });
  assert.deepEqual(odd.headers.getSetCookie().map((cookie) => cookie.split(";")[0]), [
    "oar_theme=auto",
    "oar_language=auto",
    "oar_zone=auto",
  ]);
});

Deno.test("the overview shows any time, and its numbers lead to their records", async () => {
  const cookie = "oar_zone=Asia%2FShanghai";
  const custom = await get("?since=2026-11-26T08:00&until=2026-11-26T09:00", { cookie });
  assert.deepEqual(custom.service.calls.find(([name]) => name === "stats"), ["stats", {
    sinceMs: Date.UTC(2026, 10, 26),
    untilMs: Date.UTC(2026, 10, 26, 1),
  }]);
  assert.match(custom.text, /name="since" value="2026-11-26T08:00"/);
  assert.match((await get("?since=soon")).text, /&quot;soon&quot; is no time/);
  assert.match((await get("?since=2026-11-26&until=2026-11-25")).text, /ends before it begins/);
  const { text } = await get("?range=1h");
  assert.match(text, /href="\/admin\/records\?since=2026-11-26T11%3A00%3A00.000Z&amp;failed=yes"/);
  assert.match(text, /aria-current="true">1 h</);
});

Deno.test("the settings say what the server is and keeps, and try its alert channels", async () => {
  const state: FakeState = { status: { channels: ["webhook"] } };
  const { text } = await get("/settings", { state });
  for (const part of [/1\.2\.3/, /1 h 30 min/, /12\.3 MB/, /30 days/, /for ever/, /value="webhook"/]) {
    assert.match(text, part);
  }
  const service = new FakeService({ ...state, channelTest: { isOk: false, message: "Cannot send: <b>" } });
  const tested = await mounted(service).request("http://x/admin/settings/channels/test", {
    method: "POST",
    body: new URLSearchParams({ channel: "webhook" }),
  });
  assert.match(await tested.text(), /webhook: Cannot send: &lt;b&gt;/);
  assert.deepEqual(service.calls, [["testChannel", "webhook"]]);
});

Deno.test("a client is told its base URL, with a word in place of tokens that exist", async () => {
  const { text } = await get("/tokens", { state: { tokens: [tokenOf("a")] } });
  assert.match(text, /OpenAI\(base_url=&quot;http:\/\/\S+\/v1&quot;, api_key=&quot;YOUR_TOKEN&quot;\)/);
  assert.match(text, /ANTHROPIC_BASE_URL=http:\/\/[^/\s]+\n/);
  assert.match(text, /wire_api = &quot;responses&quot;/);
  assert.match(text, /href="\/admin\/tokens\/show\?which=a"/);
});
