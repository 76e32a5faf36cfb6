/** What a server writes on its two streams, whoever reads them. */
import assert from "node:assert/strict";
import { eventually, programCommand, Router, runProgram } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

/** Every line as JSON with the fields that each has. */
function parsedLines(text: string): Record<string, unknown>[] {
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const value = JSON.parse(line);
    for (const field of ["time", "level", "logger", "message"]) {
      assert.equal(typeof value[field], "string", line);
    }
    return value;
  });
}

Deno.test("with --log-format json, every line of a server's life is JSON", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  const router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--log-format", "json"],
    env: { OAR_KEEPDAYS: "7" },
  });
  await (await router.chat()).text();
  await router.recorded(1);
  await router[Symbol.asyncDispose]();
  const lines = parsedLines(router.text);
  const messages = lines.map(({ message }) => String(message));
  assert.ok(messages.some((message) => message.startsWith("listening on http://127.0.0.1:")));
  assert.ok(messages.some((message) => message.startsWith("admin page on ")));
  assert.ok(messages.some((message) => /OAR_KEEPDAYS is not known.*OAR_KEEP_DAYS/.test(message)));
  assert.ok(messages.some((message) => message.startsWith("POST /v1/chat/completions")));
  assert.equal(messages.at(-1), "stopped");
});

Deno.test("with JSON logs, a new database is announced and a failed start explained in JSON, too", async () => {
  const cwd = await Deno.makeTempDir();
  try {
    const taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const addr = `127.0.0.1:${taken.addr.port}`;
    const failures: readonly (readonly [args: string[], env: Record<string, string>, message: RegExp])[] = [
      [["serve", "--log-format", "json", "--addr", addr], {}, /^Cannot listen on .* in use/],
      [["-log-format=JSON", "-addr", addr], {}, /^Cannot listen on /],
      [["--addr", addr], { OAR_LOG_FORMAT: "json", OAR_DEBUG: "1" }, /^Cannot listen on /],
      [["--log-format", "json", "--gate-ms", "soon"], {}, /^--gate-ms cannot be "soon"/],
      [["--log-format", "json", "--nonsense"], {}, /^unknown flag --nonsense/],
      [
        ["--log-format", "json", "--ca-file", `${cwd}/none.pem`],
        {},
        /^Cannot use the certificates of --ca-file/,
      ],
      [
        ["--log-format", "json"],
        { HTTPS_PROXY: "ftp://hunter22@proxy" },
        /^HTTPS_PROXY is not the URL of a proxy/,
      ],
    ];
    for (const [args, env, expected] of failures) {
      const { code, stdout, stderr } = await runProgram(args, { cwd, env });
      assert.notEqual(code, 0);
      assert.equal(stdout, "");
      const [line, ...others] = parsedLines(stderr);
      assert.deepEqual([line?.level, others], ["fatal", []]);
      assert.match(String(line?.message), expected);
      assert.doesNotMatch(stderr, /hunter22/);
    }
    taken.close();
    assert.deepEqual([...Deno.readDirSync(cwd)], [], "no failed start has made a database");

    const { stderr } = await runProgram(["list", "--nonsense"], { cwd, env: { OAR_LOG_FORMAT: "json" } });
    assert.match(stderr, /^openai-api-route: unknown flag/, "other commands talk to people");

    await using router = await Router.start({ directory: cwd, args: ["--log-format", "json"] });
    const messages = parsedLines(router.text).map(({ message }) => String(message));
    assert.match(messages.join("\n"), /^new database .*\nclients must send this token.*: sk-oar-/);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
});

/** Starts the program with pipes in non-blocking mode that nobody reads for a while, as a parent in Node does. */
const NONBLOCKING = `
import fcntl, os, subprocess, sys
read_end, write_end = os.pipe()
fcntl.fcntl(write_end, fcntl.F_SETFL, fcntl.fcntl(write_end, fcntl.F_GETFL) | os.O_NONBLOCK)
filler = b"." * 4096
try:
    while True: os.write(write_end, filler)
except BlockingIOError: pass
child = subprocess.Popen(sys.argv[1:], stdout=write_end, stderr=write_end, stdin=subprocess.DEVNULL)
os.close(write_end)
sys.stdin.readline()
text = b""
while b"listening on" not in text: text += os.read(read_end, 65536)
child.terminate()
while True:
    piece = os.read(read_end, 65536)
    if not piece: break
    text += piece
sys.stdout.write(text.replace(b".", b"").decode("utf-8", "replace"))
sys.exit(child.wait())
`;

Deno.test({
  name: "a server whose output is a full pipe in non-blocking mode serves, and loses no line",
  ignore: !await hasPython(),
  fn: async () => {
    await using upstream = new FakeUpstream(chatReply("hello"));
    const cwd = await Deno.makeTempDir();
    try {
      await runProgram(["add", "--no-test", "--key", "sk-test-0123456789", "--endpoint", upstream.endpoint], {
        cwd,
      });
      const probe = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const { port } = probe.addr;
      probe.close();
      const { command, args } = programCommand();
      const child = new Deno.Command("python3", {
        args: ["-c", NONBLOCKING, command, ...args, "serve", "--addr", `127.0.0.1:${port}`],
        cwd,
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
      }).spawn();
      await eventually(async () => {
        const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => null);
        await answer?.body?.cancel();
        return answer;
      }, "an answer");
      const go = child.stdin.getWriter();
      await go.write(new TextEncoder().encode("read\n"));
      await go.close();
      const { code, stdout } = await child.output();
      const text = new TextDecoder().decode(stdout).replaceAll(".", "");
      assert.equal(code, 0);
      for (const line of ["listening on", "admin page on", "serving from", "stopped"]) {
        assert.ok(text.includes(line), `${line} in ${text}`);
      }
    } finally {
      await Deno.remove(cwd, { recursive: true });
    }
  },
});

async function hasPython(): Promise<boolean> {
  try {
    return (await new Deno.Command("python3", { args: ["--version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

/** Reads slowly from a pipe in non-blocking mode, and prints what came. */
const SLOW_READER = `
import fcntl, os, subprocess, sys, time
read_end, write_end = os.pipe()
fcntl.fcntl(write_end, fcntl.F_SETFL, fcntl.fcntl(write_end, fcntl.F_GETFL) | os.O_NONBLOCK)
child = subprocess.Popen(sys.argv[1:], stdout=write_end, stdin=subprocess.DEVNULL)
os.close(write_end)
while True:
    piece = os.read(read_end, 65536)
    if not piece: break
    sys.stdout.buffer.write(piece)
    time.sleep(0.002)
sys.exit(child.wait())
`;

Deno.test({
  name: "a long export into a pipe in non-blocking mode is the same as into a file",
  ignore: !await hasPython(),
  fn: async () => {
    const long = "0123456789".repeat(12_000);
    await using upstream = new FakeUpstream(chatReply(long));
    await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
    for (let n = 0; n < 4; n++) await (await router.chat()).text();
    await router.recorded(4);
    const exporting = ["records", "export", "--format", "jsonl"];
    const plain = await runProgram(exporting, { cwd: router.directory });
    assert.ok(plain.stdout.length > 4 * long.length);
    const { command, args } = programCommand();
    const { code, stdout } = await new Deno.Command("python3", {
      args: ["-c", SLOW_READER, command, ...args, ...exporting],
      cwd: router.directory,
      stderr: "null",
    }).output();
    assert.equal(code, 0);
    assert.ok(
      new TextDecoder().decode(stdout) === plain.stdout,
      "what came through the pipe is not the export",
    );
  },
});
