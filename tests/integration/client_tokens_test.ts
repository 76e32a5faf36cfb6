/**
 * Tokens that are rows, from outside: who is let in, and to which models and upstreams.
 */
import assert from "node:assert/strict";
import OpenAI from "openai";
import { addRow, sha256Hex } from "../support/client_token.ts";
import { eventually, Router } from "../support/router.ts";
import { chatEvents, chatReply, FakeUpstream, pieces, reply } from "../support/upstream.ts";

const SECRET = "sk-oar-row-0123456789abcdefghijklmnopqrstuv";
const OTHER = "sk-oar-other-0123456789abcdefghijklmnopqrs";

const as = (secret: string): RequestInit => ({ headers: { authorization: `Bearer ${secret}` } });

async function errorOf(response: Response): Promise<readonly [number, string, string]> {
  const { error } = await response.json();
  return [response.status, error.code ?? error.type, error.message];
}

Deno.test("a row's token is let in by each header, and its name is in the record", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await addRow(router, { name: "amy", secret: SECRET });
  const client = new OpenAI({ baseURL: router.url, apiKey: SECRET, maxRetries: 0 });
  const answer = await client.chat.completions.create({
    model: "m",
    messages: [{ role: "user", content: "hi" }],
  });
  assert.equal(answer.choices[0]?.message.content, "ok");
  for (const headers of [{ "x-api-key": SECRET }, { "api-key": SECRET }] as HeadersInit[]) {
    const answered = await fetch(`${router.url}/chat/completions`, {
      method: "POST",
      headers,
      body: '{"model":"m","messages":[]}',
    });
    assert.equal(answered.status, 200);
    await answered.body?.cancel();
  }
  const records = await router.recorded(3);
  assert.deepEqual(records.map(({ client }) => client), ["amy", "amy", "amy"]);
  assert.equal(records[0]?.["authorization"], "sk-…stuv");
  // Nor the digest itself is a token.
  assert.equal((await router.chat({}, as(sha256Hex(SECRET)))).status, 403);
  assert.equal((await router.chat()).status, 200);
});

Deno.test("a disabled and an expired token get 403 with the reason, also once they were accepted", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await addRow(router, { name: "amy", secret: SECRET });
  await (await router.chat({}, as(SECRET))).body?.cancel();
  router.execute("UPDATE client_tokens SET expires_at = '2026-01-31 10:00:00+00:00'");
  const expired = await eventually(async () => {
    const response = await router.chat({}, as(SECRET));
    if (response.status === 403) return await errorOf(response);
    await response.body?.cancel();
    return null;
  }, "the token to expire");
  assert.deepEqual(expired.slice(0, 2), [403, "token_expired"]);
  assert.match(expired[2], /^The token amy expired at 2026-01-31T10:00:00Z;/);
  router.execute("UPDATE client_tokens SET enabled = 0");
  const disabled = await eventually(async () => {
    const error = await errorOf(await router.chat({}, as(SECRET)));
    return error[1] === "token_expired" ? null : error;
  }, "the token to be disabled");
  assert.deepEqual(disabled, [
    403,
    "token_disabled",
    "The token amy is disabled; ask whoever runs this router",
  ]);
  // In Anthropic's form, too; and metrics ask for a token that may be used.
  const messages = await fetch(`${router.url}/messages`, {
    method: "POST",
    headers: { "x-api-key": SECRET },
    body: '{"model":"m","messages":[]}',
  });
  assert.deepEqual([messages.status, (await messages.json()).error.type], [403, "permission_error"]);
  router.execute("DELETE FROM client_tokens");
  await eventually(async () => {
    const error = await errorOf(await router.chat({}, as(SECRET)));
    return error[1] === "invalid_authorization" ? error : null;
  }, "the token to be unknown");
});

Deno.test("an expiry that passes between two requests counts, though the token is known", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const soon = new Date(Date.now() + 1500).toISOString().replace("T", " ").replace("Z", "+00:00");
  await addRow(router, { name: "amy", secret: SECRET, expires_at: soon });
  await eventually(async () => {
    const response = await router.chat({}, as(SECRET));
    await response.body?.cancel();
    return response.status === 403 ? true : null;
  }, "the expiry");
});

Deno.test("metrics take a row's token only while it may be used", async () => {
  await using router = await Router.start({ args: ["--metrics-auth"] });
  await addRow(router, { name: "amy", secret: SECRET });
  await addRow(router, { name: "bob", secret: OTHER, enabled: 0 });
  const statusOf = async (secret: string) => {
    const response = await fetch(`${router.url}/metrics`, as(secret));
    await response.body?.cancel();
    return response.status;
  };
  assert.deepEqual([await statusOf(SECRET), await statusOf(OTHER), await statusOf("sk-no")], [200, 403, 403]);
});

