/**
 * The `records` commands as processes next to a running router.
 */
import assert from "node:assert/strict";
import { programCommand, Router, runProgram } from "../support/router.ts";
import { chatEvents, chatReply, FakeUpstream, reply, stream } from "../support/upstream.ts";
import { makeRecord, makeWriter, withDirectory } from "../unit/store/support.ts";

Deno.test("records are listed, shown, exported and replayed next to the running server", async () => {
  await using broken = new FakeUpstream(reply(503, '{"error":{"message":"busy"}}'));
  await using upstream = new FakeUpstream(stream(chatEvents(["The ", "pelican ", "flies."])));
  await using second = new FakeUpstream(chatReply("The heron flies."));
  await using router = await Router.start({
    upstreams: [
      { endpoint: broken.endpoint, name: "broken" },
      { endpoint: upstream.endpoint, name: "good" },
      { endpoint: second.endpoint, name: "second" },
    ],
  });
  const response = await router.chat({ stream: true });
  await response.text();
  const requestId = response.headers.get("x-oar-request-id") ?? "";
  await router.recordOf(response);
  const records = async (...args: string[]) =>
    await runProgram(["records", ...args], { cwd: router.directory });

  const [listed, shown, exported, replayed, missing] = await Promise.all([
    records("list", "--text", "pelican"),
    records("show", requestId),
    records("export", "--format", "openai-finetune"),
    records("replay", requestId, "--upstream", "second"),
    records("show", "999"),
  ]);
  assert.match(listed.stdout, /^1 +.* test-model +200 +complete +good +2 .* The pelican flies\.$/m);
  assert.match(shown.stdout, /── user ──\n {2}hi\n[^]*── reply ──\n {2}The pelican flies\.\n/);
  assert.match(shown.stdout, /^ {2}1 +broken .* 503 +http_status /m);
  assert.deepEqual(JSON.parse(exported.stdout), {
    messages: [{ role: "user", content: "hi" }, { role: "assistant", content: "The pelican flies." }],
  });
  assert.match(replayed.stdout, /\n- The pelican flies\.\n\+ The heron flies\.\n$/);
  assert.deepEqual(second.requests[0]?.text, upstream.requests[0]?.text);
  assert.deepEqual([listed, shown, exported, replayed].map(({ code }) => code), [0, 0, 0, 0]);
  assert.deepEqual([missing.code, missing.stdout], [1, ""]);
  assert.match(missing.stderr, /^openai-api-route: no record has that number or request id[^\n]*\n$/);
  assert.equal(router.records().length, 1);
});

Deno.test("tail -f prints each request as it ends, and Ctrl-C ends it with 0", async () => {
  await using upstream = new FakeUpstream(chatReply("first"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "up" }] });
  await (await router.chat()).text();
  await router.recorded(1);
  const { command, args } = programCommand();
  const tail = new Deno.Command(command, {
    args: [...args, "records", "tail", "-n", "5", "-f", "--json"],
    cwd: router.directory,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = tail.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  const readLine = async (): Promise<Record<string, unknown>> => {
    while (!text.includes("\n")) {
      const { done, value } = await output.read();
      assert.ok(!done, "tail ended");
      text += value;
    }
    const [line = "", ...rest] = text.split("\n");
    text = rest.join("\n");
    return JSON.parse(line);
  };
  assert.equal((await readLine())["response"], "first");
  upstream.script = chatReply("second");
  await (await router.chat()).text();
  const followed = await readLine();
  assert.deepEqual([followed["response"], followed["outcome"], followed["upstream"]], [
    "second",
    "complete",
    "up",
  ]);
  tail.kill("SIGINT");
  assert.equal((await tail.status).code, 0);
  await output.cancel();
});

Deno.test("an export of many records uses the memory of a few", () =>
  withDirectory(async (path, directory) => {
    const { writer } = makeWriter(path);
    const text = "x".repeat(20_000);
    let last: Promise<unknown> = Promise.resolve();
    for (let n = 1; n <= 10_000; n++) {
      last = writer.write(makeRecord({ body: "{}", response: `${n} ${text}` }));
      if (n % 500 === 0) await last;
    }
    await writer.close();
    const { command, args } = programCommand();
    const child = new Deno.Command(command, {
      args: [...args, "records", "export", "--format", "jsonl"],
      cwd: directory,
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    let lines = 0;
    let bytes = 0;
    let peakBytes = 0;
    for await (const chunk of child.stdout) {
      bytes += chunk.length;
      for (const byte of chunk) if (byte === 0x0a) lines++;
      peakBytes = Math.max(peakBytes, residentBytes(child.pid));
    }
    assert.equal((await child.status).code, 0);
    assert.equal(lines, 10_000);
    assert.ok(bytes > 200_000_000);
    // The program itself takes about 100 MB before it reads anything.
    assert.ok(peakBytes < 350_000_000, `${peakBytes} bytes`);
  }));

/** 0 without /proc, and after the process has ended. */
function residentBytes(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}
