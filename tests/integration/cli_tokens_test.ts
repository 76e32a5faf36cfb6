/**
 * The commands for tokens that are kept as digests, as processes, and what a running server makes of them.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

const as = (secret: string): RequestInit => ({ headers: { authorization: `Bearer ${secret}` } });

/** The commands in one folder with a database that has one token of the list. */
async function withCommands(
  use: (
    run: (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>,
    directory: string,
  ) => Promise<void>,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  const run = async (...args: string[]) => {
    const ended = await runProgram(args, { cwd: directory });
    assert.doesNotMatch(ended.stderr, /sk-oar-|\n\s+at /);
    return ended;
  };
  try {
    await run("token", "set", TEST_TOKEN, "--name", "first");
    await use(run, directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function listed(
  run: (...args: string[]) => Promise<{ stdout: string }>,
): Promise<Record<string, unknown>[]> {
  return JSON.parse((await run("token", "list", "--json")).stdout);
}

Deno.test("token add with rules prints a random token once, and keeps its digest only", () =>
  withCommands(async (run, directory) => {
    const added = await run(
      ...["token", "add", "amy", "--rpm", "60", "--tpm", "200000", "--parallel", "8", "--budget", "20/month"],
      ...[
        "--allow",
        "gpt-4o*,o3",
        "--deny",
        "o3-pro",
        "--upstreams",
        "a,7",
        "--gate",
        "whole",
        "--expires",
        "2099-01-31",
      ],
    );
    const [, secret = ""] = /^added token amy (sk-oar-[\w-]{43})\n$/.exec(added.stdout) ?? [];
    assert.notEqual(secret, "");
    assert.match(added.stderr, /kept as a digest, and cannot be shown again/);
    assert.match(added.stderr, /no upstream is called a, 7/);
    assert.match(added.stderr, /expires at 2099-01-3/);
    const file = new TextDecoder("latin1").decode(await Deno.readFile(`${directory}/db.sqlite`));
    assert.ok(!file.includes(secret.slice(8, 30)));
    const [, row] = await listed(run);
    const { createdAt: _at, ...facts } = row ?? {};
    assert.deepEqual(facts, {
      ...{
        id: 1,
        name: "amy",
        token: `sk-…${secret.slice(-4)}`,
        state: "active",
        problem: null,
        isEnabled: true,
      },
      ...{
        allow: ["gpt-4o*", "o3"],
        deny: ["o3-pro"],
        upstreams: ["a", "7"],
        rpm: 60,
        tpm: 200_000,
        maxParallel: 8,
      },
      ...{
        budgetUsd: 20,
        budgetPeriod: "month",
        spentUsd: 0,
        gate: "whole",
        requests: 0,
        errors: 0,
        inputTokens: 0,
      },
      ...{ outputTokens: 0, cachedTokens: 0, estimatedTokens: 0, costNano: 0, unpriced: 0 },
      ...{ lastUsedAt: null, countedSince: null },
      expiresAt: "2099-01-31T00:00:00.000Z",
    });
    const shown = await run("token", "show");
    assert.equal(shown.stdout, `${TEST_TOKEN}\n`);
    assert.match(shown.stderr, /1 more token is kept as digests/);
    assert.match((await run("token", "show", "amy")).stderr, /amy is kept as a digest.*token rotate/);
    assert.match(
      (await run("token", "list")).stdout,
      /amy +sk-….{4} +active +20\/month +0 +60 rpm, 200000 tpm, 8 at once/,
    );
  }));

Deno.test("token add without rules stays in the list that the Go program reads, --hashed does not", () =>
  withCommands(async (run) => {
    await run("token", "add", "bob");
    await run("token", "add", "carl", "--hashed", "--value", "a-token-of-my-own-choice");
    assert.deepEqual((await listed(run)).map(({ id, name }) => [id, name]), [[null, "first"], [null, "bob"], [
      1,
      "carl",
    ]]);
    for (
      const args of [["bob"], ["carl"], ["carl", "--rpm", "5"], ["x", "--value", "a-token-of-my-own-choice"]]
    ) {
      const { code, stderr } = await run("token", "add", ...args);
      assert.equal(code, 1, args.join(" "));
      assert.match(stderr, /exists already|accepted already, as carl/);
    }
    // A name must not be somebody's token.
    assert.match(
      (await run("token", "add", "a-token-of-my-own-choice")).stderr,
      /must not be a token itself/,
    );
    assert.match(
      (await run("token", "set", "--admin", "a-token-of-my-own-choice")).stderr,
      /clients send this token/,
    );
  }));

Deno.test("token edit changes what is given, none clears, and a token of the list becomes a row", () =>
  withCommands(async (run) => {
    await run(
      "token",
      "add",
      "amy",
      "--rpm",
      "60",
      "--budget",
      "20/day",
      "--gate",
      "whole",
      "--expires",
      "90d",
    );
    const edited = await run(
      "token",
      "edit",
      "amy",
      "--budget",
      "none",
      "--gate",
      "default",
      "--expires",
      "never",
      "--tpm",
      "9",
    );
    assert.equal(edited.stdout, "edited token amy\n");
    const rules = async (name: string) => (await listed(run)).find((each) => each["name"] === name);
    const { rpm, tpm, budgetUsd, gate, expiresAt } = await rules("amy") ?? {};
    assert.deepEqual([rpm, tpm, budgetUsd, gate, expiresAt], [60, 9, null, null, null]);
    const renamed = await run("token", "edit", "1", "--name", "amelie");
    assert.match(renamed.stderr, /stay with the name amy/);
    assert.equal((await run("token", "disable", "amelie")).stdout, "disabled token amelie\n");
    assert.equal((await rules("amelie"))?.["state"], "disabled");
    assert.equal((await run("token", "enable", "amelie")).stdout, "enabled token amelie\n");
    const over = await run("token", "edit", "amelie", "--expires", "2020-01-01");
    assert.match(over.stderr, /has expired already/);
    assert.equal((await rules("amelie"))?.["state"], "expired");
    const moved = await run("token", "edit", "first", "--parallel", "2");
    assert.match(moved.stderr, /was in the list, and is a row now/);
    assert.equal((await rules("first"))?.["id"], 2);
    assert.deepEqual((await run("token", "show", "--json")).stdout, "[]\n");
    const wrong: readonly (readonly [args: string[], message: RegExp])[] = [
      [["--rpm", "x"], /--rpm must be a whole number/],
      [["--rpm", "-1"], /rpm/],
      [["--budget", "20/year"], /--budget must be dollars/],
      [["--expires", "tomorrow"], /--expires must be a time such as 90d/],
      [["--expires", "2026-13-01"], /--expires must be a time/],
      [["--gate", "half"], /gate/],
      [["--allow", "x".repeat(300)], /--allow must be globs/],
      [["--allow", Array.from({ length: 300 }, (_, n) => `m${n}`).join(",")], /--allow must be globs/],
      [["--allow", "a,,b"], /--allow must be globs/],
      [["--name", "a b"], /--name must be one word/],
      [["--enable", "--disable"], /either --enable or --disable/],
      [[], /nothing to change/],
    ];
    for (const [args, message] of wrong) {
      const { code, stderr } = await run("token", "edit", "amelie", ...args);
      assert.equal(code, 2, args.join(" ").slice(0, 40));
      assert.match(stderr, message);
    }
    assert.equal((await run("token", "edit", "nobody", "--rpm", "3")).code, 1);
  }));

Deno.test("token list tells what was spent in the budget's period, or this month without one", () =>
  withCommands(async (run, directory) => {
    await run("token", "add", "amy", "--budget", "20/total");
    await run("token", "add", "bob", "--budget", "20/day");
    await run("token", "add", "carl", "--hashed");
    const db = new DatabaseSync(`${directory}/db.sqlite`);
    // Within this day, whenever it ends; and long ago.
    for (const [day, nano] of [["9999-12-31", 2_000_000_000], ["2020-01-01", 1_500_000_000]] as const) {
      for (const id of [1, 2, 3]) {
        db.prepare("INSERT INTO token_spend(token_id, day, source, cost_nano) VALUES (?, ?, 'a', ?)").run(
          id,
          day,
          nano,
        );
      }
    }
    db.close();
    const spent = (await listed(run)).map(({ name, spentUsd }) => [name, spentUsd]);
    assert.deepEqual(spent, [["first", null], ["amy", 3.5], ["bob", 2], ["carl", 2]]);
    assert.match((await run("token", "list")).stdout, /amy .* 20\/total +3\.5 /);
  }));

Deno.test("a token rotates, is removed, and the last one of either kind stays", () =>
  withCommands(async (run) => {
    const { stdout: before } = await run("token", "add", "amy", "--hashed");
    const { stdout: after } = await run("token", "rotate", "amy");
    assert.notEqual(before.split(" ").at(-1), after.split(" ").at(-1));
    assert.match((await run("token", "rotate", "first")).stderr, /token of the list/);
    await run("token", "remove", "first");
    const last = await run("token", "remove", "amy");
    assert.deepEqual([last.code, /the only token/.test(last.stderr)], [1, true]);
    await run("token", "add", "bob", "--rpm", "1");
    assert.equal((await run("token", "remove", "1")).stdout, "removed token amy\n");
    const set = await run("token", "set", TEST_TOKEN);
    assert.match(set.stderr, /would remove bob \(sk-….{4}\)/);
    await run("token", "set", TEST_TOKEN, "--yes");
    assert.deepEqual((await listed(run)).map(({ id }) => id), [null]);
  }));

Deno.test("a server with rows only starts, and follows each command within a second", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const run = (...args: string[]) => runProgram(args, { cwd: router.directory });
  const secretOf = (stdout: string) => stdout.trim().split(" ").at(-1) ?? "";
  const status = async (secret: string) => {
    const response = await router.chat({}, as(secret));
    await response.body?.cancel();
    return response.status;
  };
  const until = (secret: string, expected: number) =>
    eventually(async () => await status(secret) === expected ? true : null, `a ${expected}`);
  const first = secretOf((await run("token", "add", "amy", "--rpm", "1000")).stdout);
  await until(first, 200);
  await run("token", "disable", "amy");
  await until(first, 403);
  await run("token", "enable", "amy");
  const second = secretOf((await run("token", "rotate", "amy")).stdout);
  await until(second, 200);
  assert.equal(await status(first), 403);
  await run("token", "edit", "amy", "--allow", "other-model");
  await until(second, 403);
  await run("token", "edit", "amy", "--allow", "none");
  await until(second, 200);
});

Deno.test("a server starts with rows only", async () => {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  try {
    const run = (...args: string[]) => runProgram(args, { cwd: directory });
    await run("token", "set", TEST_TOKEN, "--name", "first");
    await run("token", "edit", "first", "--rpm", "1000");
    await using router = await Router.start({ directory });
    const response = await router.fetch("/chat/completions", { method: "POST", body: "{}" });
    await response.body?.cancel();
    assert.equal(response.status, 503);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
