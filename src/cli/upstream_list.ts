/**
 * `list`: the upstreams as a table for people and as JSON for programs.
 *
 * Owns the columns, and the names and values of `list --json`.
 */
import { type UpstreamFacts, Upstreams } from "../control/upstreams.ts";
import { cleanText } from "../core/clean_text.ts";
import type { ListedUpstream as ModelsOfUpstream } from "../core/model_catalog.ts";
import type { ShownState } from "../core/breaker.ts";
import { type Condition, conditionOf } from "../core/condition.ts";
import { keysSummary, type ListedKey } from "../core/key_states.ts";
import { failedPercent } from "../core/failure_window.ts";
import { systemClock } from "../server/clock.ts";
import { modelNames, modelsProblem } from "../store/config/upstream_models.ts";
import { type CommandContext, type DatabaseFlags, quietRegistry } from "./context.ts";
import { withConfig } from "./database.ts";
import { hasColour, stateColour } from "./colour.ts";
import { type ListedOptions, listedOptions, shortOptions } from "./upstream_list_options.ts";
import { type Column, formatJson, formatTable } from "./output.ts";

/** Of one upstream. */
const MAX_KEY_LINES = 20;

export interface ListFlags extends DatabaseFlags {
  readonly json?: boolean;
  readonly models?: boolean;
}

export async function listUpstreams(context: CommandContext, flags: ListFlags): Promise<void> {
  const { terminal } = context;
  await withConfig({ ...context, flags }, (config) => {
    const lists = config.listModelLists();
    const facts = new Upstreams({ config, registry: quietRegistry(config) }).list();
    const upstreams = facts.map((each) => toListed(each, modelsOf(lists, each)));
    if (flags.json) {
      terminal.print(formatJson(flags.models ? upstreams : upstreams.map(withoutModels)));
    } else if (flags.models) {
      modelLines(upstreams, facts.map((each) => problemOf(lists, each))).forEach(terminal.print);
    } else if (upstreams.length === 0) {
      terminal.note("no upstreams yet: add one with: openai-api-route add --key KEY --endpoint URL");
    } else {
      const isColoured = hasColour(context.env, { isTerminal: terminal.columns !== null });
      const columns = [
        ...columnsWith({ isColoured }),
        ...RARE_COLUMNS.filter(({ isSet }) => upstreams.some(isSet)),
      ];
      formatTable(upstreams, { columns, width: terminal.columns }).forEach(terminal.print);
      upstreams.flatMap(keyLines).forEach(terminal.print);
      for (const { id, problem } of upstreams) {
        if (problem !== null) {
          terminal.print(`upstream ${id} is skipped: ${problem} (correct it with: edit ${id})`);
        }
      }
    }
  });
}

/** One key as it is shown. */
interface ListedKeyJson extends Omit<ListedKey, "untilMs"> {
  /** ISO 8601. */
  readonly until: string | null;
}

function modelsOf(
  lists: readonly ModelsOfUpstream[],
  { id, target }: UpstreamFacts,
): readonly string[] | null {
  return target === null ? null : modelNames(lists, { id, target });
}

function problemOf(lists: readonly ModelsOfUpstream[], { id, target }: UpstreamFacts): string {
  return (target === null ? null : modelsProblem(lists, { id, target })) ?? "no server has asked it";
}

function withoutModels({ models: _models, ...upstream }: ListedUpstream): Omit<ListedUpstream, "models"> {
  return upstream;
}

/** Each upstream, and below it its models, or why they are not known; both come from outside. */
function modelLines(upstreams: readonly ListedUpstream[], problems: readonly string[]): string[] {
  return upstreams.flatMap(({ id, name, models }, at) => {
    const title = `${cleanText(name) || `#${id}`}:`;
    if (models === null) return [`${title} not known: ${cleanText(problems[at] ?? "")}`];
    return [
      `${title} ${models.length} ${models.length === 1 ? "model" : "models"}`,
      ...models.map((model) => `  ${cleanText(model)}`),
    ];
  });
}

/** An upstream as it is shown; the names are the keys of `list --json`. */
interface ListedUpstream extends ListedOptions {
  readonly id: number;
  readonly name: string;
  readonly endpoint: string;
  /** Masked. */
  readonly key: string;
  /** Each key, masked, and how it is. */
  readonly keys: readonly ListedKeyJson[];
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
  /** `failing`, `trying` and `no_credit`: a running server holds it, or a model of it, back. */
  readonly condition: Condition;
  /** The same in the older words, which programs read. */
  readonly state: "enabled" | "disabled" | "skipped" | Exclude<ShownState, "closed">;
  /** A running server says that too many of its latest attempts failed. */
  readonly degraded: boolean;
  /** Those attempts, and how many of them failed; null unless it is degraded. */
  readonly attempts: number | null;
  readonly failed: number | null;
  /** When it may be tried again, as ISO 8601. */
  readonly until: string | null;
  /** Why it is held back. */
  readonly reason: string | null;
  /** Why the server skips it; null when it does not. */
  readonly problem: string | null;
  /** How many models it lists; null: it is not known. */
  readonly modelCount: number | null;
  /** Only with `--models`. */
  readonly models: readonly string[] | null;
}

