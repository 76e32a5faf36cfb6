import assert from "node:assert/strict";
import type { StatsRange } from "../../../src/control/admin_service.ts";
import { RouterError } from "../../../src/core/errors.ts";
import {
  type Call,
  FakeService,
  type FakeState,
  mounted,
  NO_SPENDING,
  NO_USAGE,
  NOW,
  record,
  statsOf,
  tokenOf,
  upstream,
} from "./fake_service.ts";

interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly calls: readonly Call[];
}

/** One request to the page with this state behind it. */
async function ask(state: FakeState, path: string, init: RequestInit = {}): Promise<Asked> {
  const service = new FakeService(state);
  const headers = new Headers(init.headers);
  headers.set("host", "127.0.0.1:8888");
  if (!headers.has("accept")) headers.set("accept", "text/html");
  const response = await mounted(service).request(`http://127.0.0.1:8888/admin${path}`, { ...init, headers });
  return {
    status: response.status,
    headers: response.headers,
    text: await response.text(),
    calls: service.calls,
  };
}

function form(fields: Record<string, string>): RequestInit {
  return { method: "POST", body: new URLSearchParams(fields) };
}

const USED = {
  requests: 1,
  errors: 1,
  inputTokens: 1,
  outputTokens: 1,
  cachedTokens: 1,
  p95Ms: 1,
  ...{ costNano: 31_500_000, unpriced: 1, estimatedTokens: 7 },
  series: { requests: [1, 0], tokens: [2, 0], costNano: [31_500_000, 0], unpriced: [1, 0] },
};
const HOSTILE = `<script>alert(1)</script>"'&\u202E\u001B[31m`;

