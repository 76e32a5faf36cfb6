/**
 * `selftest` as people run it, in an empty folder.
 */
import assert from "node:assert/strict";
import { runProgram } from "../support/router.ts";

async function inTempDir(body: (cwd: string) => Promise<void>): Promise<void> {
  const cwd = await Deno.makeTempDir();
  try {
    await body(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("selftest shows each case with expectation and result, and cleans up", () =>
  inTempDir(async (cwd) => {
    await Deno.mkdir(`${cwd}/tmp`);
    const { code, stdout, stderr } = await runProgram(["selftest"], { cwd, env: { TMPDIR: `${cwd}/tmp` } });
    assert.equal(code, 0, stdout + stderr);
    const rows: readonly (readonly [tried: string, expected: string])[] = [
      ["a plain reply", "200, ok, complete, reply as sent"],
      ["a slow stream, relayed as it comes", "200, ok, complete, reply as sent"],
      ["connection refused", "200, connect_error > ok, complete, reply as sent"],
      ["no answer", "200, timeout > ok, complete, reply as sent"],
      ["429, asking to wait", "200, http_status > ok, complete, reply as sent"],
      ["the next request spares it", "200, ok, complete, reply as sent"],
      ["500", "200, http_status > ok, complete, reply as sent"],
      ["200, then an error event", "200, bad_stream > ok, complete, reply as sent"],
      ["200, then cut before content", "200, bad_stream > ok, complete, reply as sent"],
      ["cut after content", "200, upstream_cut, upstream_cut, reply cut"],
      ["two keys, the first without room", "200, http_status > ok, complete, reply as sent"],
      ["the next request spares that key", "200, ok, complete, reply as sent"],
      ["a model that only the second lists", "200, ok, complete, reply as sent"],
      ["the next turn goes to the same upstream", "200, ok, complete, reply as sent"],
      ["every upstream fails", "500, connect_error > http_status, upstream_error, reply as sent"],
    ];
    const lines = stdout.split("\n").map((line) => line.split(/ {2,}/));
    for (const [tried, expected] of rows) {
      const line = lines.find((cells) => cells[1] === tried);
      assert.deepEqual(line?.slice(0, 4), ["ok", tried, expected, "the same"], stdout);
    }
    assert.match(stdout, /\nall \d+ as expected, in \d+\.\d s\n$/);
    assert.equal(stderr.trim(), "");
    assert.deepEqual([...Deno.readDirSync(cwd)].map(({ name }) => name), ["tmp"]);
    assert.deepEqual([...Deno.readDirSync(`${cwd}/tmp`)], []);
  }));

Deno.test("selftest --json reports the same, and ignores the settings of the environment", () =>
  inTempDir(async (cwd) => {
    const env = { OAR_DATABASE: `${cwd}/mine.sqlite`, OAR_MAX_BODY: "nonsense", ALERT_WEBHOOK: "nonsense" };
    const { code, stdout } = await runProgram(["selftest", "--json"], { cwd, env });
    const report = JSON.parse(stdout);
    assert.deepEqual([code, report.ok], [0, true]);
    const refused = report.cases.find(({ name }: { name: string }) => name === "connection refused");
    assert.deepEqual(refused.happened, {
      status: 200,
      attempts: ["connect_error", "ok"],
      outcome: "complete",
      reply: "reply as sent",
    });
    assert.ok(report.cases.every(({ ok }: { ok: boolean }) => ok));
    assert.deepEqual([...Deno.readDirSync(cwd)], []);
  }));

Deno.test("selftest exits with 1 and says why when the router cannot be reached", () =>
  inTempDir(async (cwd) => {
    // Nothing listens on port 1, so every request through this proxy fails.
    const env = { HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "" };
    const { code, stdout, stderr } = await runProgram(["selftest"], { cwd, env });
    assert.equal(code, 1);
    assert.match(
      stdout,
      /^FAILED {2}a plain reply {2,}200, ok, .* {2}no answer, no attempt, not recorded, /m,
    );
    assert.match(stderr, /^openai-api-route: \d+ of \d+ did not go as expected, .*NO_PROXY.*\n$/);
  }));

Deno.test("selftest says what to do when there is no room for its database", () =>
  inTempDir(async (cwd) => {
    const { code, stderr } = await runProgram(["selftest"], { cwd, env: { TMPDIR: `${cwd}/missing` } });
    assert.equal(code, 1);
    assert.match(stderr, /^openai-api-route: Cannot make a temporary directory: .*TMPDIR\n$/);
  }));
