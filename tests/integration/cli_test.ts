/**
 * The program as a process: arguments, streams and exit code.
 */
import assert from "node:assert/strict";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const KEY = "sk-0123456789abcdefHIDEMEwxyz";

interface ProcessResult {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

interface ProcessOptions {
  readonly cwd: string;
  readonly input?: string;
  readonly env?: Record<string, string>;
}

async function run(args: readonly string[], { cwd, input, env }: ProcessOptions): Promise<ProcessResult> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, ...args],
    cwd,
    env: { NO_COLOR: "1", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input ?? ""));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { exitCode: code, out: decode(stdout), err: decode(stderr) };
}

async function inTempDir(body: (cwd: string) => Promise<void>): Promise<void> {
  const cwd = await Deno.makeTempDir();
  try {
    await body(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("the Go spellings add and list an upstream in ./db.sqlite, private to its owner", () =>
  inTempDir(async (cwd) => {
    const args = ["-add", "-sk", KEY, "-endpoint", "https://a.example/v1", "--no-test"];
    const added = await run(args, { cwd });
    assert.equal(added.out, 'added upstream 1 "a.example" https://a.example/v1 (key sk-…wxyz)\n');
    assert.match(
      added.err,
      /^created database \/\S+\/db\.sqlite\nclients must send this token, .*sk-oar-\S+\n$/,
    );
    assert.equal(added.exitCode, 0);
    assert.equal(((await Deno.stat(`${cwd}/db.sqlite`)).mode ?? 0) & 0o777, 0o600);
    const listed = await run(["-list"], { cwd });
    assert.match(
      listed.out,
      /^PLACE .*\n1 +1 +a\.example +untested +sk-…wxyz +- +https:\/\/a\.example\/v1\n$/,
    );
    assert.deepEqual([listed.err, listed.exitCode], ["", 0]);
  }));

Deno.test("a key is read from a pipe and shown nowhere", () =>
  inTempDir(async (cwd) => {
    const env = { OAR_DATABASE: "other.sqlite" };
    const added = await run(["add", "--key", "-", "--no-test"], { cwd, env, input: `${KEY}\n` });
    const listed = await run(["list", "--json", "--database", "other.sqlite"], { cwd });
    assert.deepEqual([added.exitCode, listed.exitCode], [0, 0]);
    assert.equal(JSON.parse(listed.out)[0].key, "sk-…wxyz");
    assert.doesNotMatch(added.out + added.err + listed.out + listed.err, /HIDEME/);
  }));

Deno.test("usage errors exit with 2, failures with 1, each with one line and no stack trace", () =>
  inTempDir(async (cwd) => {
    await Deno.writeTextFile(`${cwd}/notes.txt`, "these are my notes, not a database\n".repeat(10));
    const cases: readonly (readonly [args: readonly string[], exitCode: number, expected: RegExp])[] = [
      [["lsit"], 2, /unknown command "lsit" \(Did you mean list\?\)/],
      [
        ["-add", "-sk", KEY, "-endpoint", "https://u:HIDEME@x"],
        2,
        /--endpoint carries a user name or password/,
      ],
      [["-addr", "8080"], 2, /--addr cannot be "8080": expected HOST:PORT or :PORT/],
      [["remove", "7"], 1, /no database at \.\/db\.sqlite; name one with --database/],
      [["list", "--database", "notes.txt"], 1, /notes\.txt.*not an? .*SQLite database/],
      [["list", "--database", "missing/db.sqlite"], 1, /no database at missing\/db\.sqlite; name one/],
      [["add", "--sk", KEY, "--database", "missing/db.sqlite"], 1, /its directory does not exist/],
    ];
    const results = await Promise.all(cases.map(([args]) => run(args, { cwd })));
    for (const [at, [args, exitCode, expected]] of cases.entries()) {
      const result = results[at];
      assert.ok(result);
      const failure = result.err.split("\n").filter((line) => line.startsWith("openai-api-route: ")).join(
        "\n",
      );
      assert.match(failure, expected, args.join(" "));
      assert.deepEqual([result.exitCode, result.out], [exitCode, ""], args.join(" "));
      assert.doesNotMatch(result.err, /HIDEME|^\s+at |Uncaught/m);
    }
  }));

Deno.test("an invalid setting stops the server before it listens, and its secret is not shown", () =>
  inTempDir(async (cwd) => {
    const [bySetting, byAlert] = await Promise.all([
      run(["serve"], { cwd, env: { OAR_MAX_BODY: "lots" } }),
      run([], { cwd, env: { ALERT_WEBHOOK: "hooks.example/HIDEME" } }),
    ]);
    assert.equal(bySetting.exitCode, 2);
    assert.match(bySetting.err, /^openai-api-route: OAR_MAX_BODY cannot be "lots": expected a size .*\n$/);
    assert.equal(byAlert.exitCode, 2);
    assert.match(byAlert.err, /^openai-api-route: ALERT_WEBHOOK is not a URL .*\n$/);
    assert.doesNotMatch(byAlert.err, /HIDEME/);
  }));

Deno.test("--version and --help need no database", () =>
  inTempDir(async (cwd) => {
    const [version, help] = await Promise.all([run(["--version"], { cwd }), run(["--help"], { cwd })]);
    assert.match(version.out, /^openai-api-route \d+\.\d+\.\d+ \(from source, Deno \d+\.\d+\.\d+\)\n$/);
    assert.match(help.out, /OAR_ADDR/);
    assert.deepEqual([version.exitCode, help.exitCode], [0, 0]);
    assert.deepEqual([...Deno.readDirSync(cwd)], []);
  }));
