/**
 * The documents against the program and against each other: what is documented exists, what exists is documented, and
 * both languages have the same shape.
 *
 * Owns which page must list what.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import manifest from "../../../deno.json" with { type: "json" };
import { ALERT_VARIABLES } from "../../../src/config/environment.ts";
import { SETTING_FLAGS, type SettingFlag } from "../../../src/config/flags.ts";
import { migrate } from "../../../src/store/database/migrations.ts";
import { Metrics } from "../../../src/observe/metrics.ts";

const root = new URL("../../../", import.meta.url);
const FLAGS: readonly SettingFlag[] = SETTING_FLAGS;
const MAX_README_LINES = 220;

/** Pages for users, which exist in both languages. */
const USER_PAGES = [
  "README.md",
  "docs/admin.md",
  "docs/affinity.md",
  "docs/usage.md",
  "docs/benchmarks.md",
  "docs/budgets.md",
  "docs/commands.md",
  "docs/configuration.md",
  "docs/costs.md",
  "docs/database.md",
  "docs/failover.md",
  "docs/keys.md",
  "docs/tokens.md",
  "docs/limits.md",
  "docs/models.md",
  "docs/migrating-from-go.md",
  "docs/operations.md",
  "docs/postgresql.md",
  "docs/security.md",
  "docs/upstreams.md",
] as const;
type UserPage = typeof USER_PAGES[number];

/** Where the program's parts must be listed, in both languages. */
const LISTED_ON = {
  flags: "docs/configuration.md",
  alertVariables: "docs/configuration.md",
  columns: "docs/database.md",
  metrics: "docs/operations.md",
} as const satisfies Readonly<Record<string, UserPage>>;

/** Tells of versions that are past: what it names need not exist any more. */
const HISTORY = "CHANGELOG.md";

const read = (path: string): string => Deno.readTextFileSync(new URL(path, root));

function markdownFiles(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))]
    .filter(({ isFile, name }) => isFile && name.endsWith(".md"))
    .map(({ name }) => folder + name)
    .toSorted();
}

const ALL_PAGES = ["./", "docs/", "docs/zh/"].flatMap(markdownFiles).map((path) => path.replace("./", ""));
const PRESENT_PAGES = ALL_PAGES.filter((path) => path !== HISTORY);

/** TypeScript files, with their paths from the root. */
function filesBelow(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].flatMap(({ name, isDirectory }) => {
    if (isDirectory) return filesBelow(`${folder}${name}/`);
    return /\.tsx?$/.test(name) ? [folder + name] : [];
  });
}

function inChinese(page: UserPage): string {
  return page === "README.md" ? "README.zh.md" : page.replace("docs/", "docs/zh/");
}

/** A page in both languages, as path and text. */
function bothLanguages(page: UserPage): [string, string][] {
  return [page, inChinese(page)].map((path) => [path, read(path)]);
}

/** The cells of each row of a table whose first cell matches. */
function rows(text: string, first: RegExp): string[][] {
  return text.split("\n").filter((line) => line.startsWith("| ")).map((line) =>
    line.slice(2, -2).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"))
  ).filter(([cell = ""]) => first.test(cell));
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[0]);
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, "");
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): Set<string> {
  return new Set(
    matches(withoutCode(text), /^#+ (.+)$/gm).map((heading) =>
      heading.toLowerCase().replace(/[^\p{L}\p{N}_ -]/gu, "").replaceAll(" ", "-")
    ),
  );
}

/** Links and pictures of a page that stay in the repository, as path from its root and anchor. */
function linksOf(path: string): { target: string; file: string; anchor: string }[] {
  return matches(withoutCode(read(path)), /\]\(([^)]+)\)/g)
    .filter((target) => !/^https?:/.test(target))
    .map((target) => {
      const { href, hash } = new URL(target, new URL(path, root));
      const file = href.slice(root.href.length, hash === "" ? undefined : -hash.length);
      return { target, file, anchor: decodeURIComponent(hash.slice(1)) };
    });
}

