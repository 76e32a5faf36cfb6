/**
 * The README in both languages against the program: what is documented exists, and what exists is documented.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import manifest from "../../../deno.json" with { type: "json" };
import { ALERT_VARIABLES } from "../../../src/config/environment.ts";
import { SETTING_FLAGS, type SettingFlag } from "../../../src/config/flags.ts";
import { migrate } from "../../../src/store/database/migrations.ts";
import { Metrics } from "../../../src/observe/metrics.ts";

const root = new URL("../../../", import.meta.url);
const english = Deno.readTextFileSync(new URL("README.md", root));
const chinese = Deno.readTextFileSync(new URL("README.zh.md", root));
const BOTH = [["README.md", english], ["README.zh.md", chinese]] as const;
const EXPECTED: readonly SettingFlag[] = SETTING_FLAGS;

/** The cells of each row of a table whose first cell matches. */
function rows(text: string, first: RegExp): string[][] {
  return text.split("\n").filter((line) => line.startsWith("| ")).map((line) =>
    line.slice(2, -2).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"))
  ).filter(([cell = ""]) => first.test(cell));
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[0]);
}

Deno.test("the README lists every flag of the server with its variable and its default, in order", () => {
  const expected = EXPECTED.map((flag) => [
    `\`${flag.flag}${flag.value === null ? " [yes|no]" : ` <${flag.value}>`}\``,
    `\`${flag.variable}\``,
    flag.default === null ? "" : `\`${flag.default}\``,
  ]);
  for (const [name, text] of BOTH) {
    assert.deepEqual(rows(text, /^`--/).map((cells) => cells.slice(0, 3)), expected, name);
  }
  assert.deepEqual(
    rows(english, /^`--/).map((cells) => cells[3]),
    EXPECTED.map((flag) => flag.description),
  );
});

Deno.test("the README lists every variable of the alert channels", () => {
  const expected = ALERT_VARIABLES.map(({ variable }) => `\`${variable}\``);
  for (const [name, text] of BOTH) {
    assert.deepEqual(rows(text, /^`(FEISHU|MATRIX|ALERT)_/).map(([cell]) => cell), expected, name);
  }
  assert.deepEqual(
    rows(english, /^`(FEISHU|MATRIX|ALERT)_/).map((cells) => cells[1]),
    ALERT_VARIABLES.map(({ description }) => description),
  );
});

Deno.test("the README names every metric, and no other", async () => {
  const metrics = new Metrics({ version: "1", deno: "2", databaseBytes: () => 0 });
  const { body } = await metrics.render();
  const names = matches(body, /^# TYPE (\S+)/gm).toSorted();
  for (const [name, text] of BOTH) {
    const documented = new Set(matches(text, /`((?:openai_api_route|process)_[a-z_]+)`/g));
    assert.deepEqual([...documented].toSorted(), names, name);
  }
});

Deno.test("the README names every column of every table", () => {
  const db = new DatabaseSync(":memory:");
  migrate(db);
  for (const table of ["openai_upstreams", "records", "attempts"]) {
    const columns = db.prepare("SELECT name FROM pragma_table_info(?)").all(table);
    for (const [name, text] of BOTH) {
      for (const column of columns) {
        const isNamed = text.includes(`\`${column["name"]}\``);
        assert.ok(isNamed, `${name} does not name ${table}.${column["name"]}`);
      }
    }
  }
  db.close();
});

Deno.test("the README mentions only tasks whose script exists", () => {
  const tasks: Readonly<Record<string, string>> = manifest.tasks;
  for (const [name, text] of BOTH) {
    const mentioned = new Set(matches(text, /deno(?:@\S+)? task ([a-z]+)/g));
    assert.ok(mentioned.has("demo") && mentioned.has("test"), name);
    for (const task of mentioned) {
      const script = /scripts\/\w+\.ts/.exec(tasks[task] ?? assert.fail(`${name}: no task ${task}`))?.[0];
      if (script !== undefined) assert.ok(Deno.statSync(new URL(script, root)).isFile, `${name}: ${script}`);
    }
  }
});

Deno.test("both languages of the README have the same headings, code, tables and links", () => {
  const shape = (text: string) => ({
    headings: matches(text, /^(#+) /gm),
    code: matches(text, /^```[\s\S]*?^```$/gm),
    tableRows: matches(text, /^\|.*$/gm).map((line) => line.split(/(?<!\\)\|/).length),
    items: matches(text, /^- /gm).length,
  });
  assert.deepEqual(shape(chinese), shape(english));
});

Deno.test("every link of the README leads somewhere", () => {
  for (const [name, text] of BOTH) {
    const anchors = new Set(
      matches(text, /^#+ (.+)$/gm).map((heading) =>
        heading.toLowerCase().replace(/[^\p{L}\p{N} -]/gu, "").replaceAll(" ", "-")
      ),
    );
    for (const target of matches(text, /\]\(([^)]+)\)/g)) {
      if (target.startsWith("#")) assert.ok(anchors.has(target.slice(1)), `${name}: ${target}`);
      else assert.ok(Deno.statSync(new URL(target, root)).isFile, `${name}: ${target}`);
    }
  }
});

Deno.test("every test that the threat model names is there", () => {
  const text = Deno.readTextFileSync(new URL("docs/threat-model.md", root));
  const named = matches(text, /`((?:[\w-]+\/)+(?:\w+_test\.ts)?)`/g);
  assert.ok(named.some((path) => path.endsWith("_test.ts")));
  for (const path of named) assert.ok(Deno.statSync(new URL(`tests/${path}`, root)), path);
});
