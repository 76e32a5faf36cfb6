/**
 * `add`, `list`, `edit`, `remove`, `enable`, `disable`, `move`: the upstreams.
 *
 * Owns how upstreams are named on the command line and shown. Never prints a key, nor an endpoint's credentials.
 */
import { CommandError, UsageError } from "../control/errors.ts";
import { cleanText } from "../core/clean_text.ts";
import type { Command, Option } from "commander";
import { maskSecret } from "../core/secrets.ts";
import { ASIS, AUTH_STYLES } from "../core/types.ts";
import { Registry } from "../store/config/registry.ts";
import type { ConfigStore, NewUpstream, UpstreamChanges, UpstreamStateNote } from "../store/store.ts";
import { EMPTY_ROW, parseUpstreamRow, splitPatterns } from "../store/config/upstream_row.ts";
import { systemClock } from "../server/clock.ts";
import {
  choiceOption,
  type CommandContext,
  type DatabaseFlags,
  databaseOption,
  withConfig,
} from "./context.ts";
import { type Column, formatJson, formatTable } from "./output.ts";
import { readSecret } from "./secret_input.ts";
import { showEndpoint } from "../control/upstream_endpoint.ts";
import {
  AUTO,
  readAuthStyle,
  readModelMap,
  readName,
  readPatterns,
  readTimeout,
  readWeight,
} from "../control/upstream_values.ts";

interface UpstreamFlags extends DatabaseFlags {
  readonly sk?: string;
  readonly endpoint?: string;
  readonly name?: string;
  readonly timeout?: string;
  readonly authStyle?: string;
  readonly allow?: string;
  readonly deny?: string;
  readonly modelMap?: string;
  readonly weight?: string;
}

interface ListFlags extends DatabaseFlags {
  readonly json?: boolean;
}

const DEFAULT_ENDPOINT = "https://api.openai.com/v1";
const ALLOW_TEXT = "models that it is used for, such as 'gpt-4*,o3'";
const DENY_TEXT = "models that it is not used for";
const MODEL_MAP_TEXT = "models that it knows by other names, such as gpt-4o=my-deployment, or a JSON object";
const WEIGHT_TEXT = "its share with the policy random";
const WHICH = "its id or its name";

/** Adds the commands that manage upstreams to the program. */
export function defineUpstreamCommands(program: Command, context: CommandContext): void {
  const define = (nameAndArguments: string, description: string): Command =>
    program.command(nameAndArguments).description(description).helpGroup("Upstreams:");

  define("add", "add an upstream; it is used within a second, also by a running server")
    .option("--sk <key>", `its API key; - reads it from standard input, ${ASIS} forwards the client's own`)
    .option("--endpoint <url>", `its base URL (default ${DEFAULT_ENDPOINT})`)
    .option("--name <name>", "what to call it (default: the endpoint's host)")
    .option("--timeout <seconds>", "time allowed until its response headers (default: by the request)")
    .addOption(authStyleOption())
    .option("--allow <models>", ALLOW_TEXT)
    .option("--deny <models>", DENY_TEXT)
    .option("--model-map <pairs>", MODEL_MAP_TEXT)
    .option("--weight <number>", WEIGHT_TEXT)
    .addOption(databaseOption())
    .action((flags: UpstreamFlags) => addUpstream(context, flags));
  define("list", "show the upstreams, in the order in which they are tried")
    .option("--json", "print JSON")
    .addOption(databaseOption())
    .action((flags: ListFlags) => listUpstreams(context, flags));
  define("edit", "change an upstream; what is not given stays")
    .argument("<upstream>", WHICH)
    .option("--sk <key>", "its new API key; - reads it from standard input")
    .option("--endpoint <url>", "its new base URL")
    .option("--name <name>", 'its new name; "" goes back to the endpoint\'s host')
    .option("--timeout <seconds>", "time allowed until its response headers; none goes back to the rules")
    .addOption(authStyleOption())
    .option("--allow <models>", `${ALLOW_TEXT}; "" for every model`)
    .option("--deny <models>", `${DENY_TEXT}; "" for none`)
    .option("--model-map <pairs>", `${MODEL_MAP_TEXT}; "" for none`)
    .option("--weight <number>", WEIGHT_TEXT)
    .addOption(databaseOption())
    .action((which: string, flags: UpstreamFlags) => editUpstream(context, { which, flags }));
  define("enable", "use an upstream again")
    .argument("<upstream>", WHICH)
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => setEnabled(context, { which, flags, isEnabled: true }));
  define("disable", "stop using an upstream, and keep it")
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
  define("remove", "remove an upstream; records keep pointing to it")
    .argument("<upstream>", WHICH)
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => removeUpstream(context, { which, flags }));
}

