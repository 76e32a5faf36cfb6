/**
 * The npm packages as `deno task build --npm` leaves them: packed, installed from the files alone into an empty folder,
 * and used through `npx`.
 */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import manifest from "../../deno.json" with { type: "json" };
import { eventually } from "../support/router.ts";
import { chatEvents, FakeUpstream, stream } from "../support/upstream.ts";
import { EXECUTABLE, type Finished, Server } from "./installation.ts";

const PACKAGES = `${dirname(EXECUTABLE)}/npm`;
const isThere = await Deno.stat(PACKAGES).then(({ isDirectory }) => isDirectory, () => false);
const ignore = !isThere && Deno.env.get("CI") !== "true";
if (ignore) console.log(`no npm packages in ${PACKAGES}: build them first, by deno task build --npm`);

/** The main package's folder, and that of this machine's platform. */
const NAMES = [
  "openai-api-route",
  `openai-api-route-${Deno.build.os}-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`,
];

/** A folder with nothing but what npm puts there, and a home of its own. */
class NpmFolder implements AsyncDisposable {
  private constructor(readonly root: string) {}

  static async create(): Promise<NpmFolder> {
    const folder = new NpmFolder(await Deno.makeTempDir({ prefix: "oar-e2e-npm-" }));
    for (const name of ["archives", "home", "app"]) await Deno.mkdir(`${folder.root}/${name}`);
    return folder;
  }

  get directory(): string {
    return `${this.root}/app`;
  }

  /** Packs both packages; returns the archives' names, the main one first. */
  async pack(): Promise<string[]> {
    const folders = NAMES.map((name) => `${PACKAGES}/${name}`);
    await this.succeed("npm", [
      "pack",
      "--silent",
      "--pack-destination",
      `${this.root}/archives`,
      ...folders,
    ]);
    return NAMES.map((name) => `../archives/${name}-${manifest.version}.tgz`);
  }

  async install(archives: readonly string[]): Promise<void> {
    await this.succeed("npm", ["install", "--offline", "--no-audit", "--no-fund", ...archives]);
  }

  spawn(command: string, args: readonly string[]): Deno.ChildProcess {
    return new Deno.Command(command, {
      args: [...args],
      cwd: this.directory,
      clearEnv: true,
      env: { PATH: Deno.env.get("PATH") ?? "", HOME: `${this.root}/home` },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  async run(command: string, args: readonly string[]): Promise<Finished> {
    const { code, stdout, stderr } = await this.spawn(command, args).output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  }

  async succeed(command: string, args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, args);
    assert.equal(code, 0, `${command} ${args.join(" ")}: ${stdout}${stderr}`);
    return stdout;
  }

  /** The command that npm installed; `npx` runs the same, and takes seconds for it. */
  installed(...args: readonly string[]): Promise<string> {
    return this.succeed(`${this.directory}/node_modules/.bin/openai-api-route`, args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.root, { recursive: true });
  }
}

Deno.test({
  name: "from the packages' files to a streamed reply, its record, and an orderly stop",
  ignore,
  fn: async (t) => {
    await using folder = await NpmFolder.create();
    const archives = await folder.pack();

    await t.step("the archives hold the licence, the README, and what is to be started", async () => {
      for (const archive of archives) {
        const files = (await folder.succeed("tar", ["tzf", archive])).trim().split("\n").toSorted();
        assert.equal(files.length, 4, files.join(" "));
        for (const name of ["LICENSE", "README.md", "package.json"]) {
          assert.ok(files.includes(`package/${name}`));
        }
        assert.match(files.join("\n"), /^package\/bin\/openai-api-route(\.cjs|\.exe)?$/m);
      }
    });

    await t.step("without the platform's package, the command says what to do", async () => {
      await folder.install(archives.slice(0, 1));
      const { code, stderr } = await folder.run("node_modules/.bin/openai-api-route", ["--version"]);
      assert.equal(code, 126);
      assert.match(stderr, /npm install --include=optional openai-api-route@/);
    });

    await t.step("npx runs the executable, with its exit codes", async () => {
      await folder.install(archives);
      assert.match(
        await folder.succeed("npx", ["--offline", "openai-api-route", "--version"]),
        new RegExp(`^openai-api-route ${manifest.version} \\(`),
      );
      const { code, stderr } = await folder.run("npx", ["--offline", "openai-api-route", "--nonsense"]);
      assert.equal(code, 2, stderr);
    });

    await t.step("npx serves and streams; SIGTERM to npx ends all three processes in order", async () => {
      await using upstream = new FakeUpstream(stream(chatEvents(["Hello", ", ", "world"])));
      await folder.installed("add", "--sk", "sk-upstream-abcdefghijkl", "--endpoint", upstream.endpoint);
      const serve = ["--offline", "openai-api-route", "serve", "--addr", "127.0.0.1:0", "--usage", "never"];
      const server = new Server(folder.spawn("npx", serve));
      await server.listening;
      const token = (await folder.installed("token", "show", "default")).trim();
      const response = await server.chat(token, { stream: true });
      assert.equal(await response.text(), chatEvents(["Hello", ", ", "world"]).join(""));
      assert.match(await folder.installed("records", "list"), /test-model/);
      // npm itself ends with 0 or by the signal, as its shell does.
      await server.end("SIGTERM");
      assert.match(server.text, /stopped/);
      await assert.rejects(fetch(server.url), "nothing listens any more");
    });

    await t.step("an open stream outlives a signal to the whole process group of npx", async () => {
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      const events = chatEvents(["before ", "after"]);
      await using upstream = new FakeUpstream(async (request, wire) => {
        await released;
        await stream(events)(request, wire);
      });
      await folder.installed("edit", "1", "--endpoint", upstream.endpoint);
      // setsid makes it the leader of a group, as a shell does for what is typed on a terminal.
      const args = [
        "npx",
        "--offline",
        "openai-api-route",
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--usage",
        "never",
      ];
      const server = new Server(folder.spawn("setsid", args));
      await server.listening;
      const token = (await folder.installed("token", "show", "default")).trim();
      const reading = server.chat(token, { stream: true }).then((response) => response.text());
      await eventually(() => upstream.requests.length === 1 ? true : null, "the request");
      Deno.kill(-server.pid, "SIGINT");
      await eventually(() => server.text.includes("stopping") ? true : null, "the stop");
      release();
      assert.equal(await reading, events.join(""));
      await server.ended();
      assert.match(server.text, /stopped/);
    });
  },
});
