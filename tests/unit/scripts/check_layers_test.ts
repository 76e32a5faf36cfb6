/**
 * The layer check, on made-up trees and on this repository.
 */
import assert from "node:assert/strict";
import { checkLayers, layerTable } from "../../../scripts/check_layers.ts";
import { LAYERS, usedBy } from "../../../scripts/layers/layers.ts";
import { readTree } from "../../../scripts/layers/source.ts";

const root = new URL("../../../", import.meta.url).pathname;

/** The violations of one file as `line: message`. */
function check(path: string, text: string): string[] {
  return checkLayers([{ path, text }]).map(({ line, message }) => `${line}: ${message}`);
}

Deno.test("checkLayers() finds nothing wrong in this repository", () => {
  const files = readTree(root);
  assert.ok(files.length > 50, `only ${files.length} files were read`);
  assert.deepEqual(checkLayers(files), []);
});

Deno.test("LAYERS name only layers before them, so that folders cannot form a cycle", () => {
  LAYERS.forEach((layer, place) => {
    const below = LAYERS.slice(0, place).map(({ name }) => name);
    const { name, only = [], except = [], typesOf = [] } = layer;
    for (const named of [...usedBy(layer), ...only, ...except, ...typesOf]) {
      assert.ok(below.includes(named.split("/")[0] ?? ""), `${name} names ${named}`);
    }
  });
});

Deno.test("usedBy() gives every layer below, unless the layer says less", () => {
  const uses = Object.fromEntries(LAYERS.map((layer) => [layer.name, usedBy(layer)]));
  assert.deepEqual(uses["core"], []);
  assert.deepEqual(uses["store"], ["core"]);
  assert.deepEqual(uses["proxy"], ["core", "capture", "wire"]);
  assert.deepEqual(uses["control"], ["core", "config", "capture", "store", "wire", "proxy"]);
  assert.deepEqual(uses["cli"], LAYERS.map(({ name }) => name).filter((name) => name !== "cli"));
});

Deno.test("layerTable() counts files and lines, and shows what each layer may import", () => {
  const rows = layerTable([
    { path: "src/core/a.ts", text: "const a = 1;\n" },
    { path: "src/core/b/c.ts", text: "const b = 1;\nconst c = 2;\n" },
    { path: "src/notify/a.ts", text: "" },
    { path: "scripts/a.ts", text: "\n" },
  ]);
  assert.match(rows[0] ?? "", /^core +2 files +3 lines$/);
  assert.ok(rows.some((row) => /^notify +1 files +0 lines {2}-> core, types of config$/.test(row)));
  assert.equal(rows.length, LAYERS.length);
});

const ALLOWED: readonly (readonly [path: string, text: string])[] = [
  ["main.ts", 'import { runProgram } from "./src/cli/program.ts";\nDeno.exit(await runProgram());'],
  [
    "src/cli/serve.ts",
    'import { Hono } from "hono";\nimport { A } from "../store/writer.ts";\nDeno.listen(x);',
  ],
  ["src/config/version.ts", 'import manifest from "../../deno.json" with { type: "json" };'],
  ["src/cli/program.ts", 'const { serve } = await import("./serve.ts");'],
  ["src/dashboard/page.ts", 'import { errorResponse } from "../proxy/handler.ts";'],
  ["src/http/app.ts", 'import type { RegistryView } from "../store/store.ts";'],
  ["src/proxy/handler.ts", 'import { type Observer } from "../observe/observer.ts";'],
  ["src/proxy/handler.ts", 'import type {\n  A,\n  B,\n} from "../notify/notifier.ts";'],
  ["src/proxy/handler.ts", 'export type * from "../store/store.ts";'],
  ["src/proxy/handler.ts", "await deps.fetch(url);\nclock.setTimer(f, Date.now());"],
  ["src/capture/readers/chat.ts", 'import zlib from "node:zlib";\nimport { A } from "../core/types.ts";'],
  ["src/notify/channels.ts", 'import type { AlertSettings } from "../config/alerts.ts";'],
  [
    "src/store/database/open.ts",
    "export function openDatabase(path: string) {\n  new DatabaseSync(path);\n}",
  ],
  ["src/core/policy.ts", "// Deno.listen( and fetch( are words here\n/* new Worker( */\nconst a = 1;"],
  ["src/core/policy.ts", 'const url = "https://example.org"; import.meta.url;'],
  ["tests/unit/x_test.ts", 'import { A } from "../../src/store/writer.ts";\nDeno.listen(x);'],
  ["src/proxy/handler.ts", 'type A = import("../store/store.ts").A;'],
  ["scripts/demo.ts", 'import { A } from "../src/store/writer.ts";'],
];

Deno.test("checkLayers() accepts imports that point down and types of interfaces", () => {
  for (const [path, text] of ALLOWED) assert.deepEqual(check(path, text), [], `${path}: ${text}`);
});