function authStyleOption(): Option {
  return choiceOption("--auth-style <style>", {
    description: "how it takes the key: bearer, x-api-key, api-key, or auto (by its host)",
    choices: [...AUTH_STYLES, AUTO],
  });
}

async function addUpstream(context: CommandContext, flags: UpstreamFlags): Promise<void> {
  if (flags.sk === undefined) {
    throw new UsageError(
      `add needs a key: add --sk KEY --endpoint URL (--sk - reads it from standard input, ` +
        `--sk ${ASIS} forwards the client's own)`,
    );
  }
  const changes = await readChanges(context, flags);
  const upstream: NewUpstream = { sk: "", endpoint: DEFAULT_ENDPOINT, ...changes };
  withConfig({ ...context, flags }, (config) => {
    refuseTakenName(config, { name: changes.name, id: null });
    const row = config.addUpstream(upstream);
    context.terminal.print(`added ${describe(config, row.id)}`);
  });
}

async function editUpstream(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: UpstreamFlags },
): Promise<void> {
  const changes = await readChanges(context, flags);
  if (Object.keys(changes).length === 0) {
    throw new UsageError(
      "edit needs a change: give at least one of --sk, --endpoint, --name, --timeout, --auth-style, " +
        "--allow, --deny, --model-map, --weight",
    );
  }
  withConfig({ ...context, flags }, (config) => {
    const { id } = findUpstream(config, which);
    refuseTakenName(config, { name: changes.name, id });
    config.editUpstream(id, changes);
    context.terminal.print(`changed ${describe(config, id)}`);
  });
}

function setEnabled(
  context: CommandContext,
  { which, flags, isEnabled }: { which: string; flags: DatabaseFlags; isEnabled: boolean },
): void {
  withConfig({ ...context, flags }, (config) => {
    const { id } = findUpstream(config, which);
    config.editUpstream(id, { enabled: isEnabled });
    context.terminal.print(`${isEnabled ? "enabled" : "disabled"} ${describe(config, id)}`);
  });
}

function moveUpstream(
  context: CommandContext,
  { which, place, flags }: { which: string; place: string; flags: DatabaseFlags },
): void {
  if (!/^[1-9]\d{0,5}$/.test(place)) {
    throw new UsageError(`the place must be a number from 1 on, not ${JSON.stringify(place)}`);
  }
  withConfig({ ...context, flags }, (config) => {
    const { id } = findUpstream(config, which);
    config.moveUpstream(id, Number(place));
    const moved = viewUpstreams(config).find((view) => view.id === id);
    context.terminal.print(`moved ${describe(config, id)} to place ${moved?.place}`);
  });
}

function removeUpstream(
  context: CommandContext,
  { which, flags }: { which: string; flags: DatabaseFlags },
): void {
  withConfig({ ...context, flags }, (config) => {
    const { id } = findUpstream(config, which);
    const description = describe(config, id);
    config.removeUpstream(id);
    context.terminal.print(`removed ${description}`);
  });
}

function listUpstreams(context: CommandContext, flags: ListFlags): void {
  const { terminal } = context;
  withConfig({ ...context, flags }, (config) => {
    const views = viewUpstreams(config);
    if (flags.json) {
      terminal.print(formatJson(views));
    } else if (views.length === 0) {
      terminal.note("no upstreams yet: add one with: openai-api-route add --sk KEY --endpoint URL");
    } else {
      const columns = [...COLUMNS, ...RARE_COLUMNS.filter(({ isSet }) => views.some(isSet))];
      formatTable(views, { columns, width: terminal.columns }).forEach(terminal.print);
      for (const { id, problem } of views) {
        if (problem !== null) {
          terminal.print(`upstream ${id} is skipped: ${problem} (correct it with: edit ${id})`);
        }
      }
    }
  });
}

