/**
 * `deno task soak` works, in a run that is too short to judge memory.
 */
import assert from "node:assert/strict";
import { noiseBound, trendOf } from "../../scripts/soak/trend.ts";

const script = new URL("../../scripts/soak.ts", import.meta.url).pathname;

/** Runs the soak with a separate temporary folder, so that leftovers can be found. */
async function runSoak(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const directory = await Deno.makeTempDir({ prefix: "oar-soak-test-" });
  try {
    const executable = Deno.env.get("OAR_EXECUTABLE");
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", script, ...args, ...(executable ? ["--executable", executable] : [])],
      // The caller's settings must not reach the soak's router.
      env: { TMPDIR: directory, NO_COLOR: "1", OAR_ADDR: "nonsense" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    assert.deepEqual([...Deno.readDirSync(directory)], [], "the soak left something behind");
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test({
  name: "ten seconds of mixed traffic leave one record per request, no open socket and no error",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { code, stdout, stderr } = await runSoak(["--minutes", "0.17", "--clients", "20"]);
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    assert.match(stdout, /^one record for each request +ok +[1-9]\d* requests to be recorded/m);
    assert.match(stdout, /^SIGTERM ends it with 0 +ok/m);
    assert.match(stdout, /^all is well$/m);
    console.log(stdout);
  },
});

Deno.test("the soak refuses what it does not understand", async () => {
  const noMinutes = await runSoak([]);
  assert.equal(noMinutes.code, 2);
  assert.match(noMinutes.stderr, /--minutes/);
  const noNumber = await runSoak(["--minutes", "many"]);
  assert.equal(noNumber.code, 2);
  const noScenario = await runSoak(["--minutes", "1", "--only", "teapots"]);
  assert.equal(noScenario.code, 2);
  assert.match(noScenario.stderr, /the scenarios are: plain/);
});

Deno.test("trendOf() distinguishes growth from noise", () => {
  const seconds = Array.from({ length: 600 }, (_, atS) => atS);
  const jitter = (atS: number) => 20 * Math.sin(atS * 12.9898);
  const flat = trendOf(seconds.map((atS) => ({ atS, value: 1000 + jitter(atS) })));
  assert.ok(Math.abs(flat.growth) < noiseBound(flat));
  const growing = trendOf(seconds.map((atS) => ({ atS, value: 1000 + atS / 2 + jitter(atS) })));
  assert.ok(Math.abs(growing.slope - 0.5) < 0.01);
  assert.ok(growing.growth > noiseBound(growing));
});