Deno.test("every view shows hostile text as text, in both languages", async () => {
  const hostile = record(1, {
    ...Object.fromEntries(
      [
        "requestId",
        "ip",
        "method",
        "path",
        "model",
        "response",
        "reasoning",
        "responseModel",
        "finishReason",
        "client",
        "userAgent",
        "error",
        "authorization",
      ].map((name) => [name, HOSTILE]),
    ),
    body: JSON.stringify({
      model: HOSTILE,
      [HOSTILE]: HOSTILE,
      tools: [{ type: "function", function: { name: HOSTILE } }],
      messages: [{ role: HOSTILE, content: HOSTILE }, {
        role: "tool",
        tool_call_id: HOSTILE,
        content: HOSTILE,
      }],
    }),
    toolCalls: [{ id: HOSTILE, name: HOSTILE, arguments: HOSTILE }],
  });
  const attempt = {
    index: 1,
    upstreamId: 1,
    upstreamName: HOSTILE,
    startedAtMs: NOW,
    durationMs: 5,
    status: 500,
    errorClass: "http_status",
    message: HOSTILE,
    partial: null,
    keyN: null,
    isChanged: false,
  } as const;
  const state: FakeState = {
    records: [hostile],
    attempts: [attempt],
    hit: [{ text: HOSTILE, isHit: true }],
    upstreams: [upstream(1, {
      name: HOSTILE,
      endpoint: HOSTILE,
      key: HOSTILE,
      allow: [HOSTILE],
      modelMap: { [HOSTILE]: HOSTILE },
      reason: HOSTILE,
      state: "failing",
      recent: { attempts: 20, failed: 10, isDegraded: true },
      openUntilMs: NOW + 5_000,
      problem: HOSTILE,
      lastError: { atMs: NOW, errorClass: HOSTILE, message: HOSTILE },
    })],
    tokens: [tokenOf(HOSTILE, { token: HOSTILE })],
    settings: [{ name: HOSTILE, value: HOSTILE }],
    stats: (range) => ({
      ...statsOf(range, () => ({})),
      upstreams: [{ id: 1, name: HOSTILE, requests: 1, failures: 1, attempts: 2, p95Ms: 5, costNano: 7 }],
    }),
    usage: {
      ...NO_USAGE,
      sinceMs: NOW - 1_000,
      models: { rows: [{ ...USED, name: HOSTILE }], others: USED },
      clients: { rows: [{ ...USED, name: HOSTILE }, { ...USED, name: null }], others: null },
      upstreams: { rows: [{ ...USED, name: HOSTILE, upstreamId: 1 }], others: null },
    },
    costs: {
      ...NO_SPENDING,
      sinceMs: NOW - 1_000,
      models: { rows: [{ ...USED, name: HOSTILE }], others: USED },
      clients: { rows: [{ ...USED, name: HOSTILE }, { ...USED, name: null }], others: null },
      upstreams: { rows: [{ ...USED, name: HOSTILE, upstreamId: 1 }], others: null },
    },
    live: [{
      requestId: HOSTILE,
      startedAtMs: NOW,
      elapsedMs: 5,
      kind: "chat",
      method: "POST",
      path: "/v1/x",
      model: HOSTILE,
      isStream: true,
      client: HOSTILE,
      upstreamName: HOSTILE,
      waitingMs: null,
      attemptCount: 1,
      replyBytes: 3,
    }],
    replay: {
      requestId: HOSTILE,
      status: 200,
      text: HOSTILE,
      reasoning: HOSTILE,
      toolCalls: [],
      elapsedMs: 1,
      diff: [{ type: "removed", text: HOSTILE }, { type: "added", text: HOSTILE }, {
        type: "same",
        text: HOSTILE,
      }],
    },
    test: { isOk: false, status: 500, durationMs: 3, message: HOSTILE, models: [HOSTILE] },
    refusal: undefined as never,
  };
  const query = `q=${encodeURIComponent(HOSTILE)}&client=${encodeURIComponent(HOSTILE)}&since=${
    encodeURIComponent(HOSTILE)
  }`;
  for (const language of ["en", "zh"]) {
    for (
      const [path, init] of [
        ["", {}],
        ["/records", {}],
        [`/records?${query}`, {}],
        ["/records/1", {}],
        ["/records/1?show=reply&turns=all", {}],
        ["/records/1/text/t0p0", {}],
        ["/records/1/replay", form({ upstream: "1" })],
        [`/tokens/show?which=${encodeURIComponent(HOSTILE)}`, {}],
        ["/costs", {}],
        [`/costs?${query}`, {}],
        ["/live", {}],
        [`/live?watch=${encodeURIComponent(HOSTILE)}`, {}],
        ["/upstreams", {}],
        ["/upstreams/1", {}],
        ["/upstreams/1/remove", {}],
        ["/upstreams/1/test", form({})],
        ["/upstreams", form({ endpoint: HOSTILE, modelMap: HOSTILE })],
        ["/tokens", {}],
        [`/tokens/revoke?name=${encodeURIComponent(HOSTILE)}`, {}],
        ["/tokens", form({ name: HOSTILE })],
        ["/settings", {}],
      ] as const
    ) {
      const { text } = await ask(state, path, { ...init, headers: { "accept-language": language } });
      const where = `${language} ${path}`;
      assert.ok(text.length > 100, where);
      assert.ok(!text.includes("<script>alert"), where);
      // Text between tags must not reorder or colour; the value of an input is raw, because browsers render
      // it safely.
      const shown = text.replace(/<textarea[^]*?<\/textarea>|<[^>]*>/g, "");
      assert.ok(!/(?!\n)[\p{Cc}\u202A-\u202E\u2066-\u2069]/u.test(shown), where);
    }
  }
});

Deno.test("nothing in a page is inline, so that the strictest policy holds", async () => {
  const state = { records: [record(1)], upstreams: [upstream(1)], tokens: [tokenOf("a", { token: "b" })] };
  for (
    const path of [
      "",
      "/login",
      "/records",
      "/records/1",
      "/live",
      "/upstreams",
      "/upstreams/1",
      "/tokens",
      "/settings",
    ]
  ) {
    const { text } = await ask(state, path);
    assert.ok(!/<style|\sstyle=|\son\w+=|javascript:/i.test(text), path);
    for (const [, attributes] of text.matchAll(/<script([^>]*)>/g)) {
      assert.match(attributes ?? "", /^ src="\/admin\/assets\/[\w-]+\.js"/, path);
    }
    for (const [, address] of text.matchAll(/(?:href|src|action|hx-\w+)="([^"]*)"/g)) {
      if (address?.startsWith("{")) continue;
      assert.ok(!/^(?:https?:)?\/\//.test(address ?? ""), `${path}: ${address}`);
    }
  }
});