/** An upstream as it is shown; the names are the keys of `list --json`. */
interface UpstreamView {
  readonly id: number;
  readonly name: string;
  readonly endpoint: string;
  /** Masked. */
  readonly key: string;
  readonly enabled: boolean;
  /** Seconds. */
  readonly timeout: number | null;
  /** 1 is tried first. */
  readonly place: number;
  readonly authStyle: string | null;
  /** Globs on the model; empty: every model. */
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly modelMap: Readonly<Record<string, string>>;
  readonly weight: number | null;
  /** `open` and `half_open`: a running server holds it back, because it failed. */
  readonly state: "enabled" | "disabled" | "skipped" | UpstreamStateNote["state"];
  /** When an open one may be tried again, as ISO 8601. */
  readonly until: string | null;
  /** Why it is held back. */
  readonly reason: string | null;
  /** Why the server skips it; null when it does not. */
  readonly problem: string | null;
}

const COLUMNS: readonly Column<UpstreamView>[] = [
  { title: "PLACE", cell: ({ place }) => String(place) },
  { title: "ID", cell: ({ id }) => String(id) },
  { title: "NAME", cell: ({ name }) => name, isFlexible: true },
  { title: "STATE", cell: showState },
  { title: "KEY", cell: ({ key }) => key },
  { title: "TIMEOUT", cell: ({ timeout }) => timeout === null ? "-" : `${timeout} s` },
  { title: "ENDPOINT", cell: ({ endpoint }) => endpoint, isFlexible: true },
];

/** Shown only when one of the upstreams has it. */
const RARE_COLUMNS: readonly (Column<UpstreamView> & { readonly isSet: (view: UpstreamView) => boolean })[] =
  [
    {
      title: "ALLOW",
      cell: ({ allow }) => allow.join(",") || "-",
      isFlexible: true,
      isSet: ({ allow }) => allow.length > 0,
    },
    {
      title: "DENY",
      cell: ({ deny }) => deny.join(",") || "-",
      isFlexible: true,
      isSet: ({ deny }) => deny.length > 0,
    },
    {
      title: "MODEL MAP",
      cell: ({ modelMap }) => Object.entries(modelMap).map(([from, to]) => `${from}=${to}`).join(",") || "-",
      isFlexible: true,
      isSet: ({ modelMap }) => Object.keys(modelMap).length > 0,
    },
    {
      title: "WEIGHT",
      cell: ({ weight }) => String(weight ?? "-"),
      isSet: ({ weight }) => weight !== 1,
    },
  ];

/** `open until 12:03:05 (HTTP 503)`, in local time. */
function showState({ state, until, reason }: UpstreamView): string {
  if (state !== "open" && state !== "half_open") return state;
  const untilMs = until === null ? null : Date.parse(until);
  const time = state === "half_open" || untilMs === null
    ? ""
    : untilMs > systemClock.now()
    ? ` until ${clockTime(untilMs)}`
    : ", to be tried again";
  return `${state}${time}${reason ? ` (${reason})` : ""}`;
}

function clockTime(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(
    ":",
  );
}