const REFUSED: readonly (readonly [path: string, text: string, problems: readonly RegExp[]])[] = [
  ["src/core/a.ts", 'import { A } from "../proxy/b.ts";', [/^1: core must not import proxy\/b\.ts/]],
  ["src/core/a.ts", 'import type { A } from "../config/b.ts";', [/^1: core must not import config/]],
  ["src/core/a.ts", '\n\nimport { resolve } from "node:path";', [/^3: core must not import node:path/]],
  ["src/capture/a.ts", 'import { A } from "../proxy/b.ts";', [
    /imports go cli > server > dashboard > .* > core$/,
  ]],
  ["src/capture/a.ts", 'import { z } from "zod";', [/capture must not import zod/]],
  ["src/store/a.ts", 'import type { A } from "../notify/notifier.ts";', [/store must not import notify/]],
  ["src/notify/a.ts", 'import { A } from "../config/settings.ts";', [/only the types of config/]],
  ["src/proxy/a.ts", 'import { A } from "../store/store.ts";', [/only the types of store\/store\.ts/]],
  [
    "src/proxy/a.ts",
    'import { type A, B } from "../observe/observer.ts";',
    [/only the types of observe\/observer/],
  ],
  [
    "src/proxy/a.ts",
    'import type { A } from "../store/writer.ts";',
    [/must not import store\/writer\.ts; take it as an interface \(import type from store\/store\.ts\)/],
  ],
  ["src/proxy/a.ts", 'import "../http/app.ts";', [/proxy must not import http\/app\.ts/]],
  ["src/proxy/a.ts", 'export * from "../http/app.ts";', [/proxy must not import http/]],
  ["src/proxy/a.ts", 'const a = await import("../cli/serve.ts");', [/proxy must not import cli/]],
  ["src/core/a.ts", 'type A = import("../cli/serve.ts").A;', [/core must not import cli/]],
  ["src/proxy/a.ts", "const a = await import(name);", [/a computed import hides/]],
  ["src/http/a.ts", 'import { A } from "../../tests/support/x.ts";', [
    /tests\/support\/x\.ts is outside src/,
  ]],
  ["src/cli/a.ts", 'import { A } from "../../scripts/x.ts";', [/scripts\/x\.ts is outside src/]],
  ["src/other/a.ts", "const a = 1;", [/^1: src\/other is no known layer/]],
  ["src/a.ts", "const a = 1;", [/src\/\(a\.ts\) is no known layer/]],
  ["main.ts", 'import { A } from "./src/http/app.ts";', [/main\.ts must import only src\/cli/]],
  ["src/http/a.ts", "const a = 1;\nDeno.listen(a);", [
    /^2: http must not use Deno\.listen\(\) or Deno\.connect\(\); make it in src\/server/,
  ]],
  ["src/proxy/a.ts", "Deno.createHttpClient({});", [/Deno\.createHttpClient\(\)/]],
  ["src/store/a.ts", "new Worker(url);", [/new Worker\(\)/]],
  ["src/http/a.ts", "openDatabase(path);", [/openDatabase\(\)/]],
  ["src/cli/a.ts", "new DatabaseSync(path);", [/only src\/store knows SQLite/]],
  ["src/core/a.ts", "Deno.cwd();\nfetch(url);\nsetTimeout(f, 1);\nDate.now();", [
    /^1: core must not use Deno/,
    /^2: core must not use fetch/,
    /^3: core must not use a timer/,
    /^4: core must not use the clock/,
  ]],
];

Deno.test("checkLayers() names the line and the remedy of what points the wrong way", () => {
  for (const [path, text, problems] of REFUSED) {
    const found = check(path, text);
    assert.equal(found.length, problems.length, `${path}: ${text}\n${found.join("\n")}`);
    problems.forEach((problem, place) => assert.match(found[place] ?? "", problem));
  }
});

/** Files by name below `src/core/`. */
function cyclesOf(files: Readonly<Record<string, string>>): string[] {
  const sources = Object.entries(files).map(([name, text]) => ({ path: `src/core/${name}.ts`, text }));
  return checkLayers(sources).map(({ path, line, message }) => `${path}:${line}: ${message}`);
}