const COLUMNS: readonly Column<ListedUpstream>[] = [
  { title: "PLACE", cell: ({ place }) => String(place) },
  { title: "ID", cell: ({ id }) => String(id) },
  { title: "NAME", cell: ({ name }) => name, isFlexible: true },
  { title: "STATE", cell: showState },
  { title: "KEY", cell: ({ key, keys }) => keys.length > 1 ? keysSummary(keys) : key },
  { title: "TIMEOUT", cell: ({ timeout }) => timeout === null ? "-" : `${timeout} s` },
  { title: "ENDPOINT", cell: ({ endpoint }) => endpoint, isFlexible: true },
];

/** In colour, the state has one. */
function columnsWith({ isColoured }: { readonly isColoured: boolean }): readonly Column<ListedUpstream>[] {
  if (!isColoured) return COLUMNS;
  return COLUMNS.map((column) =>
    column.title === "STATE" ? { ...column, paint: (row) => stateColour(showState(row)) } : column
  );
}

/** Shown only when one of the upstreams has it. */
const RARE_COLUMNS:
  readonly (Column<ListedUpstream> & { readonly isSet: (upstream: ListedUpstream) => boolean })[] = [
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
      title: "MODELS",
      cell: ({ modelCount }) => String(modelCount ?? "-"),
      isSet: ({ modelCount }) => modelCount !== null,
    },
    {
      title: "WEIGHT",
      cell: ({ weight }) => String(weight ?? "-"),
      isSet: ({ weight }) => weight !== 1,
    },
    {
      title: "OPTIONS",
      cell: (upstream) => shortOptions(upstream).join(", ") || "-",
      isFlexible: true,
      isSet: (upstream) => shortOptions(upstream).length > 0,
    },
  ];

/** `failing (next try 12:03:05): HTTP 503`, in local time; `ok, 37 % failed`. */
function showState({ condition, until, reason, attempts, failed }: ListedUpstream): string {
  const word = condition === "no_credit" ? "no credit" : condition;
  switch (condition) {
    case "failing":
    case "trying":
    case "no_credit": {
      const time = until === null ? "" : ` (next try ${nextTry(Date.parse(until))})`;
      return `${word}${time}${reason ? `: ${reason}` : ""}`;
    }
    case "ok":
    case "untested":
      return attempts === null || failed === null
        ? word
        : `${word}, ${failedPercent({ attempts, failed })} % failed`;
    case "disabled":
    case "skipped":
      return word;
    default:
      return condition satisfies never;
  }
}

/** When it is time already, the next request tries it. */
function nextTry(untilMs: number): string {
  return untilMs > systemClock.now() ? clockTime(untilMs) : "now";
}

/** Each of several keys; of many only those that are held back. */
function keyLines({ id, keys }: ListedUpstream): string[] {
  if (keys.length < 2) return [];
  const shown = keys.filter(({ state }) => keys.length <= MAX_KEY_LINES || state !== "ok");
  const lines = shown.slice(0, MAX_KEY_LINES).map(({ n, key, state, until, reason }) => {
    const word = state === "no_credit" ? "no credit" : state;
    const time = until === null ? "" : ` (next try ${nextTry(Date.parse(until))})`;
    return `upstream ${id}, key ${n} ${key}: ${word}${time}${reason ? `: ${reason}` : ""}`;
  });
  const more = shown.length - lines.length;
  return more > 0 ? [...lines, `upstream ${id}: ${more} more keys that are held back`] : lines;
}

function clockTime(ms: number): string {
  const at = new Date(ms);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, "0")).join(
    ":",
  );
}

function toListed(facts: UpstreamFacts, models: readonly string[] | null): ListedUpstream {
  const { id, endpoint, key, isEnabled, problem } = facts;
  const isUsed = problem === null && isEnabled;
  const note = isUsed ? facts.note : null;
  const held = note === null || note.state === "closed" ? null : note.state;
  return {
    id,
    name: facts.name ?? "",
    endpoint,
    key,
    keys: facts.keys.map(({ untilMs, ...shown }) => ({
      ...(isUsed ? shown : { ...shown, state: "ok" as const, reason: null }),
      until: isUsed && untilMs !== null ? new Date(untilMs).toISOString() : null,
    })),
    enabled: isEnabled,
    timeout: facts.timeoutSeconds,
    place: facts.place,
    authStyle: facts.storedAuthStyle,
    allow: facts.allow,
    deny: facts.deny,
    modelMap: facts.modelMap,
    weight: Number.isFinite(facts.storedWeight) ? facts.storedWeight : null,
    ...listedOptions(facts),
    condition: conditionOf({
      ...{ isUsable: problem === null, isEnabled, isTested: facts.isTested },
      breaker: note?.state ?? "closed",
    }),
    state: problem !== null ? "skipped" : isEnabled ? held ?? "enabled" : "disabled",
    degraded: note?.failures !== undefined,
    attempts: note?.failures?.attempts ?? null,
    failed: note?.failures?.failed ?? null,
    until: note === null || note.untilMs === null ? null : new Date(note.untilMs).toISOString(),
    reason: note?.reason || null,
    problem,
    modelCount: models?.length ?? null,
    models,
  };
}
