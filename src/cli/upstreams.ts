/**
 * `add`, `list`, `edit`, `remove`, `enable`, `disable`, `move`: the upstreams.
 *
 * Owns the flags and what is printed after a change. Never prints a key, nor an endpoint's credentials.
 */
import type { Command, Option } from "commander";
import { AUTO, DEFAULT_ENDPOINT, readTexts, toChanges } from "../control/upstream_values.ts";
import type { UpstreamInput } from "../control/admin_service.ts";
import { showEndpoint } from "../control/upstream_endpoint.ts";
import { type UpstreamFacts, Upstreams } from "../control/upstreams.ts";
import { cleanText } from "../core/clean_text.ts";
import { ASIS, AUTH_STYLES, type Upstream } from "../core/types.ts";
import {
  choiceOption,
  type CommandContext,
  type DatabaseFlags,
  databaseOption,
  quietRegistry,
} from "./context.ts";
import { type ConfigAccess, withConfig } from "./database.ts";
import { StoreError } from "../store/store.ts";
import { UsageError } from "./errors.ts";
import { readKeys } from "./secret_input.ts";
import { type ListFlags, listUpstreams } from "./upstream_list.ts";
import { OPTION_FLAG_LIST, type OptionFlags, optionTexts, withOptionFlags } from "./upstream_option_flags.ts";
import { tryUpstream } from "./upstream_trial.ts";

interface UpstreamFlags extends DatabaseFlags, OptionFlags {
  readonly key?: readonly string[];
  readonly addKey?: readonly string[];
  readonly removeKey?: readonly string[];
  readonly endpoint?: string;
  readonly name?: string;
  readonly timeout?: string;
  readonly authStyle?: string;
  readonly allow?: string;
  readonly deny?: string;
  readonly modelMap?: string;
  readonly weight?: string;
}

interface AddFlags extends UpstreamFlags {
  /** False with `--no-test`. */
  readonly test?: boolean;
}

const KEY_INPUT_TEXT = "asks for it, or reads it from a pipe";
const KEYS_TEXT = "several: give it again, or @FILE with one a line";
const ALLOW_TEXT = "use it for these models only, such as 'gpt-4*,o3'";
const DENY_TEXT = "do not use it for these models";
const MODEL_MAP_TEXT = "its own names for models, such as gpt-4o=my-deployment, or a JSON object";
const WEIGHT_TEXT = "its share of the requests with the policy random";
const WHICH = "its id or its name";

/** Adds the commands that manage upstreams to the program. */
export function defineUpstreamCommands(program: Command, context: CommandContext): void {
  const define: Define = (nameAndArguments, description) =>
    program.command(nameAndArguments).description(description).helpGroup("Upstreams:");

  defineAdd(define, context);
  define("list", "show the upstreams, in the order in which they are tried")
    .option("--models", "show the models that each one lists, as a running server has learned them")
    .option("--json", "print JSON")
    .addOption(databaseOption())
    .action((flags: ListFlags) => listUpstreams(context, flags));
  defineEdit(define, context);
  define("enable", "use an upstream again")
    .argument("<upstream>", WHICH)
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => setEnabled(context, { which, flags, isEnabled: true }));
  define("disable", "stop using an upstream without removing it")
    .argument("<upstream>", WHICH)
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => setEnabled(context, { which, flags, isEnabled: false }));
  define("move", "change an upstream's place in the order")
    .argument("<upstream>", WHICH)
    .argument("<place>", "1 is tried first")
    .addOption(databaseOption())
    .action((which: string, place: string, flags: DatabaseFlags) =>
      moveUpstream(context, { which, place, flags })
    );
  define("remove", "remove an upstream; its records are kept")
    .argument("<upstream>", WHICH)
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => removeUpstream(context, { which, flags }));
}

type Define = (nameAndArguments: string, description: string) => Command;

