/**
 * `doctor`: checks everything that an installation depends on, and says how to fix each problem.
 *
 * Owns the order of the checks and how findings are printed. Never shows a key, a token or a channel's URL.
 */
import { CommandError, UsageError } from "./errors.ts";
import { hasColour } from "./colour.ts";
import type { Command } from "commander";
import {
  ALERT_VARIABLES,
  type Environment,
  type UnknownVariable,
  unknownVariables,
} from "../config/environment.ts";
import { parseDatabasePlace, parseSettings, type Settings, SettingsError } from "../config/settings.ts";
import { parseOutgoing } from "../config/outgoing.ts";
import type { Upstream } from "../core/types.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import { systemClock } from "../server/clock.ts";
import { StartError } from "../server/start_error.ts";
import { type OutgoingClient, upstreamClient } from "../server/upstream_client.ts";
import { DEFAULT_BUSY_TIMEOUT_MS } from "../store/database/connection.ts";
import { rebuildSearchIndex } from "../store/search/rebuild.ts";
import {
  type CommandContext,
  type DatabaseFlags,
  databaseOption,
  openFor,
  quietRegistry,
} from "./context.ts";
import { checkAlerts } from "./doctor/alerts.ts";
import { checkDatabase, checkDisk } from "./doctor/database.ts";
import { checkKeys } from "./doctor/keys.ts";
import { findingLines, withoutSecrets } from "./doctor/lines.ts";
import { checkTokens, isTokenProblem, tokenFindings } from "./doctor/tokens.ts";
import { type Finding, found } from "../control/finding.ts";
import { modelFindings } from "../control/model_findings.ts";
import { optionFindings } from "../control/option_findings.ts";
import { usageFindings } from "../control/usage_findings.ts";
import { judgeClock, type Probe, probeUpstream } from "../control/upstream_probe.ts";
import { formatJson } from "./output.ts";
import { Progress } from "./progress.ts";

interface DoctorFlags extends DatabaseFlags {
  readonly json?: boolean;
  readonly send?: boolean;
  readonly timeout?: string;
  readonly repairIndex?: boolean;
}

const DEFAULT_TIMEOUT = "10";
const MAX_TIMEOUT_SECONDS = 600;

/** Adds the command to the program. */
export function defineDoctorCommand(program: Command, context: CommandContext): void {
  program.command("doctor")
    .description(
      "check database, disk, clock, tokens, each upstream (GET /models with its key) and alerts, and say what to do",
    )
    .helpGroup("Server:")
    .option("--timeout <seconds>", `how long to wait for each upstream (default ${DEFAULT_TIMEOUT})`)
    .option("--send", "send a test message to each alert channel")
    .option("--repair-index", "first make the full-text index anew, from the records")
    .option("--json", "print JSON")
    .addOption(databaseOption())
    .action((flags: DoctorFlags) => doctor(context, flags));
}

/** @throws CommandError when a check failed, UsageError, SettingsError */
async function doctor(context: CommandContext, flags: DoctorFlags): Promise<void> {
  const { terminal } = context;
  const limitMs = readTimeout(flags.timeout ?? DEFAULT_TIMEOUT);
  if (flags.repairIndex) repairIndex(context, flags);
  const findings = await examine(context, { flags, limitMs });
  const failed = findings.filter(({ level }) => level === "fail").length;
  if (flags.json) terminal.print(formatJson({ ok: failed === 0, checks: findings }));
  else {
    const isColoured = hasColour(context.env, { isTerminal: terminal.columns !== null });
    findingLines(findings, { isColoured }).forEach(terminal.print);
  }
  if (failed > 0) throw new CommandError(`${failed} of ${findings.length} checks failed`);
}

/** @throws StoreError, CommandError */
function repairIndex({ terminal, env }: CommandContext, flags: DoctorFlags): void {
  const place = parseDatabasePlace({ flags: { database: flags.database }, env });
  if (place.type === "postgres") {
    throw new CommandError(
      "--repair-index is for SQLite; PostgreSQL makes its index anew with: REINDEX INDEX oar.idx_record_search_words",
    );
  }
  // Not in a database that is none of ours, or of an older version.
  openFor({ terminal, env, flags, access: "change" }).close();
  const progress = new Progress({ screen: terminal.noteScreen ?? null, now: systemClock.monotonic });
  rebuildSearchIndex(place.path, {
    busyTimeoutMs: DEFAULT_BUSY_TIMEOUT_MS,
    onProgress: (low, high) => progress.step(() => `${low} of ${high} records are to be indexed`),
  });
  progress.clear();
  terminal.note("the full-text index was made anew");
}

async function examine(
  context: CommandContext,
  { flags, limitMs }: { readonly flags: DoctorFlags; readonly limitMs: number },
): Promise<Finding[]> {
  const { env } = context;
  const { settings, finding } = checkSettings(flags, env);
  const { findings, snapshot } = await checkPlace(context, { flags, settings });
  const { client, problems } = outgoingClient(settings);
  const alerts = checkAlerts(env, { client, isSending: flags.send ?? false });
  const basics = [finding, ...problems, ...findings];
  try {
    if (snapshot === null) return [...basics, ...await alerts];
    const tokens = checkTokens(snapshot, {
      isNoAuth: settings?.isNoAuth ?? false,
      nowMs: systemClock.now(),
    });
    const upstreams = await checkUpstreams(snapshot, { client, limitMs });
    const all = [...basics, tokens, ...upstreams, ...await alerts];
    return all.map((each) => withoutSecrets(each, snapshot));
  } finally {
    client.close();
  }
}