Deno.test("a token's models: allowed, denied, by alias, without a model, and in every spelling", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, modelMap: '{"fast":"secret-model"}' }],
  });
  await addRow(router, { name: "amy", secret: SECRET, allow: "gpt-4o*,fast", deny: "gpt-4o-audio*" });
  const seen = async (body: string, path = "/chat/completions", headers: Record<string, string> = {}) => {
    const response = await fetch(`${router.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${SECRET}`, "content-type": "application/json", ...headers },
      body,
    });
    if (response.status === 200) {
      await response.body?.cancel();
      return "200";
    }
    const [status, code] = await errorOf(response);
    return `${status} ${code}`;
  };
  assert.equal(await seen('{"model":"gpt-4o-mini","messages":[]}'), "200");
  assert.equal(await seen('{"model":"fast","messages":[]}'), "200");
  assert.equal(JSON.parse(upstream.requests.at(-1)?.text ?? "{}").model, "secret-model");
  const refused = "403 model_not_allowed";
  assert.equal(await seen('{"model":"gpt-4o-audio-preview","messages":[]}'), refused);
  assert.equal(await seen('{"model":"secret-model","messages":[]}'), refused);
  assert.equal(await seen('{"model":"GPT-4O","messages":[]}'), refused);
  assert.equal(await seen('{"messages":[]}'), refused);
  assert.equal(await seen('{"model":null,"messages":[]}'), refused);
  assert.equal(await seen('{"model":"o3","messages":[]}', "/messages"), "403 permission_error");
  assert.equal(await seen("{}", "/openai/deployments/o3/chat/completions"), refused);
  // One that two programs may read in two ways is refused as a whole.
  for (
    const body of [
      '{"model":"gpt-4o","model":"o3","messages":[]}',
      '{"model":"gpt-4o","mod\\u0065l":"o3","messages":[]}',
      '{"model":"gpt-4o","messages":[]} {"model":"o3"}',
      '\ufeff{"model":"gpt-4o"',
    ]
  ) assert.match(await seen(body), /^400 invalid_request$/, body);
  assert.match(await seen("junk", "/chat/completions", { "content-encoding": "zstd" }), /^400 /);
  const asked = upstream.requests.length;
  const message = await errorOf(await router.chat({ model: "o3" }, as(SECRET)));
  assert.match(
    message[2],
    /The token amy may not use the model o3; allowed: gpt-4o\*, fast; not allowed: gpt/,
  );
  assert.equal(upstream.requests.length, asked);
  // Others are not held to it, nor read more strictly.
  assert.equal((await router.chat({ model: "o3" })).status, 200);
});

Deno.test("a token without rules makes no request strict", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await addRow(router, { name: "amy", secret: SECRET, upstreams: "1" });
  const response = await fetch(`${router.url}/chat/completions`, {
    ...as(SECRET),
    method: "POST",
    body: '{"model":"a","model":"b","messages":[]}',
  });
  assert.equal(response.status, 200);
  await response.body?.cancel();
});

Deno.test("a token's upstreams: only these are asked, by name or number, also as failover and owner", async () => {
  const named = reply(
    200,
    '{"id":"resp_made0123456789","object":"response","status":"completed","output":[]}',
  );
  await using first = new FakeUpstream(named);
  await using second = new FakeUpstream(chatReply("from the second"));
  await using third = new FakeUpstream(reply(500, "{}"));
  await using router = await Router.start({
    upstreams: [
      { endpoint: first.endpoint, name: "first" },
      { endpoint: second.endpoint, name: "second" },
      { endpoint: third.endpoint, name: "third" },
    ],
  });
  await addRow(router, { name: "amy", secret: SECRET, upstreams: "third,2" });
  await addRow(router, { name: "bob", secret: OTHER, upstreams: "gone" });
  const response = await router.chat({}, as(SECRET));
  assert.equal(response.headers.get("x-oar-upstream"), "second");
  await response.body?.cancel();
  second.script = reply(500, "{}");
  const failed = await router.chat({}, as(SECRET));
  assert.equal(failed.status, 500);
  await failed.body?.cancel();
  assert.equal(first.requests.length, 0);

  // The first one owns the id, but this token may not ask it.
  const made = await router.fetch("/responses", { method: "POST", body: '{"model":"m","input":"x"}' });
  assert.equal(made.headers.get("x-oar-upstream"), "first");
  await made.body?.cancel();
  const asked = first.requests.length;
  for (const method of ["GET", "DELETE"]) {
    const found = await router.fetch("/responses/resp_made0123456789", { method, ...as(SECRET) });
    await found.body?.cancel();
    assert.equal(first.requests.length, asked, method);
  }
  const [status, code, message] = await errorOf(await router.chat({}, as(OTHER)));
  assert.deepEqual([status, code], [403, "model_not_allowed"]);
  assert.match(message, /none of the upstreams that it may use is there/);
});