Deno.test("an asset has a strong etag of its content, and is cached forever", async () => {
  const { text } = await ask({}, "");
  const path = /href="\/admin(\/assets\/page-\w+\.css)"/.exec(text)?.[1] ?? "";
  const asset = await ask({}, path);
  assert.equal(asset.status, 200);
  assert.equal(asset.headers.get("content-type"), "text/css; charset=utf-8");
  assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
  const etag = asset.headers.get("etag") ?? "";
  assert.match(etag, /^"\w+"$/);
  const again = await ask({}, path, { headers: { "if-none-match": etag } });
  assert.deepEqual([again.status, again.text], [304, ""]);
  assert.equal((await ask({}, "/assets/page.css")).status, 404);
  assert.equal((await ask({}, "/assets/..%2f..%2fdeno.json")).status, 404);
});

Deno.test("empty views say what to do next", async () => {
  for (
    const [path, text] of [
      ["", /No upstream yet.*href="\/admin\/upstreams"/s],
      ["/records", /curl http:\/\/127\.0\.0\.1:8888\/v1\/chat\/completions/],
      ["/records?model=x", /No record matches/],
      ["/upstreams", /No upstream yet.*name="endpoint"/s],
      ["/tokens", /No token.*name="name"/s],
      ["/live", /Nothing is under way/],
    ] as const
  ) {
    assert.match((await ask({}, path)).text, text, path);
  }
});

Deno.test("the verdict follows states first, errors second", async () => {
  const well = upstream(1);
  const open = upstream(2, { state: "failing" });
  const busy = (errors: number) => (range: StatsRange) => statsOf(range, () => ({ requests: 10, errors }));
  for (
    const [state, title] of [
      [{ upstreams: [well] }, "Ready"],
      [{ upstreams: [well], stats: busy(0) }, "Everything answers"],
      [{ upstreams: [well], stats: busy(3) }, "Many requests fail"],
      [{ upstreams: [well, open], stats: busy(0) }, "Answering, with failovers"],
      [{ upstreams: [open], stats: busy(0) }, "No upstream is in order"],
      [
        { upstreams: [open, upstream(3, { state: "disabled", isEnabled: false })] },
        "No upstream is in order",
      ],
    ] as const
  ) {
    assert.equal(/<strong>([^<]*)<\/strong>/.exec((await ask(state, "")).text)?.[1], title);
  }
});

Deno.test("the list asks for one page, and links to the next", async () => {
  const records = Array.from({ length: 120 }, (_, index) => record(120 - index));
  const first = await ask({ records }, "/records?model=gpt*");
  assert.deepEqual(first.calls, [["records", { limit: 50, filter: { model: "gpt*" } }]]);
  assert.match(first.text, /href="\/admin\/records\?model=gpt\*&amp;before=71"/);
  const second = await ask({ records }, "/records?before=71");
  assert.deepEqual(second.calls, [["records", { limit: 50, filter: {}, beforeId: 71 }]]);
  assert.match(second.text, /data-record="70"/);
});

Deno.test("a page without matches links to older records", async () => {
  const { text } = await ask({ recordPage: { records: [], nextBeforeId: 4_000 } }, "/records?q=rare");
  assert.match(text, /href="\/admin\/records\?q=rare&amp;before=4000"/);
  assert.ok(!text.includes("No record matches"));
});

Deno.test("the address of a search has no empty fields", async () => {
  const typed = "/records?q=x&model=&upstream=&since=";
  const { status, headers } = await ask({}, typed);
  assert.deepEqual([status, headers.get("location")], [303, "/admin/records?q=x"]);
  const partial = await ask({}, typed, { headers: { "hx-request": "true" } });
  assert.deepEqual([partial.status, partial.headers.get("hx-push-url")], [200, "/admin/records?q=x"]);
});

