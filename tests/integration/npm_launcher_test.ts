/**
 * The launcher of the npm package, on stand-ins for the executable: what it passes through, and what it says when there
 * is nothing to start.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writePackages } from "../../scripts/npm/packages.ts";
import { eventually } from "../support/router.ts";

const isNodeMissing = spawnSync("node", ["--version"]).status !== 0 && Deno.env.get("CI") !== "true";
const CPU = Deno.build.arch === "x86_64" ? "x64" : "arm64";
const PLATFORM = `${Deno.build.os}-${CPU}`;

/** A folder with both packages, as npm installs them. */
class NpmInstallation implements AsyncDisposable {
  private constructor(readonly directory: string) {}

  /** @param script a shell script in the place of the executable; null: its package is not installed */
  static async create(script: string | null): Promise<NpmInstallation> {
    const directory = await Deno.makeTempDir({ prefix: "oar-npm-" });
    const executable = { target: Deno.build.target, path: `${directory}/script` };
    await Deno.writeTextFile(executable.path, `#!/bin/sh\n${script ?? ""}\n`);
    const written = await writePackages(`${directory}/npm`, [executable], {
      version: "1.2.3",
      repository: null,
    });
    const modules = `${directory}/node_modules`;
    await Deno.mkdir(`${modules}/@openai-api-route`, { recursive: true });
    const [platform = "", main = ""] = written;
    await Deno.rename(main, `${modules}/openai-api-route`);
    if (script !== null) await Deno.rename(platform, `${modules}/@openai-api-route/${PLATFORM}`);
    return new NpmInstallation(directory);
  }

  /** @param node arguments of Node, before the launcher */
  command(args: readonly string[], node: readonly string[] = []): Deno.Command {
    const launcher = `${this.directory}/node_modules/openai-api-route/bin/openai-api-route.cjs`;
    return new Deno.Command("node", {
      args: [...node, launcher, ...args],
      cwd: this.directory,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
  }

  /** Runs it on a platform that this machine is not. */
  async runAs(platform: string, arch: string): Promise<{ code: number; stderr: string }> {
    const pretend = `${this.directory}/pretend.cjs`;
    const values = JSON.stringify({ platform: { value: platform }, arch: { value: arch } });
    await Deno.writeTextFile(pretend, `Object.defineProperties(process, ${values});`);
    return await refusal(this.command([], ["--require", pretend]));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.directory, { recursive: true });
  }
}

async function refusal(command: Deno.Command): Promise<{ code: number; stderr: string }> {
  const child = command.spawn();
  await child.stdin.close();
  const { code, stderr, stdout } = await child.output();
  assert.equal(stdout.length, 0);
  return { code, stderr: new TextDecoder().decode(stderr) };
}

function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, ignore: isNodeMissing || Deno.build.os === "windows" });
}

test("arguments, standard streams, the environment and the exit code pass through", async () => {
  const script = `for each in "$@"; do echo "<$each>"; done; cat; echo "$OAR_ADDR" >&2; exit 7`;
  await using installation = await NpmInstallation.create(script);
  Deno.env.set("OAR_ADDR", "from outside");
  try {
    const child = installation.command(["add", "--sk", "", "a b", "$HOME", "--", "'\"*"]).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("typed\n"));
    await writer.close();
    const { code, stdout, stderr } = await child.output();
    assert.equal(new TextDecoder().decode(stdout), `<add>\n<--sk>\n<>\n<a b>\n<$HOME>\n<-->\n<'"*>\ntyped\n`);
    assert.equal(new TextDecoder().decode(stderr), "from outside\n");
    assert.equal(code, 7);
  } finally {
    Deno.env.delete("OAR_ADDR");
  }
});