/** The database, the file that this machine writes, and its disk. */
async function checkPlace(
  { terminal, env }: CommandContext,
  { flags, settings }: { readonly flags: DoctorFlags; readonly settings: Settings | null },
): Promise<{ readonly findings: readonly Finding[]; readonly snapshot: RegistrySnapshot | null }> {
  const place = parseDatabasePlace({ flags: { database: flags.database }, env });
  // The other commands start faster without the prices.
  const { checkPrices } = await import("./doctor/prices.ts");
  if (place.type === "file") {
    const { findings, database } = checkDatabase(place.path, terminal.note);
    try {
      const snapshot = database === null ? null : quietRegistry(database.config).snapshot();
      const keys = database === null || snapshot === null ? [] : checkKeys(database.config, snapshot);
      const prices = settings === null
        ? []
        : checkPrices(settings.costs.pricesPath, { database, nowMs: Date.now() });
      return { findings: [...findings, checkDisk(place.path), ...keys, ...prices], snapshot };
    } finally {
      database?.close();
    }
  }
  // The checks of a file need none of this.
  const [{ checkRemote }, { checkJournal }] = await Promise.all([
    import("./doctor/postgres.ts"),
    import("./doctor/journal.ts"),
  ]);
  const { findings, snapshot } = await checkRemote(place.url, { terminal, env, flags });
  // Settings that are wrong do not say where the journal is.
  const journal = settings === null ? [] : [
    ...checkJournal(settings.database, terminal.note),
    checkDisk(settings.database),
    ...checkPrices(settings.costs.pricesPath, { database: null, nowMs: Date.now() }),
  ];
  return { findings: [...findings, ...journal], snapshot };
}

/** The way out, as the environment says; settings that are wrong are a check of their own. */
function outgoingClient(
  settings: Settings | null,
): { readonly client: OutgoingClient; readonly problems: readonly Finding[] } {
  const direct = parseOutgoing({}, null);
  const ignored: Finding[] = [];
  const advice = "name a readable file of PEM certificates, or unset it";
  try {
    const client = upstreamClient(
      settings?.outgoing ?? direct,
      (message) => ignored.push(found("settings", { level: "warn", message, advice })),
    );
    return { client, problems: ignored };
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    return {
      client: upstreamClient(direct),
      problems: [found("settings", { level: "fail", message: error.message })],
    };
  }
}

/** The environment alone: which flags the server gets is not known here. */
function checkSettings(
  { database }: DoctorFlags,
  env: Environment,
): { readonly settings: Settings | null; readonly finding: Finding } {
  // The alert channels are a check of their own.
  const isOfAlerts = (name: string) => ALERT_VARIABLES.some(({ variable }) => variable === name);
  const own = Object.entries(env).filter(([name, value]) => value !== undefined && !isOfAlerts(name));
  try {
    const settings = parseSettings({ flags: { database }, env: Object.fromEntries(own) });
    const unknown = unknownVariables(env);
    if (unknown.length > 0) return { settings, finding: found("settings", unknownFinding(unknown)) };
    const names = own.map(([name]) => name).filter((name) => name.startsWith("OAR_"));
    const message = names.length === 0
      ? "no OAR_ variable is set in this environment"
      : `the environment sets ${names.join(", ")}`;
    return { settings, finding: found("settings", { level: "ok", message }) };
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error;
    return { settings: null, finding: found("settings", { level: "fail", message: error.message }) };
  }
}

function unknownFinding(unknown: readonly UnknownVariable[]): Parameters<typeof found>[1] {
  const names = unknown.map(({ name, nearest }) =>
    nearest === null ? name : `${name} (did you mean ${nearest}?)`
  );
  return {
    level: "warn",
    message: `the environment sets what the program does not know: ${names.join(", ")}`,
    advice: "correct the name, or unset it",
  };
}

async function checkUpstreams(
  snapshot: RegistrySnapshot,
  { client, limitMs }: { readonly client: OutgoingClient; readonly limitMs: number },
): Promise<Finding[]> {
  const { upstreams, problems, usageRefusals = [] } = snapshot;
  const deps = { client, clock: systemClock };
  const probes = await Promise.all(
    upstreams.map((upstream) => probeUpstream(deps, { upstream, limitMs })),
  );
  const offsets = probes.flatMap(({ clockOffsetMs }) => clockOffsetMs === null ? [] : [clockOffsetMs]);
  const listed = listedModels(upstreams, probes);
  const findings = [
    ...problems.filter((problem) => !isTokenProblem(problem))
      .map((message) => found("upstream", { level: "fail", message })),
    ...probes.map(({ finding }) => finding),
    ...upstreams.flatMap(optionFindings),
    ...usageFindings(upstreams, { refusals: usageRefusals, nowMs: systemClock.now() }),
    ...modelFindings(upstreams, listed),
    ...tokenFindings(snapshot, { listed, nowMs: systemClock.now() }),
    judgeClock(systemClock.now(), offsets),
  ];
  if (upstreams.some(({ isEnabled }) => isEnabled)) return findings;
  const message = "none is enabled, so every request fails";
  const advice = "add one: add --key KEY --endpoint URL (or enable one: enable ID)";
  return [found("upstream", { level: "fail", message, advice }), ...findings];
}

function listedModels(
  upstreams: readonly Upstream[],
  probes: readonly Probe[],
): Map<number, readonly string[]> {
  return new Map(upstreams.flatMap(({ id }, place) => {
    const models = probes[place]?.models ?? null;
    return models === null ? [] : [[id, models] as const];
  }));
}

function readTimeout(text: string): number {
  const seconds = /^\d{1,4}(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (seconds <= 0 || seconds > MAX_TIMEOUT_SECONDS) {
    throw new UsageError(
      `--timeout cannot be ${
        JSON.stringify(text)
      }: expected a number of seconds up to ${MAX_TIMEOUT_SECONDS}`,
    );
  }
  return seconds * 1000;
}
