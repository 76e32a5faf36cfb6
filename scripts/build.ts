/**
 * Builds the executable: `deno task build [--denort npm] [--target TARGET | --all] [--output FILE] [--npm]`.
 *
 * Owns the permissions of the executable, what is embedded in it, and where its runtime comes from.
 */
import { Command } from "commander";
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import manifest from "../deno.json" with { type: "json" };
import { errorScreen } from "../src/cli/output.ts";
import { Progress } from "../src/cli/progress.ts";
import { systemTrust } from "./build/system_trust.ts";
import { type Executable, repositoryOf, writePackages } from "./npm/packages.ts";

const NAME = "openai-api-route";
const RELEASE_SERVER = "dl.deno.land";
const DIST = "dist";

/** The platforms that `deno compile` can build for. */
const TARGETS = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
] as const;

/**
 * A runtime for Linux x64 that the npm registry has: the head of a published `deno compile` output, up to
 * the section that holds that program.
 */
export const NPM_RUNTIME = {
  package: "@dgellow/rfc-linux-x64@0.0.6",
  file: "package/bin/rfc",
  bytes: 92_183_912,
  sha256: "1b136202dc147212ad0b129de0c10eb5f17060917c9754c7921cd68f764ad2e2",
  target: "x86_64-unknown-linux-gnu",
  /** The Deno version that can build for it, and its own version. */
  compiler: "2.6.8",
  version: "2.6.10",
} as const;

/** V8 flags for the allocation pattern of a proxy. */
export const V8_FLAGS: readonly string[] = [
  // Without it, V8 starts to allocate objects of requests in the old generation once enough of them have
  // survived. They die at once, but what they reference then survives every young-generation GC: with 64
  // connections, a tenth of all allocations was copied twice, and each pause took 9 ms instead of 3.
  "--no-allocation-site-pretenuring",
  // By default, V8 releases memory after some idle seconds (newer versions: half a minute), and collects the
  // hidden classes that only requests use. Code compiled for them is discarded (185 functions, by
  // `--trace-deopt`), and after every idle period the program is as slow as in its first seconds. Ten minutes
  // keep it warm between bursts of traffic, and still release memory at night.
  "--gc-memory-reducer-start-delay-ms=600000",
];

/**
 * The permissions of the executable; it cannot start processes, load native code or run code from elsewhere.
 *
 * Three of them cannot be narrowed at build time, because the user chooses later: the listen address and the
 * upstreams (net), and the path of the database, next to which its journal and its copy before an upgrade are
 * (read, write). A permission that is not listed is refused without a prompt: without `--no-prompt`, the runtime
 * would stop a command on a terminal to ask.
 */
export const PERMISSIONS: readonly string[] = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  // To tell of misspelled variables, it has to see all names; main.ts gives the permission back at once.
  "--allow-env",
  // For `doctor`, which says how much room the disk of the database has.
  "--allow-sys=statfs,hostname",
  "--deny-import",
  "--no-prompt",
];

/** Modules started by URL, which are not in the module graph. */
const INCLUDED = [
  "src/store/write/worker.ts",
  "src/store/read/worker.ts",
  "src/server/change_worker.ts",
  "src/server/remote_worker.ts",
];

const BUILD_CONFIG = `${DIST}/build.json`;
const BUILD_LOCK = `${DIST}/build.lock`;

const WITH_NPM_RUNTIME = "deno task build --denort npm";

class BuildError extends Error {
  override readonly name: string = "BuildError";
}

/** The runtime cannot be downloaded, but the npm registry has an older one. */
class RuntimeError extends BuildError {
  override readonly name = "RuntimeError";
}

interface BuildOptions {
  readonly denort?: "npm";
  readonly target?: string;
  readonly all?: boolean;
  readonly output?: string;
  readonly npm?: boolean;
}

async function main(): Promise<void> {
  const program = new Command("deno task build")
    .description("Builds the executable by `deno compile`.")
    .option("--target <target>", `one of ${TARGETS.join(", ")}; default: this machine's`)
    .option("--all", "build for every target and write SHA256SUMS")
    .option("--denort <source>", "npm: take the runtime (Linux x64, older) from the npm registry")
    .option("--output <file>", `default: ${DIST}/${NAME}`)
    .option("--npm", `also write the npm packages, ready to publish, into ${DIST}/npm`);
  program.parse(Deno.args, { from: "user" });
  const options = program.opts<BuildOptions>();
  checkOptions(options);
  await Deno.mkdir(DIST, { recursive: true });
  await Deno.writeTextFile(`${DIST}/commit.txt`, await currentCommit());
  await writeBuildConfig();
  const built = options.all ? await buildAll() : [await buildOne(options)];
  if (options.npm) await packForNpm(built);
}

