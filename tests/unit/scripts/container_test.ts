/**
 * The container: its Dockerfile, what of the source is sent to its build, and compose.yaml, against the program.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import manifest from "../../../deno.json" with { type: "json" };
import { NPM_PLATFORMS } from "../../../scripts/npm/packages.ts";
import { ENVIRONMENT_VARIABLES } from "../../../src/config/environment.ts";
import { SETTING_FLAGS } from "../../../src/config/flags.ts";

const root = new URL("../../../", import.meta.url).pathname;
const PROGRAM = "/usr/local/bin/openai-api-route";
const DENO_VERSION = /deno@([\d.]+) task build/;

const read = (name: string): string => Deno.readTextFileSync(root + name);

function defaultOf(key: string): string {
  return SETTING_FLAGS.find((flag) => flag.key === key)?.default ?? assert.fail(`no setting ${key}`);
}

interface Instruction {
  readonly name: string;
  readonly flags: readonly string[];
  /** The arguments after the flags. */
  readonly rest: string;
}

/** The stages of a Dockerfile, each with its FROM. */
function parseDockerfile(text: string): Instruction[][] {
  const lines = text.replaceAll("\\\n", " ").split("\n").filter((line) =>
    line.trim() !== "" && !line.startsWith("#")
  );
  const stages: Instruction[][] = [];
  for (const line of lines) {
    const [, name = "", rest = ""] = /^([A-Z]+)\s+(.+)$/.exec(line) ??
      assert.fail(`not an instruction: ${line}`);
    const flags = /^(?:--\S+\s+)*/.exec(rest)?.[0] ?? "";
    if (name === "FROM") stages.push([]);
    stages.at(-1)?.push({
      name,
      flags: flags.split(/\s+/).filter((flag) => flag !== ""),
      rest: rest.slice(flags.length),
    });
  }
  return stages;
}

function only(stage: readonly Instruction[], name: string): Instruction {
  const [found, ...more] = stage.filter((each) => each.name === name);
  assert.equal(more.length, 0, name);
  return found ?? assert.fail(`no ${name}`);
}

const [BUILD = [], BASE = [], IMAGE = []] = parseDockerfile(read("scripts/deploy/Dockerfile"));

Deno.test("the image is built from the source, for the platform that is asked for", () => {
  const { flags, rest } = only(BUILD, "FROM");
  assert.deepEqual(flags, ["--platform=$BUILDPLATFORM"], "the compiler needs no emulation");
  assert.match(rest, /^node:\d+-bookworm-slim AS build$/);
  const run = only(BUILD, "RUN").rest;
  assert.equal(DENO_VERSION.exec(run)?.[1], DENO_VERSION.exec(read("docs/commands.md"))?.[1]);
  for (const [arch, cpu] of [["amd64", "x86_64"], ["arm64", "aarch64"]]) {
    assert.ok(run.includes(`${arch}) cpu=${cpu} ;;`), arch);
    assert.ok(NPM_PLATFORMS[`${cpu}-unknown-linux-gnu`]);
  }
  assert.match(run, /--target "\$cpu-unknown-linux-gnu"$/);
});

Deno.test("the image holds the executable, and runs it without root or a shell", () => {
  assert.equal(only(BASE, "FROM").rest, "gcr.io/distroless/cc-debian12:nonroot AS base");
  assert.deepEqual(BASE.length, 1);
  const known = "FROM COPY USER WORKDIR ENV VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT".split(" ");
  assert.deepEqual(IMAGE.map(({ name }) => name).filter((name) => !known.includes(name)), []);
  assert.equal(only(IMAGE, "FROM").rest, "base");

  const dist = /const DIST = "(.+)"/.exec(read("scripts/build.ts"))?.[1];
  const workdir = only(BUILD, "WORKDIR").rest;
  const copies = IMAGE.filter(({ name }) => name === "COPY");
  assert.deepEqual(copies.map(({ flags, rest }) => [...flags, ...rest.split(" ")]), [
    ["--from=base", "--chown=65532:65532", "/home/nonroot", "/data"],
    ["--from=build", "--chmod=0755", `${workdir}/${dist}/openai-api-route`, PROGRAM],
  ]);

  assert.equal(only(IMAGE, "USER").rest, "65532:65532");
  assert.equal(only(IMAGE, "ENV").rest, "OAR_DATABASE=/data/db.sqlite");
  assert.ok(ENVIRONMENT_VARIABLES.includes("OAR_DATABASE"));
  assert.deepEqual(JSON.parse(only(IMAGE, "VOLUME").rest), ["/data"]);
  assert.equal(`:${only(IMAGE, "EXPOSE").rest}`, defaultOf("addr"));
  assert.deepEqual(JSON.parse(only(IMAGE, "ENTRYPOINT").rest), [PROGRAM]);
  const { flags, rest } = only(IMAGE, "HEALTHCHECK");
  assert.deepEqual(JSON.parse(/^CMD (.+)$/.exec(rest)?.[1] ?? ""), [PROGRAM, "health"]);
  // A retry must not begin before the previous one has ended.
  const seconds = (name: string) =>
    Number(flags.map((flag) => new RegExp(`^--${name}=(\\d+)s$`).exec(flag)?.[1]).find(Boolean));
  assert.ok(seconds("timeout") < seconds("interval"));
});