const BODIES: readonly (readonly [api: string, body: unknown, texts: readonly RegExp[]])[] = [
  ["chat", {
    messages: [
      { role: "developer", content: "Be brief." },
      {
        role: "user",
        content: [{ type: "text", text: "Look:" }, {
          type: "image_url",
          image_url: { url: "data:image/png;base64,AAAA" },
        }],
      },
      {
        role: "assistant",
        tool_calls: [{ id: "c1", type: "function", function: { name: "f", arguments: '{"a":1}' } }],
      },
      { role: "tool", tool_call_id: "c1", content: "42" },
    ],
  }, [
    /Developer/,
    /Be brief\./,
    /\[image: image\/png, 3 bytes\]/,
    /<code><bdi>f\(\{&quot;a&quot;:1\}\)<\/bdi><\/code>/,
    /42/,
  ]],
  ["completions", { prompt: "Once upon" }, [/Prompt/, /Once upon/]],
  ["responses", {
    instructions: "Rhyme.",
    input: [
      { type: "reasoning", summary: [{ type: "summary_text", text: "Let me see." }] },
      { type: "function_call", call_id: "c2", name: "g", arguments: "{}" },
      { type: "function_call_output", call_id: "c2", output: "done" },
    ],
  }, [/System/, /Rhyme\./, /<details class="reasoning">.*Let me see\./s, /<bdi>g\(\{\}\)<\/bdi>/, /done/]],
  ["messages", {
    system: "Think.",
    messages: [{ role: "user", content: [{ type: "tool_result", tool_use_id: "t", content: "fine" }] }, {
      role: "assistant",
      content: [{ type: "thinking", thinking: "Hm." }, {
        type: "tool_use",
        id: "t",
        name: "h",
        input: { b: 2 },
      }],
    }],
  }, [/Think\./, /fine/, /Hm\./, /<bdi>h\(\{&quot;b&quot;:2\}\)<\/bdi>/]],
];

for (const [api, body, texts] of BODIES) {
  Deno.test(`a record's page reads the ${api} API as a conversation`, async () => {
    const { text } = await ask({ records: [record(1, { body: JSON.stringify(body) })] }, "/records/1");
    for (const expected of texts) assert.match(text, expected);
  });
}

Deno.test("a request that is not a conversation is shown as recorded", async () => {
  const { text } = await ask({ records: [record(1, { body: "not <json>" })] }, "/records/1");
  assert.match(text, /not &lt;json&gt;/);
});

Deno.test("a record's page says how long the request waited for an upstream with room, if it did", async () => {
  assert.doesNotMatch((await ask({ records: [record(7)] }, "/records/7")).text, /Waited for room/);
  const waited = [record(7, { queuedMs: 2_900 })];
  assert.match((await ask({ records: waited }, "/records/7")).text, /Waited for room<\/dt><dd>2\.90/);
});

Deno.test("a record is found by its number and by its request id; else the page says so", async () => {
  const records = [record(7)];
  assert.match((await ask({ records }, "/records/7")).text, /Record 7/);
  assert.match((await ask({ records }, "/records/01JDREQUEST7")).text, /Record 7/);
  const missing = await ask({ records }, "/records/8");
  assert.equal(missing.status, 404);
  assert.match(missing.text, /No record has this number/);
  assert.equal((await ask({ records }, "/nowhere")).status, 404);
});

