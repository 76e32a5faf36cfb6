/**
 * The spellings of the Go program and ours, as one.
 */
import { UsageError } from "../../../src/cli/errors.ts";
import assert from "node:assert/strict";
import { Command } from "commander";
import { normaliseArguments } from "../../../src/cli/arguments.ts";

function program(): Command {
  const root = new Command("openai-api-route");
  root.version("1", "-v, --version");
  root.command("serve").option("--addr <a>").option("--noauth [yes|no]").option("--database <path>")
    .option("--models <source>");
  root.command("add").option("--sk <key>").option("--endpoint <url>").option("--database <path>");
  root.command("list").option("--json").option("--models").option("--database <path>");
  root.command("remove <upstream>").option("--database <path>");
  const token = root.command("token");
  token.command("add [token]").option("--name <name>").option("--database <path>");
  return root;
}

const TABLE: readonly (readonly [typed: string, expected: string])[] = [
  ["", "serve"],
  ["serve", "serve"],
  ["-addr 0.0.0.0:8080", "serve --addr=0.0.0.0:8080"],
  ["--addr=:1 -noauth", "serve --addr=:1 --noauth=yes"],
  ["-noauth -addr :1", "serve --noauth=yes --addr=:1"],
  ["-noauth=false", "serve --noauth=false"],
  ["-noauth serve", "serve --noauth=yes"],
  ["-add -sk K -endpoint https://x/v1?a=b", "add --sk=K --endpoint=https://x/v1?a=b"],
  ["--add --sk=K", "add --sk=K"],
  ["-sk K -add=true", "add --sk=K"],
  ["-add=false -addr :1", "serve --addr=:1"],
  ["-add -sk K -addr :1 -noauth -database d", "add --sk=K --database=d"],
  ["-list -sk K -endpoint E -addr :1", "list"],
  ["--list --json", "list --json"],
  ["list -json=true", "list --json"],
  ["list -json=false", "list"],
  // One command's switch is a flag of serve with a value.
  ["--models first --addr :1", "serve --models=first --addr=:1"],
  ["serve -models first -noauth", "serve --models=first --noauth=yes"],
  ["list --models --json", "list --models --json"],
  ["list --json --models", "list --json --models"],
  ["-list -models", "list --models"],
  ["list --models x", "list --models x"],
  ["add --sk -", "add --sk=-"],
  ["add -sk -not-a-flag", "add --sk=-not-a-flag"],
  ["add -sk -endpoint E", "add --sk --endpoint=E"],
  ["-sk -add", "add --sk"],
  ["--database d list", "list --database=d"],
  ["-database d token -name n add T", "token add --database=d --name=n T"],
  ["token add -", "token add -"],
  ["token add -- -T", "token add -- -T"],
  ["remove -database d 3", "remove --database=d 3"],
  ["-addr :1 lsit", "lsit --addr=:1"],
  ["-constructor", "serve --constructor"],
  ["-unknown=1", "serve --unknown"],
  ["-adr :1", "serve --adr"],
  ["list -adr :1", "list --adr :1"],
  ["-help", "--help"],
  ["-h", "-h"],
  ["-version", "--version"],
  ["-noauth --help", "--noauth=yes --help"],
  ["add -help", "add --help"],
  ["help add", "help add"],
];

Deno.test("normaliseArguments() brings every spelling to one", () => {
  for (const [typed, expected] of TABLE) {
    const args = typed.split(" ").filter((word) => word !== "");
    assert.equal(normaliseArguments(args, program()).join(" "), expected, typed);
  }
});

Deno.test("normaliseArguments() keeps values as they are, with spaces, line ends and equals signs", () => {
  assert.deepEqual(normaliseArguments(["-add", "-sk", "a b\n=c"], program()), ["add", "--sk=a b\n=c"]);
  assert.deepEqual(normaliseArguments(["-add", "-sk=", "-endpoint", ""], program()), [
    "add",
    "--sk=",
    "--endpoint=",
  ]);
});

Deno.test("normaliseArguments() refuses two modes at once", () => {
  assert.throws(() => normaliseArguments(["-add", "-list"], program()), UsageError);
});