/** The paths that .dockerignore lets through. */
function sentToTheBuild(): string[] {
  const lines = read(".dockerignore").split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.equal(lines[0], "*", "first everything is left out");
  return lines.slice(1).map((line) => {
    assert.match(line, /^![\w./]+$/);
    return line.slice(1);
  });
}

Deno.test("all that the build reads is sent to it, and nothing that may hold a secret", () => {
  const sent = sentToTheBuild();
  const isSent = (path: string) => sent.some((each) => path === each || path.startsWith(`${each}/`));
  for (const path of sent) assert.doesNotThrow(() => Deno.statSync(root + path), path);
  const read: string[] = ["deno.json", "deno.lock"];
  for (
    const entry of [
      ...["main.ts", "scripts/build.ts", "src/store/write/worker.ts", "src/store/read/worker.ts"],
      ...["src/server/change_worker.ts", "src/server/remote_worker.ts"],
    ]
  ) {
    // More than a megabyte, at which spawnSync() cuts it off.
    const { stdout } = new Deno.Command(Deno.execPath(), { args: ["info", "--json", entry], cwd: root })
      .outputSync();
    const text = new TextDecoder().decode(stdout);
    const { modules } = JSON.parse(text) as { modules: { specifier: string }[] };
    const prefix = `file://${root}`;
    const own = modules.filter(({ specifier }) => specifier.startsWith(prefix));
    assert.ok(own.length > 2, entry);
    read.push(...own.map(({ specifier }) => specifier.slice(prefix.length)));
  }
  assert.deepEqual([...new Set(read)].filter((path) => !isSent(path)), []);
  for (
    const path of [".env", "db.sqlite", "db.sqlite-wal", ".git/config", "dist/openai-api-route", "src.sqlite"]
  ) {
    assert.equal(isSent(path), false, path);
  }
});

Deno.test("compose.yaml keeps the database in a volume, asks the program for its health, and takes rights away", () => {
  const text = read("compose.yaml");
  // Each on a line of its own, so that a line is a statement.
  const lines = text.split("\n").map((line) => line.trim()).filter((line) =>
    line !== "" && !line.startsWith("#")
  );
  const port = defaultOf("addr");
  for (
    const line of [
      "dockerfile: scripts/deploy/Dockerfile",
      `ports: ["${port.slice(1)}${port}"]`,
      'volumes: ["data:/data"]',
      `test: ["CMD", "${PROGRAM}", "health"]`,
      "read_only: true",
      'cap_drop: ["ALL"]',
      'security_opt: ["no-new-privileges:true"]',
      "required: false",
    ]
  ) assert.ok(lines.includes(line), line);
  assert.match(text, /^volumes:\n {2}data:$/m);
  assert.doesNotMatch(text, /^\s*(user|privileged|network_mode):/m);
  const grace = Number(/stop_grace_period: (\d+)s/.exec(text)?.[1]);
  assert.ok(grace > Number(defaultOf("drainTimeout")) + 10);
  for (const [, variable = ""] of text.matchAll(/\b(OAR_\w+)/g)) {
    assert.ok(ENVIRONMENT_VARIABLES.includes(variable), variable);
  }
});

Deno.test({
  name: "docker compose accepts compose.yaml",
  ignore: spawnSync("docker", ["compose", "version"]).status !== 0,
  fn: () => {
    const { status, stderr } = spawnSync("docker", [
      "compose",
      "--file",
      `${root}compose.yaml`,
      "config",
      "--quiet",
    ], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
  },
});

Deno.test("the version is one: in deno.json, and nowhere else that a release is made from", () => {
  assert.match(manifest.version, /^\d+\.\d+\.\d+(-[\w.]+)?$/);
  for (const file of ["compose.yaml", "scripts/deploy/Dockerfile", ".github/workflows/release.yml"]) {
    assert.equal(read(file).includes(manifest.version), false, file);
  }
});