Deno.test("the page's actions call the service, and report the result", async () => {
  const state = {
    upstreams: [upstream(1), upstream(2)],
    records: [record(5)],
    tokens: [tokenOf("a", { token: "b" })],
  };
  for (
    const [path, fields, call, location] of [
      ["/upstreams/1/move", { place: "2" }, ["moveUpstream", 1, 2], "/admin/upstreams?done=moved#upstream-1"],
      [
        "/upstreams/2/disable",
        {},
        ["editUpstream", 2, { isEnabled: false }],
        "/admin/upstreams?done=disabled#upstream-2",
      ],
      [
        "/upstreams/2/enable",
        {},
        ["editUpstream", 2, { isEnabled: true }],
        "/admin/upstreams?done=enabled#upstream-2",
      ],
      ["/upstreams/2/remove", {}, ["removeUpstream", 2], "/admin/upstreams?done=removed"],
      ["/tokens/revoke", { name: "a" }, ["removeToken", "a"], "/admin/tokens?done=revoked"],
    ] as const
  ) {
    const { status, headers, calls } = await ask(state, path, form(fields));
    assert.deepEqual([status, headers.get("location"), calls], [303, location, [call]], path);
  }
  assert.match((await ask(state, "/upstreams?done=moved")).text, /The order was changed\./);
  assert.ok(!(await ask(state, "/upstreams?done=constructor")).text.includes("notice-good"));
  const replayed = await ask(state, "/records/5/replay", form({ upstream: "" }));
  assert.deepEqual(replayed.calls.filter(([name]) => name !== "neighbours"), [["replay", 5, null]]);
  const made = await ask(state, "/tokens", form({ name: " c " }));
  assert.deepEqual(made.calls, [["addToken", { name: "c" }, null]]);
  assert.match(made.text, /sk-fresh-secret/);
});

Deno.test("the overview says how many clients were refused, who came last, and why", async () => {
  const none = await ask({}, "");
  assert.doesNotMatch(none.text, /refused in the last hour/);
  const last = { address: "192.0.2.7", reason: "wrong_token", atMs: NOW - 60_000 } as const;
  const { text } = await ask({ refused: { lastHour: 12, last, limited: [] } }, "");
  assert.match(text, /<strong>12 requests were refused in the last hour<\/strong>/);
  assert.match(text, /192\.0\.2\.7.*11:59:00.*none of this router.*href="[^"]*admin\/tokens"/s);
  const hostile = { ...last, address: HOSTILE, reason: "no_token" } as const;
  const other = await ask({ refused: { lastHour: 1, last: hostile, limited: [] } }, "");
  assert.match(other.text, /1 request was refused/);
  assert.ok(!other.text.includes(HOSTILE));
});

Deno.test("a name that looks like a token is warned about when the token is made", async () => {
  const warning = /The name looks like a token/;
  assert.match((await ask({}, "/tokens", form({ name: "sk-proj-abcdef" }))).text, warning);
  assert.doesNotMatch((await ask({}, "/tokens", form({ name: "laptop" }))).text, warning);
});

Deno.test("a refusal is shown in the form, with the input", async () => {
  const state = {
    upstreams: [upstream(1)],
    records: [record(5)],
    tokens: [tokenOf("a", { token: "b" })],
    refusal: new RouterError(409, "duplicate", "There is one already"),
  };
  const typed = { endpoint: "https://typed.example/v1", key: "sk-typed-secret", name: "typed" };
  for (
    const [path, fields] of [
      ["/upstreams", typed],
      ["/upstreams/1", typed],
      ["/upstreams/1/move", { place: "9" }],
      ["/upstreams/1/disable", {}],
      ["/upstreams/1/remove", {}],
      ["/upstreams/1/test", {}],
      ["/tokens", { name: "typed" }],
      ["/tokens/revoke", { name: "typed" }],
      ["/records/5/replay", {}],
    ] as const
  ) {
    const { status, text } = await ask(state, path, form(fields));
    assert.equal(status, 409, path);
    assert.match(text, /role="alert"><bdi>There is one already/, path);
    if ("name" in fields) assert.match(text, /typed/, path);
  }
});

Deno.test("other errors are not hidden", async () => {
  const state = { upstreams: [upstream(1)], refusal: new TypeError("a bug") };
  assert.equal((await ask(state, "/upstreams/1/remove", form({}))).status, 500);
});