async function buildOne(options: BuildOptions): Promise<Executable> {
  const path = options.output ?? `${DIST}/${NAME}${options.target?.includes("windows") ? ".exe" : ""}`;
  try {
    await build(path, options);
  } catch (error) {
    // Packages of one platform are for trying out, so the older runtime will do.
    if (!options.npm || options.target !== undefined || !(error instanceof RuntimeError)) throw error;
    console.log(`note: ${error.message}`);
    await build(path, { ...options, denort: "npm" });
  }
  return { target: options.target ?? Deno.build.target, path };
}

async function buildAll(): Promise<Executable[]> {
  const built: Executable[] = [];
  for (const target of TARGETS) {
    const path = `${DIST}/${NAME}-${target}${target.includes("windows") ? ".exe" : ""}`;
    await build(path, { target });
    built.push({ target, path });
  }
  await writeSums(built.map(({ path }) => path));
  return built;
}

async function packForNpm(executables: readonly Executable[]): Promise<void> {
  const { version } = manifest;
  const origin = await outputOf("git", ["remote", "get-url", "origin"]);
  const repository = repositoryOf(Deno.env.toObject(), origin);
  const folders = await writePackages(`${DIST}/npm`, executables, { version, repository });
  for (const folder of folders) console.log(`wrote ${folder}`);
  if (repository === null) {
    console.log("note: they name no repository: neither GITHUB_REPOSITORY nor the remote origin is a URL");
  }
  if (executables.length < TARGETS.length) {
    console.log(
      "note: not for publishing: the executables of other platforms are missing; --all builds them",
    );
  }
}

function checkOptions({ denort, target, all, output }: BuildOptions): void {
  if (denort !== undefined && denort !== "npm") throw new BuildError(`--denort takes npm, not ${denort}`);
  if (denort === "npm" && (target ?? Deno.build.target) !== NPM_RUNTIME.target) {
    throw new BuildError(`the runtime on the npm registry is for ${NPM_RUNTIME.target} only`);
  }
  if (all && (denort !== undefined || target !== undefined || output !== undefined)) {
    throw new BuildError("--all goes with no other option");
  }
  if (target !== undefined && !TARGETS.some((each) => each === target)) {
    throw new BuildError(`--target takes one of ${TARGETS.join(", ")}`);
  }
}

async function build(output: string, { denort, target }: BuildOptions): Promise<void> {
  console.log(`building ${output}${target === undefined ? "" : ` for ${target}`}`);
  // Built under another name and renamed: the compiler removes an existing file, which may be in use.
  const unfinished = join(dirname(output), `unfinished-${basename(output)}`);
  const compile = [
    "compile",
    "--quiet",
    "--no-check",
    "--config",
    BUILD_CONFIG,
    "--lock",
    BUILD_LOCK,
    ...PERMISSIONS,
    `--v8-flags=${V8_FLAGS.join(",")}`,
    ...INCLUDED.flatMap((path) => ["--include", path]),
    "--include",
    `${DIST}/commit.txt`,
    ...(target === undefined ? [] : ["--target", target]),
    "--output",
    unfinished,
    "main.ts",
  ];
  // A lockfile with many npm packages overflows the compiler's default stack.
  const env: Record<string, string> = { RUST_MIN_STACK: "33554432", ...systemTrust(Deno.env.toObject()) };
  if (denort === "npm") {
    env["DENORT_BIN"] = await npmRuntime();
    await showingTime(output, run("npx", ["-y", `deno@${NPM_RUNTIME.compiler}`, ...compile], { env }));
    console.log(`note: it carries the older runtime Deno ${NPM_RUNTIME.version}, the one that npm has`);
  } else {
    const compiler = new Deno.Command(Deno.execPath(), {
      args: compile,
      env,
      stdin: "null",
      stdout: "inherit",
      stderr: "piped",
    });
    const { success, stderr } = await showingTime(output, compiler.output());
    await Deno.stderr.write(stderr);
    if (!success) {
      const failure = compileFailure(new TextDecoder().decode(stderr), target ?? Deno.build.target);
      throw failure.endsWith(WITH_NPM_RUNTIME) ? new RuntimeError(failure) : new BuildError(failure);
    }
  }
  await Deno.rename(unfinished, output);
  const { size } = await Deno.stat(output);
  console.log(`built ${output}: ${NAME} ${manifest.version}, ${(size / 1e6).toFixed(1)} MB`);
}