function defineAdd(define: Define, context: CommandContext): void {
  withOptionFlags(
    define("add", "add an upstream; a running server uses it within a second")
      .option(
        "--sk, --key <key>",
        `its API key; - ${KEY_INPUT_TEXT}, ${ASIS} forwards the client's own; ${KEYS_TEXT}`,
        gather,
      )
      .option("--endpoint <url>", `its base URL (default ${DEFAULT_ENDPOINT})`)
      .option("--name <name>", "its name (default: the endpoint's host)")
      .option("--no-test", "do not ask it for its models")
      .option("--timeout <seconds>", "time limit for its response headers (default: depends on the request)")
      .addOption(authStyleOption())
      .option("--allow <models>", ALLOW_TEXT)
      .option("--deny <models>", DENY_TEXT)
      .option("--model-map <pairs>", MODEL_MAP_TEXT)
      .option("--weight <number>", WEIGHT_TEXT),
  )
    .addOption(databaseOption())
    .action((flags: AddFlags) => addUpstream(context, flags));
}

function defineEdit(define: Define, context: CommandContext): void {
  withOptionFlags(
    define("edit", "change an upstream; what is not given stays as it is")
      .argument("<upstream>", WHICH)
      .option(
        "--sk, --key <key>",
        `its new API key instead of all; - ${KEY_INPUT_TEXT}; ${KEYS_TEXT}`,
        gather,
      )
      .option("--add-key <key>", "one more API key, or @FILE", gather)
      .option("--remove-key <which>", "remove a key: its number, or as the list shows it", gather)
      .option("--endpoint <url>", "its new base URL")
      .option("--name <name>", 'its new name; "" goes back to the endpoint\'s host')
      .option("--timeout <seconds>", "time limit for its response headers; none: depends on the request")
      .addOption(authStyleOption())
      .option("--allow <models>", `${ALLOW_TEXT}; "" for every model`)
      .option("--deny <models>", `${DENY_TEXT}; "" for none`)
      .option("--model-map <pairs>", `${MODEL_MAP_TEXT}; "" for none`)
      .option("--weight <number>", WEIGHT_TEXT),
  )
    .addOption(databaseOption())
    .action((which: string, flags: UpstreamFlags) => editUpstream(context, { which, flags }));
}

/** An option that may be given several times. */
function gather(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function authStyleOption(): Option {
  return choiceOption("--auth-style <style>", {
    description: "how it takes the key: bearer, x-api-key, api-key, or auto (by its host)",
    choices: [...AUTH_STYLES, AUTO],
  });
}

async function addUpstream(context: CommandContext, flags: AddFlags): Promise<void> {
  if (flags.key === undefined) {
    throw new UsageError(
      `add needs a key: add --key KEY --endpoint URL (--key - ${KEY_INPUT_TEXT}, ` +
        `--key ${ASIS} forwards the client's own)`,
    );
  }
  const input = await readInput(context, { endpoint: DEFAULT_ENDPOINT, ...flags });
  const { facts, upstream } = await changeUpstreams({ ...context, flags, isCreating: true }, (upstreams) => {
    const facts = upstreams.add(input);
    return { facts, upstream: upstreams.usable(facts.id) };
  });
  context.terminal.print(`added ${describe(facts)}`);
  if (flags.test === false) return;
  if (await tryUpstream(context, upstream)) {
    await noteTested({ ...context, flags, access: "change" }, upstream);
  }
}

/** It is no longer `untested`. While the database cannot be changed, its first answer will tell. */
async function noteTested(access: ConfigAccess, upstream: Upstream): Promise<void> {
  try {
    await withConfig(access, (config) => config.noteUpstreamCheck(upstream));
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
  }
}

async function editUpstream(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: UpstreamFlags },
): Promise<void> {
  const { terminal } = context;
  const { key, addKey, removeKey: remove = [] } = flags;
  const hasKeyChange = addKey !== undefined || remove.length > 0;
  if (key !== undefined && hasKeyChange) {
    throw new UsageError("--key replaces all keys: give it, or --add-key and --remove-key");
  }
  const input = await readInput(context, flags);
  const add = addKey === undefined ? [] : [await readKeys(addKey, { what: "--add-key", terminal })];
  if (Object.keys(input).length === 0 && !hasKeyChange) {
    throw new UsageError(
      "edit needs a change: give at least one of --key, --add-key, --remove-key, --endpoint, --name, --timeout, --auth-style, " +
        `--allow, --deny, --model-map, --weight, ${OPTION_FLAG_LIST}`,
    );
  }
  await withUpstreams({ ...context, flags }, (upstreams) => {
    const { id } = upstreams.find(which);
    const facts = hasKeyChange ? upstreams.editKeys(id, input, { add, remove }) : upstreams.edit(id, input);
    return `changed ${describe(facts)}`;
  });
}

