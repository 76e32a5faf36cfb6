/** The contents and permissions of the executable, and the messages of a failed build. */
import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { compileFailure, PERMISSIONS, V8_FLAGS } from "../../scripts/build.ts";
import { EXECUTABLE, isExecutableMissing } from "./installation.ts";

/** The end of the executable, where `deno compile` puts the program after the runtime. */
async function embedded(): Promise<string> {
  const bytes = await Deno.readFile(EXECUTABLE);
  const text = new TextDecoder("latin1").decode(bytes.subarray(-40_000_000));
  return text.slice(text.lastIndexOf('"permissions":{'));
}

Deno.test({
  name: "the executable may use the network, files and its own variables, and nothing else",
  ignore: isExecutableMissing,
  fn: async () => {
    console.log(`built with: ${PERMISSIONS.join(" ")}`);
    for (const permission of PERMISSIONS) assert.doesNotMatch(permission, /^(-A|--allow-(all|run|ffi|sys$))/);
    const permissions = JSON.parse(/^"permissions":(\{[^}]*\})/.exec(await embedded())?.[1] ?? "{}");
    const granted = Object.entries(permissions).filter(([name, value]) =>
      name.startsWith("allow_") && name !== "allow_import" && value !== null && value !== false
    );
    console.log(`embedded: ${JSON.stringify(Object.fromEntries(granted))}`);
    assert.deepEqual(granted.map(([name]) => name).toSorted(), [
      "allow_env",
      "allow_net",
      "allow_read",
      "allow_sys",
      "allow_write",
    ]);
    assert.deepEqual(permissions.allow_sys, ["statfs", "hostname"]);
    assert.deepEqual(permissions.allow_env, [], "every variable: main.ts reads them, and gives that back");
    assert.deepEqual(permissions.deny_import, [], "an empty list means every host");
    assert.equal(permissions.prompt, false);
  },
});

Deno.test({
  name: "the executable has the V8 flags for a proxy, and so does the task that starts the source",
  ignore: isExecutableMissing,
  fn: async () => {
    const text = await embedded();
    assert.match(text, new RegExp(`"v8_flags":\\[[^\\]]*"${V8_FLAGS.join('","')}"\\]`));
    assert.ok(manifest.tasks.start.includes(`--v8-flags=${V8_FLAGS.join(",")} `));
  },
});

Deno.test({
  name: "the executable contains the packages of src, and none that only tests and scripts use",
  ignore: isExecutableMissing,
  fn: async () => {
    const text = await embedded();
    const packages = Object.values(manifest.imports).map((specifier) => specifier.slice("npm:".length));
    // After `npm:` or `/` it is part of deno.json, which is embedded for the version.
    const held = packages.filter((name) => new RegExp(`(?<![\\w:/-])${name}`).test(text));
    console.log(`embedded packages: ${held.join(" ")}`);
    assert.ok(held.some((name) => name.startsWith("hono@")));
    for (const name of ["openai@", "ai@", "@ai-sdk/", "@anthropic-ai/", "@langchain/", "playwright"]) {
      assert.equal(held.some((each) => each.startsWith(name)), false, name);
    }
    // No import leads to the modules of the database's threads.
    for (const name of ["class WriterSession", "class ReaderSession", "class RemoteSession"]) {
      assert.ok(text.includes(name), name);
    }
    assert.equal(text.includes("fixtures/go"), false);
  },
});

Deno.test("a build that cannot reach the release server names the alternative, if there is one", () => {
  const stderr = "error sending request for url (https://dl.deno.land/release/v2.9.6/denort-t.zip)";
  assert.match(compileFailure(stderr, "x86_64-unknown-linux-gnu"), /deno task build --denort npm$/);
  assert.match(compileFailure(stderr, "aarch64-apple-darwin"), /only for x86_64-unknown-linux-gnu/);
  assert.equal(
    compileFailure("error: Module not found", "x86_64-unknown-linux-gnu"),
    "deno compile failed, see above",
  );
});