/** Shows progress on a terminal: the compiler is quiet. */
async function showingTime<Result>(output: string, compiling: Promise<Result>): Promise<Result> {
  const progress = new Progress({ screen: errorScreen(), now: () => performance.now() });
  const ticker = setInterval(() => progress.step((seconds) => `compiling ${output}: ${seconds} s`), 500);
  try {
    return await compiling;
  } finally {
    clearInterval(ticker);
    progress.clear();
  }
}

/** What to do about a failed `deno compile`, from its output. */
export function compileFailure(stderr: string, target: string): string {
  if (!stderr.includes(`//${RELEASE_SERVER}/`)) return "deno compile failed, see above";
  const problem = `the runtime cannot be downloaded from the Deno release server ${RELEASE_SERVER}`;
  return target === NPM_RUNTIME.target
    ? `${problem}; an older one is on the npm registry: ${WITH_NPM_RUNTIME}`
    : `${problem}; only for ${NPM_RUNTIME.target} is there one on the npm registry: --denort npm`;
}

/**
 * A configuration without the packages that only tests and scripts import: the compiler embeds every package
 * that the configuration names.
 */
async function writeBuildConfig(): Promise<void> {
  const sources = [await Deno.readTextFile("main.ts"), ...await textsBelow("src")].join("\n");
  const isUsed = (name: string) => sources.includes(`from "${name}"`) || sources.includes(`from "${name}/`);
  const imports = Object.fromEntries(Object.entries(manifest.imports).filter(([name]) => isUsed(name)));
  await Deno.writeTextFile(BUILD_CONFIG, JSON.stringify({ ...manifest, imports }));
  await Deno.copyFile("deno.lock", BUILD_LOCK);
}

async function textsBelow(folder: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) texts.push(...await textsBelow(path));
    else texts.push(await Deno.readTextFile(path));
  }
  return texts;
}

/** Downloads the runtime once, and checks its hash. */
async function npmRuntime(): Promise<string> {
  const path = await Deno.realPath(DIST) + `/denort-${NPM_RUNTIME.version}`;
  const known = await Deno.readFile(path).catch(() => null);
  if (known !== null && sha256(known) === NPM_RUNTIME.sha256) return path;
  const folder = await Deno.makeTempDir({ prefix: "denort-" });
  try {
    // It prints the archive's name, which does not matter here.
    const pack = ["pack", "--silent", "--pack-destination", folder, NPM_RUNTIME.package];
    await run("npm", pack, { stdout: "null", env: systemTrust(Deno.env.toObject()) });
    const [archive] = [...Deno.readDirSync(folder)].map(({ name }) => name);
    await run("tar", ["xzf", `${folder}/${archive}`, "-C", folder]);
    const whole = await Deno.readFile(`${folder}/${NPM_RUNTIME.file}`);
    const runtime = whole.subarray(0, NPM_RUNTIME.bytes);
    const digest = sha256(runtime);
    if (digest !== NPM_RUNTIME.sha256) {
      throw new BuildError(
        `${NPM_RUNTIME.package} is not what it was: expected ${NPM_RUNTIME.sha256}, got ${digest}`,
      );
    }
    await Deno.writeFile(path, runtime, { mode: 0o755 });
    return path;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function writeSums(outputs: readonly string[]): Promise<void> {
  const lines: string[] = [];
  for (const output of outputs) {
    lines.push(`${sha256(await Deno.readFile(output))}  ${output.slice(DIST.length + 1)}\n`);
  }
  await Deno.writeTextFile(`${DIST}/SHA256SUMS`, lines.join(""));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * The commit's short name, with `+` when the tree has changes; `unknown` outside a checkout. A container is built
 * without one, and is told by `BUILD_COMMIT`.
 */
async function currentCommit(): Promise<string> {
  return Deno.env.get("BUILD_COMMIT") || await outputOf("git", ["describe", "--always", "--dirty=+"]) ||
    "unknown";
}

/** What a command prints, trimmed; null when it fails or is not installed. */
async function outputOf(command: string, args: readonly string[]): Promise<string | null> {
  try {
    const { success, stdout } = await new Deno.Command(command, { args: [...args] }).output();
    return success ? new TextDecoder().decode(stdout).trim() : null;
  } catch {
    return null;
  }
}

async function run(
  command: string,
  args: readonly string[],
  options: Pick<Deno.CommandOptions, "env" | "stdout"> = {},
): Promise<void> {
  const { success } = await new Deno.Command(command, { ...options, args: [...args], stdin: "null" }).spawn()
    .status;
  if (!success) throw new BuildError(`${command} ${args.slice(0, 3).join(" ")} … failed`);
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    console.error(`build: ${error.message}`);
    Deno.exit(1);
  }
}
