/** The release workflow, against the build and by `actionlint`. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { NPM_PLATFORMS } from "../../../scripts/npm/packages.ts";

const root = new URL("../../../", import.meta.url).pathname;
const WORKFLOW = `${root}.github/workflows/release.yml`;
const text = Deno.readTextFileSync(WORKFLOW);
const hasActionlint = spawnSync("actionlint", ["--version"]).status === 0;

const PLATFORMS = Object.values(NPM_PLATFORMS).map(({ os, cpu }) => `${os}-${cpu}`);

/** The text of each job, by its name. */
function jobs(): Map<string, string> {
  const [, all = ""] = text.split(/^jobs:\n/m);
  const parts = all.split(/^ {2}([a-z]+):\n/m).slice(1);
  return new Map(parts.flatMap((name, at) => at % 2 === 0 ? [[name, parts[at + 1] ?? ""] as const] : []));
}

function job(name: string): string {
  return jobs().get(name) ?? assert.fail(`no job ${name}`);
}

Deno.test({
  name: "actionlint accepts the release workflow",
  ignore: !hasActionlint && Deno.env.get("CI") !== "true",
  fn: () => {
    const { status, stdout, stderr } = spawnSync("actionlint", ["-no-color", WORKFLOW], { encoding: "utf8" });
    assert.equal(status, 0, `${stdout}${stderr}`);
  },
});

Deno.test("a tag releases: every target of the build is tried on its platform before anything is published", () => {
  assert.match(text, /^on:\n {2}push:\n {4}tags: /m);
  const targets = /const TARGETS = \[([^\]]+)\]/.exec(Deno.readTextFileSync(`${root}scripts/build.ts`))?.[1];
  assert.deepEqual(
    [...targets?.matchAll(/"(\S+)"/g) ?? []].map(([, target]) => target).toSorted(),
    Object.keys(NPM_PLATFORMS).toSorted(),
  );
  assert.match(job("build"), /deno task build --all --npm$/m);
  const tried = [...job("try").matchAll(/platform: (\S+),/g)].map(([, platform]) => platform);
  assert.deepEqual(tried, PLATFORMS);
  assert.match(job("try"), /needs: build/);
  assert.match(job("npm"), /needs: try/);
  assert.match(job("image"), /needs: try/);
  assert.match(job("release"), /needs: \[npm, image\]/);
  assert.match(job("build"), /require\("\.\/deno\.json"\)\.version/, "the tag is compared with the version");
});

Deno.test("npm gets the platforms before the package that names them, with provenance", () => {
  const order = /for platform in (.+); do/.exec(job("npm"))?.[1]?.split(" ");
  assert.deepEqual(order, [...PLATFORMS, '""']);
  assert.match(job("npm"), /npm publish --provenance --access public/);
  assert.match(job("npm"), /id-token: write/);
});

Deno.test("the release has checksums, and each job only the rights that it needs", () => {
  assert.match(job("build"), /dist\/SHA256SUMS/);
  assert.match(job("release"), /sha256sum --check SHA256SUMS/);
  assert.match(text, /^permissions: \{\}$/m);
  const writes = [...jobs()].flatMap(([name, part]) =>
    [...part.matchAll(/^ +([\w-]+): write$/gm)].map(([, right]) => `${name} ${right}`)
  );
  assert.deepEqual(writes, ["npm id-token", "image packages", "release contents"]);
  // What a tag or an owner is called must not become a command.
  for (const [, script = ""] of text.matchAll(/^ +run: \|\n((?: {10}.*\n|\n)+)/gm)) {
    assert.doesNotMatch(script, /\$\{\{/, script);
  }
});

Deno.test("the workflow uses the Deno version of the project, and actions of GitHub alone", () => {
  const version = /^ {2}DENO_VERSION: (\S+)$/m.exec(text)?.[1];
  assert.equal(version, /^readonly DENO_VERSION=(\S+)$/m.exec(Deno.readTextFileSync(`${root}.ci/run`))?.[1]);
  for (const [, action = ""] of text.matchAll(/uses: (\S+)/g)) assert.match(action, /^actions\/[\w-]+@v\d+$/);
});
