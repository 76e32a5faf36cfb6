/**
 * The program at a terminal: what is asked and shown there, and not in a pipe.
 */
import assert from "node:assert/strict";
import { OnTerminal } from "../support/terminal.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const PLAIN = { NO_COLOR: "", FORCE_COLOR: "", TERM: "xterm" };
const SECRET = "typed-HIDEME-0123456789";

interface Session {
  readonly cwd: string;
  readonly columns?: number;
  readonly env?: Record<string, string>;
  /** What to type after a text has appeared. */
  readonly typing?: readonly (readonly [after: string, text: string])[];
}

/** Runs the program on a pseudo-terminal. Returns everything that the screen got. */
async function atTerminal(
  args: readonly string[],
  session: Session,
): Promise<{ code: number; screen: string }> {
  const { cwd, columns = 100, env = {}, typing = [] } = session;
  await using program = new OnTerminal(args, { cwd, columns, env: { ...PLAIN, ...env }, answers: typing });
  const code = await program.exited();
  // The runtime clears its own lines before the program begins.
  const unwanted = ["\r", "\x1b[0G", "\x1b[2K", "\x1b[J"];
  return { code, screen: unwanted.reduce((text, each) => text.replaceAll(each, ""), program.text) };
}

async function inPipe(
  args: readonly string[],
  cwd: string,
): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, ...args],
    cwd,
    env: PLAIN,
    stdin: "null",
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: decode(stdout), err: decode(stderr) };
}

async function withFolder(body: (cwd: string) => Promise<void>): Promise<void> {
  const cwd = await Deno.makeTempDir({ prefix: "oar-terminal-" });
  try {
    await body(cwd);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("a token is asked for and not shown, and removing others is asked", () =>
  withFolder(async (cwd) => {
    assert.equal((await inPipe(["token", "set", "--name", "first"], cwd)).code, 0);
    const added = await atTerminal(["token", "add", "typed", "--value", "-"], {
      cwd,
      typing: [["(not shown): ", `${SECRET}\r`]],
    });
    assert.equal(added.code, 0, added.screen);
    assert.match(added.screen, /added token typed typ…6789\n/);
    assert.doesNotMatch(added.screen, /HIDEME/);
    assert.equal((await inPipe(["token", "show", "typed"], cwd)).out, `${SECRET}\n`);

    const declined = await atTerminal(["token", "set"], { cwd, typing: [["[y/N] ", "n\r"]] });
    assert.equal(declined.code, 1);
    assert.match(declined.screen, /no longer be accepted: first \(sk-…\S+\), typed \(typ…6789\)\n/);
    const unasked = await inPipe(["token", "set"], cwd);
    assert.deepEqual([unasked.code, unasked.out], [1, ""]);
    assert.match(unasked.err, /would remove first .*, typed .*--yes/);
    assert.equal(JSON.parse((await inPipe(["token", "show", "--json"], cwd)).out).length, 2);

    const agreed = await atTerminal(["token", "set", "--name", "only"], { cwd, typing: [["[y/N] ", "y\r"]] });
    assert.equal(agreed.code, 0, agreed.screen);
    assert.deepEqual(JSON.parse((await inPipe(["token", "show", "--json"], cwd)).out).length, 1);
  }));

Deno.test("Ctrl-C at a question changes nothing", () =>
  withFolder(async (cwd) => {
    await inPipe(["token", "set", "--name", "first"], cwd);
    const { code, screen } = await atTerminal(["token", "add", "typed", "--value", "-"], {
      cwd,
      typing: [["(not shown): ", "half-HIDEME\x03"]],
    });
    assert.equal(code, 1);
    assert.match(screen, /openai-api-route: cancelled\n/);
    assert.doesNotMatch(screen, /HIDEME/);
  }));

Deno.test("states are coloured on a terminal only, and help is as wide as it", () =>
  withFolder(async (cwd) => {
    await inPipe(["add", "--sk", "sk-0123456789", "--name", "one"], cwd);
    await inPipe(["disable", "one"], cwd);
    // deno-lint-ignore no-control-regex
    const painted = /\x1b\[2mdisabled\x1b\[0m/;
    assert.match((await atTerminal(["list"], { cwd })).screen, painted);
    assert.doesNotMatch((await atTerminal(["list"], { cwd, env: { NO_COLOR: "1" } })).screen, painted);
    assert.doesNotMatch((await atTerminal(["list"], { cwd, env: { TERM: "dumb" } })).screen, painted);
    assert.doesNotMatch((await inPipe(["list"], cwd)).out, painted);
    for (const columns of [56, 72]) {
      const { screen } = await atTerminal(["token", "--help"], { cwd, columns });
      const widths = screen.split("\n").map((line) => line.length);
      assert.ok(Math.max(...widths) <= columns, `${columns}: ${Math.max(...widths)}`);
      assert.ok(Math.max(...widths) > columns - 20, "the width is not used");
    }
  }));
