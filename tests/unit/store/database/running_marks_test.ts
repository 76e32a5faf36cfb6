import assert from "node:assert/strict";
import {
  isMarkHeld,
  markedInstances,
  removeDeadMarks,
  runningInstances,
  RunningMark,
} from "../../../../src/store/database/running_marks.ts";
import { withDirectory } from "../support.ts";

Deno.test("a mark is held while its process wants it, and is gone afterwards", async () => {
  await withDirectory((path, directory) => {
    assert.equal(isMarkHeld(path, "a"), undefined);
    const mark = RunningMark.set(path, "a");
    assert.equal(isMarkHeld(path, "a"), true);
    assert.deepEqual([...Deno.readDirSync(directory)].map(({ name }) => name), ["db.sqlite.running-a"]);
    assert.equal((Deno.statSync(`${path}.running-a`).mode ?? 0) & 0o777, 0o600);
    mark?.clear();
    assert.equal(isMarkHeld(path, "a"), undefined);
    assert.deepEqual(markedInstances(path), []);
  });
});

Deno.test("a mark is released by the end of its process, however it ends", async () => {
  await withDirectory(async (path) => {
    const source = `import { RunningMark } from ${
      JSON.stringify(new URL("../../../../src/store/database/running_marks.ts", import.meta.url).href)
    };
    console.log(RunningMark.set(${JSON.stringify(path)}, "b") !== null);
    setInterval(() => {}, 1000);`;
    const file = `${path}.ts`;
    await Deno.writeTextFile(file, source);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", file],
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "true\n");
    const own = RunningMark.set(path, "a");
    assert.equal(isMarkHeld(path, "b"), true);
    assert.deepEqual(runningInstances(path).sort(), ["a", "b"]);
    removeDeadMarks(path);
    assert.deepEqual(markedInstances(path).sort(), ["a", "b"]);
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    assert.equal(isMarkHeld(path, "b"), false);
    assert.deepEqual(runningInstances(path), ["a"]);
    removeDeadMarks(path);
    assert.deepEqual(markedInstances(path), ["a"]);
    own?.clear();
  });
});

Deno.test("what looks like a mark and is none tells nothing", async () => {
  await withDirectory((path) => {
    Deno.mkdirSync(`${path}.running-folder`);
    Deno.writeTextFileSync(`${path}.running-text`, "no database, ".repeat(100));
    assert.equal(isMarkHeld(path, "folder"), undefined);
    assert.equal(isMarkHeld(path, "text"), undefined);
    removeDeadMarks(path);
    assert.equal(RunningMark.set("/nowhere/db.sqlite", "x"), null);
  });
});