/** The rows in order of trial, under the names that the server uses. */
function viewUpstreams(config: ConfigStore): UpstreamView[] {
  const rows = config.listUpstreams();
  const registry = new Registry({ store: config, clock: systemClock, onProblem: () => {} });
  registry.reloadNow();
  const names = new Map(registry.snapshot().upstreams.map(({ id, name }) => [id, name]));
  const notes = new Map(config.listUpstreamStates().map((note) => [note.upstreamId, note]));
  return rows.map((row, index) => {
    const result = parseUpstreamRow(row);
    const isUsed = result.isValid && row.enabled !== 0;
    const note = isUsed ? notes.get(row.id) : undefined;
    return {
      id: row.id,
      name: names.get(row.id) ?? cleanText(row.name ?? ""),
      endpoint: showEndpoint(row.endpoint ?? ""),
      key: row.sk?.trim() === ASIS ? ASIS : maskSecret(row.sk ?? ""),
      enabled: row.enabled !== 0,
      timeout: row.timeout !== null && row.timeout > 0 ? row.timeout : null,
      place: index + 1,
      authStyle: row.authStyle,
      allow: splitPatterns(row.allow),
      deny: splitPatterns(row.deny),
      modelMap: result.isValid ? result.upstream.modelMap : {},
      weight: row.weight === null ? 1 : Number.isFinite(row.weight) ? row.weight : null,
      state: !result.isValid ? "skipped" : !isUsed ? "disabled" : note?.state ?? "enabled",
      until: note === undefined || note.untilMs === null ? null : new Date(note.untilMs).toISOString(),
      reason: note?.reason ?? null,
      problem: result.isValid ? null : result.problem,
    };
  });
}

/**
 * What the flags ask for, checked before any database is touched.
 *
 * @throws UsageError naming the flag, never its secret
 */
async function readChanges({ terminal }: CommandContext, flags: UpstreamFlags): Promise<UpstreamChanges> {
  const { sk, endpoint, name, timeout, authStyle, allow, deny, modelMap, weight } = flags;
  const changes: UpstreamChanges = {
    ...(sk === undefined ? {} : { sk: await readSecret(sk, { what: "--sk", terminal }) }),
    ...(endpoint === undefined ? {} : { endpoint: endpoint.trim() }),
    ...(name === undefined ? {} : { name: readName(name) }),
    ...(timeout === undefined ? {} : { timeout: readTimeout(timeout) }),
    ...(authStyle === undefined ? {} : { authStyle: readAuthStyle(authStyle) }),
    ...(allow === undefined ? {} : { allow: readPatterns(allow, "--allow") }),
    ...(deny === undefined ? {} : { deny: readPatterns(deny, "--deny") }),
    ...(modelMap === undefined ? {} : { modelMap: readModelMap(modelMap) }),
    ...(weight === undefined ? {} : { weight: readWeight(weight) }),
  };
  const result = parseUpstreamRow({
    ...EMPTY_ROW,
    sk: changes.sk ?? ASIS,
    endpoint: changes.endpoint ?? DEFAULT_ENDPOINT,
  });
  if (!result.isValid) throw new UsageError(`--${result.problem}`);
  return changes;
}

function refuseTakenName(
  config: ConfigStore,
  { name, id }: { readonly name: string | null | undefined; readonly id: number | null },
): void {
  const owner = name ? viewUpstreams(config).find((view) => view.name === name && view.id !== id) : undefined;
  if (owner !== undefined) {
    throw new CommandError(`upstream ${owner.id} is named ${owner.name} already: use another --name`);
  }
}

/** By id, else by name. Does not repeat what was typed: it may be a key in the wrong place. */
function findUpstream(config: ConfigStore, which: string): UpstreamView {
  const views = viewUpstreams(config);
  const byId = /^\d+$/.test(which) ? views.find(({ id }) => id === Number(which)) : undefined;
  if (byId !== undefined) return byId;
  const [found, ...more] = views.filter(({ name }) => name === which);
  if (found === undefined) {
    throw new CommandError("no upstream has that id or name: see them with `openai-api-route list`");
  }
  if (more.length > 0) throw new CommandError("several upstreams have that name: use the id of one");
  return found;
}

/** `upstream 3 "name" https://… (key sk-…wxyz)` */
function describe(config: ConfigStore, id: number): string {
  const view = viewUpstreams(config).find((each) => each.id === id);
  if (view === undefined) return `upstream ${id}`;
  const { name, endpoint, key, problem } = view;
  const state = problem === null ? "" : `, skipped: ${problem}`;
  return `upstream ${id} "${cleanText(name)}" ${cleanText(endpoint)} (key ${key}${state})`;
}
