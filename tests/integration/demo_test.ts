/**
 * `deno task demo` shows what it promises, exits by itself, and cleans up.
 */
import assert from "node:assert/strict";

const script = new URL("../../scripts/demo.ts", import.meta.url).pathname;
const REPLY =
  "I ask the next one, and you only notice that the answer came. Every word of it is in the database.";

/** Starts the demo with a separate temporary folder, so that leftovers can be found. */
function startDemo(directory: string, args: readonly string[] = []): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, ...args],
    // The caller's settings must not reach the demo's router.
    env: { TMPDIR: directory, OAR_ADDR: "nonsense", OAR_DATABASE: "/nonexistent/db.sqlite" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "oar-demo-test-" });
  try {
    await use(directory);
    assert.deepEqual([...Deno.readDirSync(directory)], [], "the demo left something behind");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("the demo shows reply, record, attempts and metrics, and ends with 0", async () => {
  await withDirectory(async (directory) => {
    const child = startDemo(directory);
    const { code, stdout, stderr } = await child.output();
    const text = new TextDecoder().decode(stdout);
    assert.equal(code, 0, `${text}\n${new TextDecoder().decode(stderr)}`);
    assert.ok(text.includes(`?\n${REPLY}\n`), text);
    assert.match(text, new RegExp(`^response +${REPLY}$`, "m"));
    assert.match(text, /^upstream_id +2$/m);
    assert.match(text, /^outcome +complete$/m);
    assert.match(text, /^attempts +2$/m);
    assert.match(text, /^1 +1 +503 +http_status /m);
    assert.match(text, /^2 +2 +200 +- /m);
    assert.match(text, /^openai_api_route_attempts_total\{upstream="broken",result="http_status"\} 1$/m);
    assert.match(text, /^openai_api_route_attempts_total\{upstream="working",result="ok"\} 1$/m);
    // deno-lint-ignore no-control-regex -- colours are what it looks for
    assert.doesNotMatch(text, /\x1b/);
    assert.doesNotMatch(text, /nonsense/);
  });
});

Deno.test("the demo with --keep keeps running, answers its own curl line, and stops on a signal", async () => {
  await withDirectory(async (directory) => {
    const child = startDemo(directory, ["--keep"]);
    const errors = new Response(child.stderr).text();
    let text = "";
    for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += part;
      const request = /^curl -N (\S+) -H "authorization: (Bearer \S+)"/m.exec(text);
      const page = /^the page: (\S+)\nits token: (admin-\S+)\n/m.exec(text);
      if (request === null || page === null) continue;
      const [, url = "", authorization = ""] = request;
      const body = /-d '(.*)'/.exec(text)?.[1] ?? "";
      const response = await fetch(url, { method: "POST", headers: { authorization }, body });
      assert.match(await response.text(), /data: \[DONE\]/);
      assert.equal(response.headers.get("x-oar-upstream"), "working");
      const [, link = "", adminToken = ""] = page;
      const opened = await fetch(link, { headers: { authorization: `Bearer ${adminToken}` } });
      assert.equal(opened.status, 200, await opened.text());
      child.kill("SIGTERM");
    }
    const { code } = await child.status;
    assert.equal(code, 0, `${text}\n${await errors}`);
  });
});

Deno.test("the demo refuses a flag that it does not know", async () => {
  await withDirectory(async (directory) => {
    const { code, stderr } = await startDemo(directory, ["--kep"]).output();
    assert.equal(code, 2);
    assert.match(new TextDecoder().decode(stderr), /unknown flag --kep/);
  });
});
