/**
 * The flags that choose records, the same for every command that shows several.
 *
 * Owns how a filter is typed. Values are checked before any database is opened.
 */
import { UsageError } from "../errors.ts";
import type { UpstreamNames } from "../../control/upstream_names.ts";
import type { Command } from "commander";
import { type CountRange, parseCountRange, parseDuration } from "../../core/bounds.ts";
import { type Outcome, OUTCOMES } from "../../core/types.ts";
import type { RecordFilter } from "../../store/store.ts";
import { choiceOption, type DatabaseFlags, databaseOption } from "../context.ts";
import { parseMoment } from "../../core/times.ts";

export interface FilterFlags extends DatabaseFlags {
  readonly since?: string;
  readonly until?: string;
  readonly model?: string;
  readonly upstream?: string;
  readonly tried?: string;
  readonly failedOn?: string;
  readonly attempts?: string;
  readonly slowerThan?: string;
  readonly failed?: boolean;
  readonly status?: string;
  readonly outcome?: string;
  readonly client?: string;
  readonly without?: string;
  readonly text?: string;
}

/** A filter as far as it can be read without the database. */
export interface ParsedFilter {
  readonly filter: RecordFilter;
  /** Ids or names of upstreams; null: any. */
  readonly upstream: string | null;
  readonly tried: string | null;
  readonly failedOn: string | null;
}

const MOMENT = "a duration such as 15m, 24h, 7d or 3w, a date such as 2026-11-01, or an ISO 8601 time";

const WITHOUT = ["model", "client"] as const;

/** Adds the filters, and `--database`, to a command. */
export function addFilterOptions(command: Command): Command {
  return command
    .option("--since <when>", "not before: a duration ago (90s 15m 24h 7d 3w), a date or an ISO time")
    .option("--until <when>", "not after; a date includes that whole day")
    .option("--model <glob>", "the requested model, with * and ?")
    .option("--upstream <upstream>", "the one that answered, by its id or its name")
    .option("--tried <upstream>", "one that was asked, whether it answered or not, by its id or its name")
    .option("--failed-on <upstream>", "one at which an attempt failed, by its id or its name")
    .option("--attempts <count>", "how many were made: 2, '>1', '<=3'")
    .option("--slower-than <duration>", "took longer: 5s, 800ms, 2m")
    .option("--failed", "only requests that count as errors: not the client's own mistakes and departures")
    .option("--status <status>", "what the client got: 502, or a class such as 5xx")
    .addOption(choiceOption("--outcome <outcome>", {
      description: `how it ended: ${OUTCOMES.join(", ")}`,
      choices: OUTCOMES,
    }))
    .option("--client <client>", "the name of the client's token")
    .addOption(choiceOption("--without <what>", {
      description: "only records that name none: model, client",
      choices: WITHOUT,
    }))
    .option("--text <words>", 'words in the request or the reply, or their beginnings; "..." for a phrase')
    .addOption(databaseOption());
}

/** @throws UsageError naming the flag */
export function parseFilter(flags: FilterFlags, nowMs: number): ParsedFilter {
  const { since, until, model, upstream, tried, failedOn, status, outcome, client, text } = flags;
  const filter: RecordFilter = {
    ...(since === undefined ? {} : { sinceMs: readMoment(since, { flag: "--since", nowMs, isEnd: false }) }),
    ...(until === undefined ? {} : { untilMs: readMoment(until, { flag: "--until", nowMs, isEnd: true }) }),
    ...(model === undefined ? {} : { model: readWords(model, "--model") }),
    ...(flags.attempts === undefined ? {} : { attempts: readAttempts(flags.attempts) }),
    ...(flags.slowerThan === undefined ? {} : { slowerThanMs: readDuration(flags.slowerThan) }),
    ...(flags.failed ? { isFailure: true } : {}),
    ...(status === undefined ? {} : { status: readStatus(status) }),
    ...(outcome === undefined ? {} : { outcome: readOutcome(outcome) }),
    ...(client === undefined ? {} : { client: readWords(client, "--client") }),
    ...(flags.without === undefined ? {} : { without: readWithout(flags.without) }),
    ...(text === undefined ? {} : { text: readWords(text, "--text") }),
  };
  if (filter.sinceMs !== undefined && filter.untilMs !== undefined && filter.sinceMs > filter.untilMs) {
    throw new UsageError("--since is later than --until: nothing lies between");
  }
  const named = (which: string | undefined, flag: string): string | null =>
    which === undefined ? null : readWords(which, flag);
  return {
    filter,
    upstream: named(upstream, "--upstream"),
    tried: named(tried, "--tried"),
    failedOn: named(failedOn, "--failed-on"),
  };
}

/** @throws CommandError when there is no such upstream */
export function resolveFilter(
  { filter, upstream, tried, failedOn }: ParsedFilter,
  names: UpstreamNames,
): RecordFilter {
  return {
    ...filter,
    ...(upstream === null ? {} : { upstreamId: names.idOf(upstream) }),
    ...(tried === null ? {} : { triedUpstreamId: names.idOf(tried) }),
    ...(failedOn === null ? {} : { failedUpstreamId: names.idOf(failedOn) }),
  };
}

/** @throws UsageError */
export function readCount(
  text: string,
  { flag, max }: { readonly flag: string; readonly max: number },
): number {
  const count = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= max) return count;
  throw new UsageError(`${flag} cannot be ${JSON.stringify(text)}: expected a whole number from 1 to ${max}`);
}

function readMoment(
  text: string,
  { flag, ...options }: { readonly flag: string; readonly nowMs: number; readonly isEnd: boolean },
): number {
  const moment = parseMoment(text, options);
  if (moment !== undefined) return moment;
  throw new UsageError(`${flag} cannot be ${JSON.stringify(text)}: expected ${MOMENT}`);
}

function readAttempts(text: string): CountRange {
  const range = parseCountRange(text);
  if (range !== undefined) return range;
  throw new UsageError(
    `--attempts cannot be ${JSON.stringify(text)}: expected a number such as 2, '>1' or '<=3'`,
  );
}

function readDuration(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new UsageError(
    `--slower-than cannot be ${JSON.stringify(text)}: expected a duration such as 5s, 800ms or 2m`,
  );
}

function readStatus(text: string): number {
  const [, statusClass] = /^([1-5])xx$/i.exec(text) ?? [];
  if (statusClass !== undefined) return Number(statusClass);
  if (/^[1-9]\d\d$/.test(text)) return Number(text);
  throw new UsageError(
    `--status cannot be ${JSON.stringify(text)}: expected a status such as 502, or a class such as 5xx`,
  );
}

function readOutcome(text: string): Outcome {
  const outcome = OUTCOMES.find((each) => each === text);
  if (outcome !== undefined) return outcome;
  throw new UsageError(
    `--outcome cannot be ${JSON.stringify(text)}: expected one of ${OUTCOMES.join(", ")}`,
  );
}

function readWithout(text: string): (typeof WITHOUT)[number] {
  const what = WITHOUT.find((each) => each === text);
  if (what !== undefined) return what;
  throw new UsageError(`--without cannot be ${JSON.stringify(text)}: expected ${WITHOUT.join(" or ")}`);
}

function readWords(text: string, flag: string): string {
  const words = text.trim();
  if (words === "") throw new UsageError(`${flag} must not be empty`);
  return words;
}
