/**
 * The completion scripts in their shells.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { DatabaseSync } from "node:sqlite";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
/** In CI, every shell must be installed. */
const isBuilding = Deno.env.get("CI") === "true";

const hasShell = (name: string): boolean => spawnSync(name, ["--version"]).status === 0;

function scriptFor(shell: string): string {
  const { status, stdout, stderr } = spawnSync(
    Deno.execPath(),
    ["run", "-A", MAIN, "completion", shell],
    { encoding: "utf8", env: { ...Deno.env.toObject(), NO_COLOR: "1" } },
  );
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

/** Nothing in them may be expanded or run. */
const UPSTREAMS = [
  "plain",
  "my upstream",
  "localhost:11434",
  "$(touch ran)",
  "`touch ran`",
  "it's",
  'a"b',
  "小明",
];

/** A folder with the program, and a database with these upstreams and two tokens. */
let prepared: string | null = null;

async function prepare(): Promise<string> {
  if (prepared !== null) return prepared;
  const folder = await Deno.makeTempDir({ prefix: "oar-completion-" });
  // The home of the shells is an empty one; this one's is where the modules are.
  const home = ["HOME", "DENO_DIR"].flatMap((name) =>
    Deno.env.has(name) ? [`${name}='${Deno.env.get(name)}'`] : []
  );
  const program = `#!/bin/sh\nexec env ${
    home.join(" ")
  } '${Deno.execPath()}' run -A --no-check '${MAIN}' "$@"\n`;
  await Deno.writeTextFile(`${folder}/openai-api-route`, program, { mode: 0o755 });
  for (const args of [["set", "--name", "alice"], ["add", "bob"]]) {
    const made = spawnSync(`${folder}/openai-api-route`, ["token", ...args], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.equal(made.status, 0, made.stderr);
  }
  const db = new DatabaseSync(`${folder}/db.sqlite`);
  const insert = db.prepare("INSERT INTO openai_upstreams(sk, endpoint, name) VALUES('sk-HIDEME', ?, ?)");
  for (const [at, name] of UPSTREAMS.entries()) insert.run(`https://${at}.example/v1`, name);
  db.close();
  return prepared = folder;
}

globalThis.addEventListener("unload", () => {
  if (prepared !== null) Deno.removeSync(prepared, { recursive: true });
});

/** Runs one script in a folder with `notes.txt` and a database. Returns the lines of its output. */
async function runShell(command: string, args: readonly string[], script: string): Promise<string[]> {
  const folder = await prepare();
  const cwd = await Deno.makeTempDir({ prefix: "oar-completion-" });
  try {
    await Deno.writeTextFile(`${cwd}/notes.txt`, "");
    await Deno.mkdir(`${cwd}/data`);
    for (const name of ["db.sqlite", "data/other.sqlite"]) {
      await Deno.copyFile(`${folder}/db.sqlite`, `${cwd}/${name}`);
    }
    const other = new DatabaseSync(`${cwd}/data/other.sqlite`);
    other.exec("DELETE FROM openai_upstreams WHERE id > 1");
    other.close();
    const { status, stdout, stderr } = spawnSync(command, [...args, "-c", script], {
      cwd,
      encoding: "utf8",
      env: { PATH: `${folder}:${Deno.env.get("PATH")}`, HOME: cwd, LC_ALL: "C.UTF-8", TERM: "dumb" },
    });
    assert.deepEqual([status, stderr], [0, ""], script.slice(-200));
    assert.ok(![...Deno.readDirSync(cwd)].some(({ name }) => name === "ran"), "a name was run");
    return stdout.split("\n").filter((line) => line !== "");
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

/**
 * The typed words, the last one incomplete; words that must be offered, or with `exact` all offered words.
 */
interface Case {
  readonly typed: readonly string[];
  readonly offered: readonly string[];
  readonly isExact?: boolean;
}

/** Completed from the database. */
const NAMES: readonly Case[] = [
  { typed: ["edit", ""], offered: UPSTREAMS, isExact: true },
  { typed: ["remove", "pl"], offered: ["plain"], isExact: true },
  { typed: ["records", "list", "--tried", "my"], offered: ["my upstream"], isExact: true },
  { typed: ["records", "replay", "7", "--upstream", "小"], offered: ["小明"], isExact: true },
  { typed: ["records", "list", "--client", ""], offered: ["alice", "bob"], isExact: true },
  { typed: ["token", "remove", ""], offered: ["alice", "bob"], isExact: true },
  { typed: ["token", "show", "al"], offered: ["alice"], isExact: true },
  // Nothing is known about a new token.
  { typed: ["token", "add", "--value", ""], offered: [], isExact: true },
  { typed: ["--database", "data/other.sqlite", "disable", ""], offered: ["plain"], isExact: true },
  { typed: ["enable", "-database=data/other.sqlite", ""], offered: ["plain"], isExact: true },
  { typed: ["enable", "--database", "~/data/other.sqlite", ""], offered: ["plain"], isExact: true },
  { typed: ["records", "list", "--database", "missing.sqlite", "--tried", ""], offered: [], isExact: true },
];

const CASES: readonly Case[] = [
  { typed: [""], offered: ["serve", "add", "list", "records", "token", "completion", "version", "help"] },
  { typed: ["rec"], offered: ["records"], isExact: true },
  { typed: ["records", ""], offered: ["list", "show", "tail", "export", "replay"] },
  { typed: ["records", "ex"], offered: ["export"], isExact: true },
  { typed: ["records", "export", "--fo"], offered: ["--format"], isExact: true },
  {
    typed: ["records", "export", "--format", ""],
    offered: ["csv", "jsonl", "openai-finetune"],
    isExact: true,
  },
  { typed: ["records", "list", "--outcome", "upstream_c"], offered: ["upstream_cut"], isExact: true },
  // Flags before the command, the Go program's single dash, values that look like commands.
  { typed: ["--database", "list", "tok"], offered: ["token"], isExact: true },
  { typed: ["-database", "x", "records", "sh"], offered: ["show"], isExact: true },
  { typed: ["--polic"], offered: ["--policy"], isExact: true },
  { typed: ["--policy", "r"], offered: ["random", "round_robin"], isExact: true },
  { typed: ["serve", "--log-format", ""], offered: ["json", "text"], isExact: true },
  { typed: ["add", "--auth-style", "x"], offered: ["x-api-key"], isExact: true },
  { typed: ["completion", ""], offered: ["bash", "fish", "zsh"], isExact: true },
  { typed: ["completion", "bash", ""], offered: [] },
  { typed: ["add", "--sk", ""], offered: [], isExact: true },
  { typed: ["--database", "no"], offered: ["notes.txt"], isExact: true },
  { typed: ["restore", "no"], offered: ["notes.txt"], isExact: true },
  { typed: ["backup", "no"], offered: ["notes.txt"], isExact: true },
  { typed: ["backup", "notes.txt", "--fo"], offered: ["--force"], isExact: true },
  { typed: ["records", "export", "--output", "no"], offered: ["notes.txt"], isExact: true },
];

function check(found: readonly string[], { typed, offered, isExact }: Case): void {
  const line = typed.join(" ");
  if (isExact) assert.deepEqual(found.toSorted(), offered.toSorted(), line);
  for (const word of offered) {
    assert.ok(found.includes(word), `${line}: ${word} is not among ${found.join(" ")}`);
  }
}

const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(" ");

Deno.test("bash completes commands, flags, values and files", async () => {
  const script = scriptFor("bash");
  const complete = (words: readonly string[], setUp = "") =>
    runShell(
      "bash",
      ["--norc"],
      `${script}\n${setUp}\nCOMP_WORDS=(openai-api-route ${quoted(words)}) COMP_CWORD=${words.length}\n` +
        '_openai_api_route\nprintf "%s\\n" "${COMPREPLY[@]}"',
    );
  for (const each of CASES) check(await complete(each.typed), each);
  // What is offered is what may be typed: it must mean the name.
  const means = 'for each in "${COMPREPLY[@]}"; do eval "printf \'%s\\n\' $each"; done';
  const completeName = (words: string, count: number, setUp = "") =>
    runShell(
      "bash",
      ["--norc"],
      `${script}\n${setUp}\nCOMP_WORDS=(openai-api-route ${words}) COMP_CWORD=${count}\n` +
        `_openai_api_route\n${means}`,
    );
  for (const each of NAMES) {
    check(await completeName(quoted(each.typed), each.typed.length), each);
  }
  const asLine = (line: string) => `COMP_LINE='openai-api-route ${line}' COMP_POINT=\${#COMP_LINE}`;
  // bash splits a name at its colon, and inserts only what follows it.
  assert.deepEqual(await completeName("edit localhost : 11", 4, asLine("edit localhost:11")), ["11434"]);
  assert.deepEqual(
    await completeName("records list --tried localhost :", 5, asLine("records list --tried localhost:")),
    [
      "11434",
    ],
  );
  // Within quotes the name stands as it is, which here is two words.
  assert.deepEqual(await completeName("edit \\'my", 2), ["my", "upstream"]);
  // bash splits --flag=value into three words by default.
  assert.deepEqual(await complete(["--noauth", "="]), ["yes", "no"]);
  assert.deepEqual(await complete(["--policy", "=", "le"]), ["least_latency"]);
  assert.deepEqual(await complete(["--policy=le"]), ["--policy=least_latency"]);
  assert.deepEqual(await complete(["--policy", "=", "random", "rec"]), ["records"]);
  assert.deepEqual(await complete(["-polic"]), ["--policy"]);
});

Deno.test("bash loads the script silently and binds it to the program's name", async () => {
  const lines = await runShell("bash", ["--norc"], `${scriptFor("bash")}\ncomplete -p openai-api-route`);
  assert.deepEqual(lines, ["complete -F _openai_api_route openai-api-route"]);
});

Deno.test({
  name: "zsh completes commands, flags, values and files",
  ignore: !hasShell("zsh") && !isBuilding,
  fn: async () => {
    // The completion system works on interactive lines only: its three functions are replaced by ones that
    // print their arguments, filtered by the prefix.
    const standIns = [
      "compdef() { }",
      'compset() { PREFIX="${PREFIX#*=}" }',
      "_files() { print -l -- $PREFIX*(N) }",
      "_describe() {",
      "  local -a found; found=(${(P)@[-1]})",
      '  for word in "${(@)found//\\\\:/§}"; do',
      '    [[ $word == $PREFIX* ]] && print -r -- "${${word%%:*}//§/:}"; done; true',
      "}",
    ].join("\n");
    const script = scriptFor("zsh");
    const complete = (words: readonly string[]) =>
      runShell(
        "zsh",
        ["-f"],
        `${standIns}\n${script}\nPREFIX='${words.at(-1)}' CURRENT=${words.length + 1}\n` +
          `words=(openai-api-route ${quoted(words)})\n_openai-api-route || true`,
      );
    for (const each of [...CASES, ...NAMES]) check(await complete(each.typed), each);
    assert.deepEqual(await complete(["--noauth="]), ["yes", "no"]);
    assert.deepEqual(await complete(["--policy=le"]), ["least_latency"]);
    assert.deepEqual(await complete(["-polic"]), ["--policy"]);
  },
});

Deno.test({
  name: "zsh's own completion system accepts the script",
  ignore: !hasShell("zsh") && !isBuilding,
  fn: async () => {
    const lines = await runShell(
      "zsh",
      ["-f"],
      `autoload -Uz compinit && compinit -u -d ./dump\n${scriptFor("zsh")}\nprint $_comps[openai-api-route]`,
    );
    assert.deepEqual(lines, ["_openai-api-route"]);
  },
});

Deno.test({
  name: "fish completes commands, flags, values and files",
  ignore: !hasShell("fish") && !isBuilding,
  fn: async () => {
    const script = scriptFor("fish");
    const complete = async (words: readonly string[]) => {
      const lines = await runShell(
        "fish",
        ["--no-config"],
        `${script}\ncomplete -C 'openai-api-route ${words.join(" ")}'`,
      );
      return lines.map((line) => line.split("\t")[0] ?? "");
    };
    for (const each of [...CASES, ...NAMES]) check(await complete(each.typed), each);
    assert.deepEqual((await complete(["--noauth="])).toSorted(), ["--noauth=no", "--noauth=yes"]);
  },
});
