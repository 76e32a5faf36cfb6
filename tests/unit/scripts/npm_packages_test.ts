import assert from "node:assert/strict";
import { NPM_PLATFORMS, repositoryOf, writePackages } from "../../../scripts/npm/packages.ts";

const VERSION = "9.8.7-rc.1";
const REPOSITORY = "https://git.example/team/router";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly bin?: Record<string, string>;
  readonly os?: string[];
  readonly cpu?: string[];
  readonly libc?: string[];
  readonly dependencies?: unknown;
  readonly scripts?: unknown;
  readonly optionalDependencies?: Record<string, string>;
  readonly repository?: { readonly type: string; readonly url: string };
}

/** Writes the packages of some targets from stand-ins for executables, and gives the folders. */
async function withPackages(
  targets: readonly string[],
  repository: string | null,
  use: (folders: readonly string[], root: string) => void | Promise<void>,
): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "oar-npm-" });
  try {
    const executables = targets.map((target) => ({ target, path: `${root}/${target}` }));
    for (const { target, path } of executables) await Deno.writeTextFile(path, target);
    await Deno.mkdir(`${root}/npm/openai-api-route-of-yesterday`, { recursive: true });
    await use(await writePackages(`${root}/npm`, executables, { version: VERSION, repository }), root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

const manifestOf = (folder: string): Manifest => JSON.parse(Deno.readTextFileSync(`${folder}/package.json`));

Deno.test("one package per platform holds its executable, and npm installs it only where it runs", async () => {
  const targets = Object.keys(NPM_PLATFORMS);
  assert.equal(targets.length, 5);
  await withPackages(targets, REPOSITORY, (folders, root) => {
    const seen = folders.slice(0, -1).map((folder, at) => {
      const { name, version, os, cpu, libc, bin, license, repository } = manifestOf(folder);
      assert.deepEqual({ version, license, bin }, { version: VERSION, license: "MIT", bin: undefined });
      assert.deepEqual(repository, { type: "git", url: `git+${REPOSITORY}.git` });
      const file = `${folder}/bin/openai-api-route${os?.[0] === "win32" ? ".exe" : ""}`;
      assert.equal(Deno.readTextFileSync(file), targets[at]);
      assert.equal((Deno.statSync(file).mode ?? 0) & 0o777, 0o755);
      return [name, os?.join(), cpu?.join(), libc?.join()];
    });
    assert.deepEqual(seen, [
      ["@openai-api-route/linux-x64", "linux", "x64", "glibc"],
      ["@openai-api-route/linux-arm64", "linux", "arm64", "glibc"],
      ["@openai-api-route/darwin-x64", "darwin", "x64", undefined],
      ["@openai-api-route/darwin-arm64", "darwin", "arm64", undefined],
      ["@openai-api-route/win32-x64", "win32", "x64", undefined],
    ]);
    const inFolder = [...Deno.readDirSync(`${root}/npm`)].map(({ name }) => `${root}/npm/${name}`);
    assert.deepEqual(inFolder.toSorted(), folders.toSorted(), "nothing of an earlier build stays");
  });
});

Deno.test("the main package comes last, names every platform in its own version, and runs no script", async () => {
  await withPackages(["x86_64-unknown-linux-gnu"], REPOSITORY, (folders) => {
    const main = folders.at(-1) ?? assert.fail("no package");
    const manifest = manifestOf(main);
    assert.deepEqual([manifest.name, manifest.version, manifest.license], [
      "openai-api-route",
      VERSION,
      "MIT",
    ]);
    assert.deepEqual(manifest.bin, { "openai-api-route": "bin/openai-api-route.cjs" });
    assert.deepEqual(manifest.optionalDependencies, {
      "@openai-api-route/linux-x64": VERSION,
      "@openai-api-route/linux-arm64": VERSION,
      "@openai-api-route/darwin-x64": VERSION,
      "@openai-api-route/darwin-arm64": VERSION,
      "@openai-api-route/win32-x64": VERSION,
    });
    assert.deepEqual([manifest.dependencies, manifest.scripts], [undefined, undefined]);
    assert.equal(manifest.repository?.url, `git+${REPOSITORY}.git`);
    for (const folder of folders) {
      assert.equal(Deno.readTextFileSync(`${folder}/LICENSE`), Deno.readTextFileSync("LICENSE"));
    }
    assert.equal(Deno.readTextFileSync(`${main}/README.md`), Deno.readTextFileSync("README.md"));
  });
});

Deno.test("without a known repository, packages name none", async () => {
  await withPackages(["x86_64-unknown-linux-gnu"], null, (folders) => {
    for (const folder of folders) assert.equal(manifestOf(folder).repository, undefined);
  });
});

Deno.test("the repository is that of the workflow, or else of the remote", () => {
  const workflow = { GITHUB_SERVER_URL: "https://github.example", GITHUB_REPOSITORY: "o/r" };
  const cases: readonly [env: Record<string, string>, origin: string | null, expected: string | null][] = [
    [workflow, "https://other.example/o/r.git", "https://github.example/o/r"],
    [{ ...workflow, GITHUB_REPOSITORY: "" }, null, null],
    [{}, null, null],
    [{}, "", null],
    [{}, "/srv/git/router.git", null],
    [{}, "../router", null],
    [{}, "file:///srv/git/router.git", null],
    [{}, "https://git.example/o/r.git", "https://git.example/o/r"],
    [{}, "https://git.example/o/r/", "https://git.example/o/r"],
    // A token in the remote must not be published.
    [{}, "https://user:ghp_secret@git.example/group/sub/r.git", "https://git.example/group/sub/r"],
    [{}, "git@git.example:o/r.git", "https://git.example/o/r"],
    [{}, "ssh://git@git.example/o/r", "https://git.example/o/r"],
  ];
  for (const [env, origin, expected] of cases) {
    assert.equal(repositoryOf(env, origin), expected, origin ?? "");
  }
});