async function setEnabled(
  context: CommandContext,
  { which, flags, isEnabled }: { which: string; flags: DatabaseFlags; isEnabled: boolean },
): Promise<void> {
  await withUpstreams({ ...context, flags }, (upstreams) => {
    const { id } = upstreams.find(which);
    return `${isEnabled ? "enabled" : "disabled"} ${describe(upstreams.edit(id, { isEnabled }))}`;
  });
}

async function moveUpstream(
  context: CommandContext,
  { which, place, flags }: { which: string; place: string; flags: DatabaseFlags },
): Promise<void> {
  if (!/^[1-9]\d{0,5}$/.test(place)) {
    throw new UsageError(`the place must be a number from 1 on, not ${JSON.stringify(place)}`);
  }
  await withUpstreams({ ...context, flags }, (upstreams) => {
    const { id } = upstreams.find(which);
    const moved = upstreams.move(id, Number(place));
    return `moved ${describe(moved)} to place ${moved.place}`;
  });
}

async function removeUpstream(
  context: CommandContext,
  { which, flags }: { which: string; flags: DatabaseFlags },
): Promise<void> {
  await withUpstreams({ ...context, flags }, (upstreams) => {
    const facts = upstreams.find(which);
    upstreams.remove(facts.id);
    return `removed ${describe(facts)}`;
  });
}

/** @param change makes one change, and returns what to print */
async function withUpstreams(
  access: Omit<ConfigAccess, "access">,
  change: (upstreams: Upstreams) => string,
): Promise<void> {
  access.terminal.print(await changeUpstreams(access, change));
}

function changeUpstreams<Result>(
  access: Omit<ConfigAccess, "access">,
  change: (upstreams: Upstreams) => Result,
): Promise<Result> {
  return withConfig(
    { ...access, access: "change" },
    (config) => change(new Upstreams({ config, registry: quietRegistry(config) })),
  );
}

/**
 * What the flags ask for, checked before any database is opened.
 *
 * @throws UsageError, ControlError `invalid`; neither shows the secret
 */
async function readInput({ terminal }: CommandContext, flags: UpstreamFlags): Promise<UpstreamInput> {
  const { key: given, timeout, endpoint, name, authStyle, allow, deny, modelMap, weight } = flags;
  const key = given === undefined ? {} : { key: await readKeys(given, { what: "--key", terminal }) };
  const texts = { endpoint, name, timeoutSeconds: timeout, authStyle, allow, deny, modelMap, weight };
  const input = readTexts({ ...key, ...texts, ...optionTexts(flags) });
  const { endpoint: used } = toChanges(input);
  if (endpoint !== undefined && used !== undefined && used !== endpoint.trim()) {
    terminal.note(
      `the endpoint is the base URL ${cleanText(showEndpoint(used))}, without what clients append to it`,
    );
  }
  return input;
}

/** `upstream 3 "name" https://… (key sk-…wxyz)`, or `(3 keys)` */
export function describe({ id, name, endpoint, key, keys, problem }: UpstreamFacts): string {
  const state = problem === null ? "" : `, skipped: ${problem}`;
  return `upstream ${id} "${cleanText(name ?? "")}" ${cleanText(endpoint)} (${
    keys.length > 1 ? key : `key ${key}`
  }${state})`;
}