Deno.test("every flag of the server is listed with its variable and its default, in order", () => {
  const expected = FLAGS.map((flag) => [
    `\`${flag.flag}${flag.value === null ? " [yes|no]" : ` <${flag.value}>`}\``,
    `\`${flag.variable}\``,
    flag.default === null ? "" : `\`${flag.default}\``,
  ]);
  for (const [name, text] of bothLanguages(LISTED_ON.flags)) {
    assert.deepEqual(rows(text, /^`--/).map((cells) => cells.slice(0, 3)), expected, name);
  }
  assert.deepEqual(
    rows(read(LISTED_ON.flags), /^`--/).map((cells) => cells[3]),
    FLAGS.map((flag) => flag.description),
  );
});

Deno.test("every variable of the alert channels is listed", () => {
  const expected = ALERT_VARIABLES.map(({ variable }) => `\`${variable}\``);
  for (const [name, text] of bothLanguages(LISTED_ON.alertVariables)) {
    assert.deepEqual(rows(text, /^`(FEISHU|MATRIX|ALERT)_/).map(([cell]) => cell), expected, name);
  }
  assert.deepEqual(
    rows(read(LISTED_ON.alertVariables), /^`(FEISHU|MATRIX|ALERT)_/).map((cells) => cells[1]),
    ALERT_VARIABLES.map(({ description }) => description),
  );
});

Deno.test("every metric is listed, and no other", async () => {
  const remote = () => ({ isUp: true, waiting: 0, oldestAgeSeconds: null });
  const metrics = new Metrics({ version: "1", deno: "2", databaseBytes: () => 0, remote });
  const { body } = await metrics.render();
  const names = matches(body, /^# TYPE (\S+)/gm).toSorted();
  for (const [name, text] of bothLanguages(LISTED_ON.metrics)) {
    const documented = new Set(matches(text, /`((?:openai_api_route|process)_[a-z_]+)`/g));
    assert.deepEqual([...documented].toSorted(), names, name);
  }
});

Deno.test("every column of every table for users is listed", () => {
  const db = new DatabaseSync(":memory:");
  migrate(db);
  for (const table of ["openai_upstreams", "records", "attempts"]) {
    const columns = db.prepare("SELECT name FROM pragma_table_info(?)").all(table);
    for (const [name, text] of bothLanguages(LISTED_ON.columns)) {
      for (const column of columns) {
        const isNamed = text.includes(`\`${column["name"]}\``);
        assert.ok(isNamed, `${name} does not name ${table}.${column["name"]}`);
      }
    }
  }
  db.close();
});

Deno.test("the README has the two commands for strangers, and stays short", () => {
  for (const [name, text] of bothLanguages("README.md")) {
    for (const task of ["demo", "test"]) {
      assert.ok(text.includes(`\`\`\`sh\nnpx -y deno@2.9.6 task ${task}\n\`\`\``), `${name}: ${task}`);
    }
    const lines = text.split("\n").length - 1;
    assert.ok(lines <= MAX_README_LINES, `${name} has ${lines} lines; move something to docs/`);
  }
});

Deno.test("every task that a page mentions exists, and so does its script", () => {
  const tasks: Readonly<Record<string, string | { readonly dependencies: readonly string[] }>> =
    manifest.tasks;
  for (const page of PRESENT_PAGES) {
    for (const task of new Set(matches(read(page), /deno(?:@\S+)? task ([a-z:]+)/g))) {
      const command = tasks[task] ?? assert.fail(`${page}: no task ${task}`);
      const text = typeof command === "string" ? command : "";
      const script = /scripts\/[\w/]+\.ts/.exec(text)?.[0];
      if (script !== undefined) assert.ok(Deno.statSync(new URL(script, root)).isFile, `${page}: ${script}`);
    }
  }
});

Deno.test("every path that a page mentions exists", () => {
  for (const page of PRESENT_PAGES) {
    for (const path of matches(read(page), /`((?:src|tests|scripts|docs)\/[\w./-]*)`/g)) {
      assert.doesNotThrow(() => Deno.statSync(new URL(path, root)), `${page}: ${path}`);
    }
  }
});

Deno.test("every file that the architecture mentions by its room exists", () => {
  const named = matches(read("docs/architecture.md"), /`((?:[a-z_]+\/)+[a-z_]+\.tsx?)`/g)
    .filter((path) => !/^(?:src|tests|scripts)\//.test(path));
  assert.ok(named.length > 10);
  for (const path of named) assert.doesNotThrow(() => Deno.statSync(new URL(`src/${path}`, root)), path);
});

Deno.test("the pages for users are in both languages, and no others are in Chinese", () => {
  assert.deepEqual(markdownFiles("docs/zh/"), USER_PAGES.slice(1).map(inChinese).toSorted());
});

Deno.test("both languages of a page have the same headings, code, tables, lists and links", () => {
  const english = new Map(USER_PAGES.map((page) => [inChinese(page), page as string]));
  const shape = (path: string) => {
    const text = read(path);
    return {
      headings: matches(withoutCode(text), /^(#+) /gm),
      code: matches(text, /^```[\s\S]*?^```$/gm),
      tableRows: matches(text, /^\|.*$/gm).map((line) => line.split(/(?<!\\)\|/).length),
      tableNumbers: matches(text, /^\|.*$/gm).map((line) => matches(line, /\d+(?:[.,]\d+)*/g).toSorted()),
      items: matches(text, /^- /gm).length,
      links: linksOf(path).map(({ file }) => english.get(file) ?? file).toSorted(),
    };
  };
  for (const page of USER_PAGES) assert.deepEqual(shape(inChinese(page)), shape(page), page);
});

Deno.test("every link leads somewhere, with its anchor", () => {
  for (const page of ALL_PAGES) {
    for (const { target, file, anchor } of linksOf(page)) {
      assert.doesNotThrow(() => Deno.statSync(new URL(file, root)), `${page}: ${target}`);
      if (anchor !== "") assert.ok(anchorsOf(read(file)).has(anchor), `${page}: ${target}`);
    }
  }
});

Deno.test("the README links to every page", () => {
  const linked = (path: string) => new Set(linksOf(path).map(({ file }) => file));
  const fromEnglish = linked("README.md");
  const fromChinese = linked("README.zh.md");
  for (const page of markdownFiles("docs/")) assert.ok(fromEnglish.has(page), page);
  for (const page of markdownFiles("docs/zh/")) assert.ok(fromChinese.has(page), page);
});

Deno.test("every page in docs/ opens with a title and a sentence", () => {
  for (const page of ALL_PAGES.filter((path) => path.startsWith("docs/"))) {
    assert.match(read(page), /^# .+\n\n\p{L}[^\n]+\n/u, page);
  }
});

Deno.test("every tuned number leads to its row, and every row to its number", () => {
  const sources = filesBelow("src/").concat("scripts/build.ts").map(read);
  const anchors = anchorsOf(read("docs/tuning.md"));
  const cited = new Set(sources.flatMap((text) => matches(text, /docs\/tuning\.md#([\w-]+)/g)));
  assert.ok(cited.size > 10);
  for (const anchor of cited) assert.ok(anchors.has(anchor), anchor);
  const defined = new Set(
    sources.flatMap((text) => matches(text, /^(?:export )?const ([A-Z][A-Z0-9_]+)\b/gm)),
  );
  const rowNames = rows(read("docs/tuning.md"), /`/).flatMap(([cell = ""]) =>
    matches(cell, /`([A-Z][A-Z0-9_]+)`/g)
  );
  for (const name of rowNames) assert.ok(defined.has(name) || name === "RUST_MIN_STACK", name);
  const linked = sources.flatMap((text) =>
    matches(text, /^(?:export )?const ([A-Z][A-Z0-9_]+)\b.*docs\/tuning\.md#/gm)
  );
  for (const name of linked) assert.ok(rowNames.includes(name), name);
});

Deno.test("every test that the threat model names is there", () => {
  const named = matches(read("docs/threat-model.md"), /`((?:[\w-]+\/)+(?:\w+_test\.ts)?)`/g);
  assert.ok(named.some((path) => path.endsWith("_test.ts")));
  for (const path of named) assert.ok(Deno.statSync(new URL(`tests/${path}`, root)), path);
});