Deno.test("each token sees the models that it may use, with a tag of its own", async () => {
  const list = (...ids: string[]) =>
    reply(200, JSON.stringify({ object: "list", data: ids.map((id) => ({ id, object: "model" })) }));
  await using first = new FakeUpstream(list("gpt-4o", "gpt-4o-mini", "o3"));
  await using second = new FakeUpstream(list("claude", "gpt-4o-old"));
  await using router = await Router.start({
    upstreams: [
      { endpoint: first.endpoint, name: "first" },
      { endpoint: second.endpoint, name: "second" },
    ],
    env: { OAR_MODELS: "union" },
  });
  await addRow(router, { name: "amy", secret: SECRET, allow: "gpt-4o*", upstreams: "first" });
  await addRow(router, { name: "bob", secret: OTHER, deny: "o3", upstreams: "second,first" });
  const seen = async (secret: string) => {
    const response = await fetch(`${router.url}/models`, as(secret));
    const ids = (await response.json()).data.map(({ id }: { id: string }) => id);
    return {
      ids,
      tag: response.headers.get("etag") ?? "",
      upstreams: response.headers.get("x-oar-upstreams"),
    };
  };
  const amy = await seen(SECRET);
  const bob = await seen(OTHER);
  const all = await seen(router.token);
  assert.deepEqual(amy.ids, ["gpt-4o", "gpt-4o-mini"]);
  assert.equal(amy.upstreams, "first");
  assert.deepEqual(bob.ids, ["gpt-4o", "gpt-4o-mini", "claude", "gpt-4o-old"]);
  assert.deepEqual(all.ids, ["gpt-4o", "gpt-4o-mini", "o3", "claude", "gpt-4o-old"]);
  assert.equal(new Set([amy.tag, bob.tag, all.tag]).size, 3);
  const again = await fetch(`${router.url}/models`, {
    headers: { authorization: `Bearer ${SECRET}`, "if-none-match": all.tag },
  });
  assert.equal(again.status, 200);
  await again.body?.cancel();
  const one = (secret: string, id: string) => fetch(`${router.url}/models/${id}`, as(secret));
  for (
    const [secret, id, status] of [[SECRET, "o3", 404], [SECRET, "claude", 404], [
      SECRET,
      "gpt-4o",
      200,
    ]] as const
  ) {
    const response = await one(secret, id);
    await response.body?.cancel();
    assert.equal(response.status, status, id);
  }
});

Deno.test("a token's gate mode holds its streams, unless a request says otherwise", async () => {
  const content = chatEvents(["hello"]);
  // Its end is an error, so whoever holds a stream whole asks the other one.
  await using cut = new FakeUpstream(
    pieces([...content.slice(0, 2), 'data: {"error":{"message":"no"}}\n\n']),
  );
  await using whole = new FakeUpstream(pieces(content));
  await using router = await Router.start({
    args: ["--gate", "content"],
    upstreams: [{ endpoint: cut.endpoint, name: "cut" }, { endpoint: whole.endpoint, name: "whole" }],
  });
  await addRow(router, { name: "amy", secret: SECRET, gate: "whole" });
  const upstreamOf = async (headers: Record<string, string>) => {
    const response = await router.chat({ stream: true }, { headers });
    await response.text().catch(() => {});
    return response.headers.get("x-oar-upstream");
  };
  const authorization = `Bearer ${SECRET}`;
  assert.equal(await upstreamOf({ authorization }), "whole");
  assert.equal(await upstreamOf({ authorization: `Bearer ${router.token}` }), "cut");
  assert.equal(await upstreamOf({ authorization, "x-oar-gate": "content" }), "cut");
});

Deno.test("a token with rules about models names one model only, wherever upstreams read more", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await addRow(router, { name: "amy", secret: SECRET, allow: "small*" });
  await addRow(router, { name: "bob", secret: OTHER });
  const statuses = async (body: Record<string, unknown>) => {
    const sent = await Promise.all([SECRET, OTHER].map((secret) => router.chat(body, as(secret))));
    await Promise.all(sent.map((response) => response.body?.cancel()));
    return sent.map(({ status }) => status);
  };
  assert.deepEqual(await statuses({ model: "small", models: ["large"] }), [400, 200]);
  assert.deepEqual(await statuses({ model: "small", fallbacks: [{ model: "large" }] }), [400, 200]);
  assert.deepEqual(await statuses({ model: "small", models: [] }), [200, 200]);
  assert.deepEqual(await statuses({ model: "small", fallbacks: null }), [200, 200]);
  const refusal = await router.chat({ model: "small", models: ["large"] }, as(SECRET));
  assert.match(
    (await errorOf(refusal))[2],
    /this token has rules about models and its `models` names further ones/,
  );
});