Deno.test("the upstreams' page has the models, how many each one lists, and a search without a script", async () => {
  const models = [{ model: "gpt-<4>", upstreams: ["one", "two"] }, { model: "other", upstreams: ["two"] }];
  const state = { models, upstreams: [upstream(1, { modelCount: 1234 }), upstream(2)] };
  const all = await ask(state, "/upstreams");
  assert.match(all.text, /1,234 models/);
  assert.match(all.text, /gpt-&lt;4&gt;[\s\S]*one, two[\s\S]*other/);
  const found = await ask(state, "/upstreams?model=gpt");
  assert.match(found.text, /name="model" value="gpt"/);
  assert.doesNotMatch(found.text, />other</);
  assert.match((await ask(state, "/upstreams?model=x")).text, /No model\./);
});

Deno.test("the page of tokens shows what each may do, and forms change it", async () => {
  const amy = tokenOf("amy", {
    ...{
      id: 3,
      budgetUsd: 20,
      budgetPeriod: "month",
      spentUsd: 1.2512,
      rpm: 60,
      allow: ["gpt-4o*"],
      upstreams: ["a"],
    },
    ...{ expiresAtMs: Date.UTC(2099, 0, 31), gate: "whole" },
  });
  const refused = tokenOf(HOSTILE, {
    id: 4,
    state: "refused",
    problem: "its rpm is not a number",
    isEnabled: false,
  });
  const state = { tokens: [tokenOf("plain"), amy, refused] };
  const { text } = await ask(state, "/tokens");
  assert.match(text, /\$1\.25 of \$20 per month · 60\/min · only gpt-4o\* · by a/);
  assert.match(text, /its rpm is not a number/);
  assert.ok(!text.includes("<script>alert"));
  // One of the list cannot be disabled; a row that is refused is named by its number.
  assert.equal(text.match(/action="\/admin\/tokens\/(?:en|dis)able"/g)?.length, 2);
  assert.match(text, /\/admin\/tokens\/edit\?which=4"/);

  const shown = await ask(state, "/tokens/edit?which=amy");
  for (const value of ["20/month", "60", "gpt-4o*", "2099-01-31T00:00:00Z"]) {
    assert.ok(shown.text.includes(`value="${value}"`), value);
  }
  assert.match((await ask(state, "/tokens/edit?which=plain")).text, /becomes a row/);
  assert.equal((await ask(state, "/tokens/edit?which=nobody")).status, 404);
  const same = {
    ...{ which: "amy", name: "amy", budget: "20/month", rpm: "60", tpm: "", parallel: "", allow: "gpt-4o*" },
    ...{ deny: "", upstreams: "a", gate: "whole", expires: "2099-01-31T00:00:00Z" },
  };
  const unchanged = await ask(state, "/tokens/edit", form(same));
  assert.deepEqual([unchanged.status, unchanged.calls], [303, []]);
  const saved = await ask(
    state,
    "/tokens/edit",
    form({ ...same, budget: "", tpm: "9", allow: "o3, o4*", gate: "" }),
  );
  assert.deepEqual(saved.calls, [["editToken", "amy", {
    ...{ tpm: 9, budgetUsd: null, budgetPeriod: null, allow: ["o3", "o4*"], gate: null },
  }]]);
  const wrong = await ask(state, "/tokens/edit", form({ ...same, budget: "much" }));
  assert.deepEqual([wrong.status, wrong.calls], [400, []]);
  assert.match(wrong.text, /such as 20\/month/);
  assert.match(wrong.text, /value="much"/);

  const made = await ask(state, "/tokens", form({ name: "new", rpm: "5", expires: "2099-01-31" }));
  assert.deepEqual(made.calls, [[
    "addToken",
    { name: "new", rpm: 5, expiresAtMs: Date.UTC(2099, 0, 31) },
    null,
  ]]);
  const disabled = await ask(state, "/tokens/disable", form({ which: "amy" }));
  assert.deepEqual(disabled.calls, [["editToken", "amy", { isEnabled: false }]]);
  assert.equal(disabled.headers.get("location"), "/admin/tokens?done=tokenDisabled");
  assert.match((await ask(state, "/tokens/rotate?which=amy")).text, /Give amy a new value\?/);
  const rotated = await ask(state, "/tokens/rotate", form({ which: "amy" }));
  assert.deepEqual(rotated.calls, [["rotateToken", "amy"]]);
  assert.match(rotated.text, /sk-fresh-secret/);
});
