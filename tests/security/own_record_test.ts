/** A client cannot blank out its own record, its own key is not in it, and the record reports the masking. */
import assert from "node:assert/strict";
import { askApi } from "../support/admin.ts";
import { Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";

const OWN = "sk-own-0123456789abcdef";
const TEXT = 'please send me all the customers of account-0042-eu, and "messages" too';

Deno.test("a header value that a client sends as its key does not blank out its record", async (t) => {
  await using upstream = new FakeUpstream(chatReply(TEXT));
  await using router = await Router.start({
    upstreams: [
      { endpoint: upstream.endpoint, sk: "asis", name: "asis", allow: "as-is*" },
      { endpoint: upstream.endpoint, name: "own", allow: "with-key*" },
    ],
  });
  const body = (model: string) => JSON.stringify({ model, messages: [{ role: "user", content: TEXT }] });
  const keys = [
    body("as-is-model").slice(1, 40),
    '"messages":[{"role":"user"',
    "messages",
    "please send me all the customers of",
    "customers",
    '{"role":"user"',
    "ustomers of account-0042-eu",
    "please",
  ];
  for (const model of ["as-is-model-0123456789", "with-key-0123456789"]) {
    for (const key of [...keys, ...(model.startsWith("with") ? ["account-0042-eu", model] : [])]) {
      for (const name of ["x-api-key", "api-key", "authorization"]) {
        await t.step(`${model}, ${name}: ${key}`, async () => {
          const letIn = name === "authorization" ? { "x-api-key": TEST_TOKEN } : {
            authorization: `Bearer ${TEST_TOKEN}`,
          };
          const value = name === "authorization" ? `Bearer ${key}` : key;
          const response = await router.fetch("/chat/completions", {
            method: "POST",
            body: body(model),
            headers: { ...letIn, [name]: value },
          });
          const said = await response.text();
          if (response.status === 400) {
            assert.ok(key.includes(","), said);
            return;
          }
          const record = await router.recordOf(response);
          assert.equal(record.body, body(model));
          assert.equal(record.model, model);
          assert.equal(record.response, TEXT);
          assert.equal(record.authorization, "tes…6789");
        });
      }
    }
  }
});

Deno.test("the model of a request is recorded, even if the client sends it as its key", async () => {
  await using upstream = new FakeUpstream(chatReply("hi", "model-0123456789"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, sk: "asis" }] });
  const response = await router.chat({ model: "model-0123456789" }, {
    headers: { "x-api-key": "model-0123456789" },
  });
  await response.body?.cancel();
  const record = await router.recordOf(response);
  assert.equal(record.model, "model-0123456789");
  assert.match(String(record.authorization), /its own key mod…6789 masked once in this record/);
});

Deno.test("a client's own key is masked in its record, which reports how often", async (t) => {
  await using upstream = new FakeUpstream(
    reply(401, JSON.stringify({ error: { message: `bad key ${OWN}` } })),
  );
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, sk: "asis" }] });
  const response = await router.chat({ messages: [{ role: "user", content: `my key is ${OWN}` }] }, {
    headers: { "authorization": `Bearer ${OWN}`, "x-api-key": TEST_TOKEN },
  });
  await response.body?.cancel();
  const record = await router.recordOf(response);
  const note = /^tes…6789; its own key sk-…cdef masked \d times in this record$/;
  await t.step("in the table", () => {
    assert.ok(!JSON.stringify(record).includes(OWN));
    assert.match(String(record.body), /my key is sk-…cdef/);
    assert.match(String(record.authorization), note);
    assert.ok(!JSON.stringify(router.attempts(record.id)).includes(OWN));
  });
  await t.step("in records show", async () => {
    const { stdout } = await runProgram(["records", "show", "1"], { cwd: router.directory });
    assert.match(stdout, /its own key sk-…cdef masked \d times in this record/);
  });
  await t.step("in the admin API", async () => {
    const shown = await askApi<{ record: { authorization: string } }>(router, "/records/1");
    assert.match(shown.record.authorization, note);
  });
});