test("signals reach the program, which decides when both end", async () => {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const) {
    const name = signal.slice("SIG".length);
    const script = `trap 'echo got ${name}; exit 9' ${name}; echo ready; while :; do sleep 0.05; done`;
    await using installation = await NpmInstallation.create(script);
    const child = installation.command([]).spawn();
    let text = "";
    const read = (async () => {
      for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) text += part;
    })();
    await eventually(() => text.includes("ready") ? true : null, "the program");
    child.kill(signal);
    const status = await child.status;
    assert.deepEqual([status.code, status.signal], [9, null], signal);
    await Promise.all([read, child.stderr.cancel(), child.stdin.close().catch(() => {})]);
    assert.equal(text, `ready\ngot ${name}\n`);
  }
});

test("the program stops when npm's shell is gone, which ends without passing a signal on", async () => {
  const script = "trap 'echo stopped; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
  await using installation = await NpmInstallation.create(script);
  const launcher = "node_modules/openai-api-route/bin/openai-api-route.cjs";
  const shell = new Deno.Command("sh", {
    args: ["-c", `node ${launcher}; exit`],
    cwd: installation.directory,
    env: { npm_command: "exec" },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  let text = "";
  const read = (async () => {
    for await (const part of shell.stdout.pipeThrough(new TextDecoderStream())) text += part;
  })();
  await eventually(() => text.includes("ready") ? true : null, "the program");
  shell.kill("SIGTERM");
  await shell.status;
  await read;
  assert.equal(text, "ready\nstopped\n");
});

test("a program that a signal ended is reported as ended by that signal", async () => {
  for (const [name, number] of [["KILL", 9], ["TERM", 15], ["SEGV", 11]] as const) {
    await using installation = await NpmInstallation.create(`kill -${name} $$`);
    const child = installation.command([]).spawn();
    const { code, signal } = await child.output();
    assert.deepEqual([code, signal], [128 + number, `SIG${name}`]);
    await child.stdin.close().catch(() => {});
  }
});

test("without the package of the platform, it says which is missing, why, and what to type", async () => {
  await using installation = await NpmInstallation.create(null);
  const { code, stderr } = await refusal(installation.command(["--version"]));
  assert.equal(code, 126);
  assert.match(stderr, new RegExp(`^openai-api-route: the package @openai-api-route/${PLATFORM} `));
  assert.match(stderr, /--omit=optional/);
  assert.match(stderr, /^ {2}npm install --include=optional openai-api-route@1\.2\.3$/m);
  assert.doesNotMatch(stderr, /\n {4}at /, "no stack trace");
});

test("on other platforms, and without glibc, it says so instead of failing to start", async () => {
  await using installation = await NpmInstallation.create(null);
  for (const [platform, arch] of [["freebsd", "x64"], ["win32", "arm64"], ["linux", "riscv64"]] as const) {
    const { code, stderr } = await installation.runAs(platform, arch);
    assert.equal(code, 126);
    assert.match(
      stderr,
      new RegExp(`^openai-api-route: there is no executable for ${platform}-${arch}, only for `),
    );
    assert.match(stderr, /linux-x64, linux-arm64, darwin-x64, darwin-arm64, win32-x64\./);
  }
  const windows = await installation.runAs("win32", "x64");
  assert.match(windows.stderr, /the package @openai-api-route\/win32-x64 /);
  if (Deno.build.os !== "linux") return;
  // The other processor's loader is missing here as both are on Alpine.
  const { code, stderr } = await installation.runAs("linux", CPU === "x64" ? "arm64" : "x64");
  assert.equal(code, 126);
  assert.match(stderr, /^openai-api-route: the executable needs glibc, and \/lib\S+ is missing/);
});

test("an executable that cannot be started is named with the reason", async () => {
  await using installation = await NpmInstallation.create("");
  const executable =
    `${installation.directory}/node_modules/@openai-api-route/${PLATFORM}/bin/openai-api-route`;
  await Deno.chmod(executable, 0o644);
  const { code, stderr } = await refusal(installation.command([]));
  assert.equal(code, 126);
  assert.match(stderr, /^openai-api-route: cannot start \S+\/bin\/openai-api-route: .*EACCES/);
});
