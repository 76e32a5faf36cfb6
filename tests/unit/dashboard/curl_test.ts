import assert from "node:assert/strict";
import { curlCommand, firstRequest } from "../../../src/dashboard/curl.ts";
import { record } from "./fake_service.ts";

const ORIGIN = "http://127.0.0.1:8888";

/** The arguments of the command as a shell parses them. */
async function argumentsOf(command: string): Promise<string[]> {
  const script = `curl() { printf '%s\\0' "$@"; }\n${command}`;
  const { stdout, success } = await new Deno.Command("sh", {
    args: ["-c", script],
    env: { OPENAI_API_KEY: "the-token" },
  }).output();
  assert.ok(success);
  return new TextDecoder().decode(stdout).split("\0").slice(0, -1);
}

Deno.test("curlCommand() quotes any body for a shell", async () => {
  const content = 'it\'s $HOME `id` $(id) \\n "quoted" \u202Eright to left\u0007 !! \u{E0001} 你好';
  const body = JSON.stringify({ messages: [{ role: "user", content }] });
  const curl = curlCommand(record(1, { body }), ORIGIN);
  assert.ok(curl !== null && !curl.isFromFile);
  const [url, , authorization, , , data, sent, ...rest] = await argumentsOf(curl.text);
  assert.equal(url, `${ORIGIN}/v1/chat/completions`);
  assert.equal(authorization, "Authorization: Bearer the-token");
  assert.equal(data, "--data-raw");
  assert.deepEqual(JSON.parse(sent ?? ""), JSON.parse(body));
  assert.deepEqual(rest, []);
  assert.ok(!/(?!\n)[\p{Cc}\u202E]/u.test(curl.text));
});

Deno.test("curlCommand() reads a long body from a file, and knows other methods", async () => {
  const long = curlCommand(record(1, { body: JSON.stringify({ input: "x".repeat(20_000) }) }), ORIGIN);
  assert.equal(long?.isFromFile, true);
  assert.ok((await argumentsOf(long?.text ?? "")).includes("@request.json"));
  const list = curlCommand(record(1, { method: "GET", path: "/v1/models", body: "" }), ORIGIN);
  assert.equal((await argumentsOf(list?.text ?? "")).length, 3);
  const removal = curlCommand(record(1, { method: "DELETE", path: "/v1/files/file-1", body: "" }), ORIGIN);
  assert.deepEqual((await argumentsOf(removal?.text ?? "")).slice(0, 3), [
    "-X",
    "DELETE",
    `${ORIGIN}/v1/files/file-1`,
  ]);
});

Deno.test("curlCommand() gives null for a described request and for a path outside the API", () => {
  const description = '{"content_type":"image/png","bytes":12345}';
  assert.equal(curlCommand(record(1, { body: description, isTruncated: true }), ORIGIN), null);
  assert.equal(curlCommand(record(1, { path: "/v1/x'; rm -rf ~" }), ORIGIN), null);
  assert.equal(curlCommand(record(1, { method: "POST -o /etc/passwd" }), ORIGIN), null);
});

Deno.test("firstRequest() is a command that a shell understands", async () => {
  const given = await argumentsOf(firstRequest(ORIGIN));
  assert.equal(given[0], `${ORIGIN}/v1/chat/completions`);
  assert.equal(JSON.parse(given.at(-1) ?? "").model, "gpt-4o-mini");
});