const CYCLES: readonly (readonly [what: string, files: Record<string, string>, found: readonly string[]])[] =
  [
    ["none", {
      a: 'import { B } from "./b.ts";\nimport { C } from "./c.ts";',
      b: 'import { C } from "./c.ts";',
      c: 'import { Buffer } from "node:buffer";',
    }, []],
    ["of two", { a: 'import { B } from "./b.ts";', b: '\nimport { A } from "./a.ts";' }, [
      "src/core/b.ts:2: import cycle: src/core/a.ts -> src/core/b.ts -> src/core/a.ts",
    ]],
    ["of three", {
      a: 'import { B } from "./b.ts";',
      b: 'import { C } from "./c.ts";',
      c: 'import { A } from "./a.ts";',
    }, [
      "src/core/c.ts:1: import cycle: src/core/a.ts -> src/core/b.ts -> src/core/c.ts -> src/core/a.ts",
    ]],
    ["by types only", { a: 'import type { B } from "./b.ts";', b: 'type X = import("./a.ts").A;' }, [
      "src/core/b.ts:1: import cycle: src/core/a.ts -> src/core/b.ts -> src/core/a.ts",
    ]],
    ["by a re-export", { a: 'export * from "./b.ts";', b: 'export { A } from "./a.ts";' }, [
      "src/core/b.ts:1: import cycle: src/core/a.ts -> src/core/b.ts -> src/core/a.ts",
    ]],
    ["by a dynamic import", { a: 'const b = await import("./b.ts");', b: 'import "./a.ts";' }, [
      "src/core/b.ts:1: import cycle: src/core/a.ts -> src/core/b.ts -> src/core/a.ts",
    ]],
    ["of a file with itself", { a: 'import { A } from "./a.ts";' }, [
      "src/core/a.ts:1: import cycle: src/core/a.ts -> src/core/a.ts",
    ]],
    ["behind a file that is in none", {
      a: 'import { B } from "./b.ts";',
      b: 'import { C } from "./c.ts";\nimport { D } from "./d.ts";',
      c: 'import { B } from "./b.ts";',
      d: 'import { B } from "./b.ts";',
    }, [
      "src/core/c.ts:1: import cycle: src/core/b.ts -> src/core/c.ts -> src/core/b.ts",
      "src/core/d.ts:1: import cycle: src/core/b.ts -> src/core/d.ts -> src/core/b.ts",
    ]],
  ];

Deno.test("checkLayers() finds cycles between files, and names their files in order", () => {
  for (const [what, files, found] of CYCLES) assert.deepEqual(cyclesOf(files), found, what);
});

/** A function of this many lines, from a line before it on. */
function functionOf(lines: number, start = "function f() {"): string {
  return `${start}\n${"  g();\n".repeat(lines - 2)}}\n`;
}

const LIMITS: readonly (readonly [path: string, text: string, problems: readonly RegExp[]])[] = [
  ["src/core/a.ts", "g();\n".repeat(350), []],
  ["src/core/a.ts", "g();\n".repeat(351), [/^1: the file has 351 lines, at most 350/]],
  ["scripts/a.ts", "g();\n".repeat(351), [/^1: the file has 351 lines/]],
  ["src/core/a.ts", functionOf(60), []],
  ["src/core/a.ts", `\n${functionOf(61)}`, [/^2: f\(\) has 61 lines, at most 60; .*: \/\/ long: /]],
  ["scripts/a/b.tsx", functionOf(61, "const f = () => {"), [/^1: a function has 61 lines/]],
  ["src/core/a.ts", `class A {\n${functionOf(61, "constructor() {")}}\n`, [
    /^2: the constructor has 61 lines/,
  ]],
  ["src/core/a.ts", `class A {\n${functionOf(61, "  async #f() {")}}\n`, [/^2: #f\(\) has 61 lines/]],
  ["src/core/a.ts", `/** Does it. */\n// long: one loop that waits for both sides\n${functionOf(61)}`, []],
  ["src/core/a.ts", `// long:\n${functionOf(61)}`, [/^2: f\(\)/]],
  ["src/core/a.ts", `// long: too far away\n\n${functionOf(61)}`, [/^3: f\(\)/]],
  ["src/core/a.ts", `/** ${"\n * word".repeat(70)}\n */\n${functionOf(60)}`, []],
];

Deno.test("checkLayers() finds files and functions that are too long, unless a comment gives the reason", () => {
  for (const [path, text, problems] of LIMITS) {
    const found = check(path, text);
    assert.equal(found.length, problems.length, `${text.slice(0, 80)}\n${found.join("\n")}`);
    problems.forEach((problem, place) => assert.match(found[place] ?? "", problem));
  }
});

Deno.test("check_layers prints file:line of each violation and ends with 1", async () => {
  const directory = await Deno.makeTempDir({ prefix: "oar-layers-" });
  try {
    await Deno.mkdir(`${directory}/src/core`, { recursive: true });
    await Deno.writeTextFile(`${directory}/main.ts`, "export {};\n");
    await Deno.writeTextFile(`${directory}/src/core/a.ts`, '\nimport { B } from "../http/b.ts";\n');
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-read", "--allow-env", `${root}scripts/check_layers.ts`, directory],
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(code, 1);
    assert.match(new TextDecoder().decode(stderr), /^src\/core\/a\.ts:2: core must not import http\/b\.ts/m);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
