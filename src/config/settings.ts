/**
 * Settings: one typed value from flags and environment, validated, with defaults.
 *
 * Owns the names, ranges and defaults of every setting of `serve`. Must not read the environment itself:
 * the command line hands it the values.
 */
import { z } from "zod";
import type { Cidr } from "../core/client_ip.ts";
import type { HedgeDelay } from "../core/hedging.ts";
import type { RetryOn } from "../core/policy.ts";
import type { GateMode } from "../core/gate_mode.ts";
import type { OrderPolicy } from "../core/types.ts";
import { AFFINITY_SCHEMAS, type AffinitySettings } from "./affinity_settings.ts";
import { type AlertSettings, parseAlerts } from "./alerts.ts";
import { COST_SCHEMAS, type CostSettings, costSettings, TIME_ZONE_FLAG } from "./cost_settings.ts";
import type { Environment } from "./environment.ts";
import { lookUp, type SettingsInput, toSettingsError } from "./given_setting.ts";
import type { ListenAddress } from "./listen_address.ts";
import { MODEL_SCHEMAS, type ModelSettings, modelSettings } from "./model_flags.ts";
import { type OutgoingSettings, parseOutgoing } from "./outgoing.ts";
import {
  CA_FILE_FLAG,
  DATABASE_FLAG,
  JOURNAL_FLAG,
  SETTING_FLAGS,
  type SettingFlag,
  type SettingKey,
} from "./flags.ts";
import {
  choicesOf,
  isPostgresUrl,
  SettingsError,
  toAddress,
  toBoolean,
  toBytes,
  toBytesOrNone,
  toChoice,
  toCount,
  toCountOrNone,
  toDatabase,
  toDaysOrNone,
  toHedgeDelay,
  toLabels,
  toMilliseconds,
  toNetworks,
  toOrigins,
  toPath,
  toPathOrNone,
  toPercent,
  toSecondsAsMs,
  toSecondsAsMsOrNone,
} from "./values.ts";

export { addressText, type ListenAddress } from "./listen_address.ts";
export type { SettingsInput } from "./given_setting.ts";
export { SettingsError } from "./values.ts";

/** All settings of `serve`. Times are milliseconds, sizes are bytes. */
export interface Settings extends AffinitySettings {
  readonly listen: ListenAddress;
  /** Other servers listen there, too. */
  readonly isPortShared: boolean;
  /** The SQLite file that this server alone writes: its database, or with PostgreSQL its journal. */
  readonly database: string;
  /** Of the PostgreSQL database that several servers share, with what may be secret; null: there is none. */
  readonly remoteUrl: string | null;
  readonly isNoAuth: boolean;
  /** Web pages that may use the server without a token, as browsers write them in `Origin`. */
  readonly allowedOrigins: readonly string[];
  /** There is no admin page. */
  readonly isAdminOff: boolean;
  /** Without an upstream, one is made out of the environment. */
  readonly isFromEnv: boolean;
  /** null: the database's `policy`, or `order`. */
  readonly policy: OrderPolicy | null;
  readonly gateMs: number;
  readonly gate: GateMode;
  /** Between two keepalives while a stream is held back; 0: none. */
  readonly keepaliveMs: number;
  readonly firstTokenTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Spans all attempts until the choice is final; null: none. */
  readonly deadlineMs: number | null;
  readonly retryOn: RetryOn;
  /** After how long without content a second upstream is asked. */
  readonly hedgeDelay: HedgeDelay;
  readonly hedgeBudgetPercent: number;
  /** Codes and types of errors after which no other upstream is asked, in lower case. */
  readonly finalCodes: ReadonlySet<string>;
  /** How often the same upstream is asked again; null: once if no other one has the same model. */
  readonly retrySame: number | null;
  /** Longest pause before that. */
  readonly retryWaitMs: number;
  /** Attempts of one request; null: candidates + 2. */
  readonly maxAttempts: number | null;
  /** The longest pause of an upstream after connection errors, timeouts, 5xx and broken streams. */
  readonly breakerMaxMs: number;
  readonly maxBodyBytes: number;
  /** Simultaneous connections of clients; null: no limit. */
  readonly maxConnections: number | null;
  /** Simultaneous requests; null: no limit. */
  readonly maxConcurrent: number | null;
  /** How long a request waits for an upstream that has room; 0: it does not. */
  readonly queueTimeoutMs: number;
  /** Requests that may wait at once. */
  readonly maxQueued: number;
  /** Memory for all replies held back by the gate. */
  readonly maxHeldBytes: number;
  /** Memory for all request bodies that are being received, or kept for another attempt. */
  readonly maxReceivingBytes: number;
  /** How long a client may send, or take, nothing. */
  readonly clientTimeoutMs: number;
  /** Networks whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly Cidr[];
  readonly recordBodyLimitBytes: number;
  /** `remote`: as `normal`, and the end of a reply waits for PostgreSQL. */
  readonly durability: "normal" | "full" | "remote";
  /** Older records are deleted; null: none. */
  readonly keepDays: number | null;
  /** The texts of older records are deleted; null: none. */
  readonly keepBodiesDays: number | null;
  /** For the database and its journal; null: no limit. */
  readonly maxDbSizeBytes: number | null;
  readonly isMetricsAuth: boolean;
  readonly drainTimeoutMs: number;
  readonly log: { readonly format: "text" | "json"; readonly level: "debug" | "info" | "warning" | "error" };
  readonly alerts: AlertSettings;
  readonly outgoing: OutgoingSettings;
  readonly models: ModelSettings;
  readonly costs: CostSettings;
}

const MIB = 1024 * 1024;
const DAY_SECONDS = 86_400;
/** From about a second to a century. */
const ANY_AGE = { min: 0.00001, max: 36_500 };
const ANY_DURATION = { min: 0.001, max: DAY_SECONDS };

const SCHEMAS = {
  addr: toAddress(),
  reusePort: toBoolean(),
  maxBody: toBytes({ min: 1024, max: 2048 * MIB, accepted: "from 1KiB to 2GiB" }),
  maxConnections: toCountOrNone({ min: 1, max: 1_000_000 }),
  maxConcurrent: toCountOrNone({ min: 1, max: 1_000_000 }),
  queueTimeout: toSecondsAsMs({ min: 0, max: 3_600 }),
  maxQueued: toCount({ min: 0, max: 1_000_000 }),
  maxHeld: toBytes({ min: 0, max: 65_536 * MIB, accepted: "from 0 to 64GiB" }),
  maxReceiving: toBytes({ min: MIB, max: 65_536 * MIB, accepted: "from 1MiB to 64GiB" }),
  clientTimeout: toSecondsAsMs(ANY_DURATION),
  trustedProxy: toNetworks(),
  drainTimeout: toSecondsAsMs({ min: 0, max: 3600 }),
  noauth: toBoolean(),
  allowOrigin: toOrigins(),
  noAdmin: toBoolean(),
  fromEnv: toBoolean(),
  metricsAuth: toBoolean(),
  policy: toChoice<OrderPolicy>({
    order: "order",
    random: "random",
    round_robin: "round_robin",
    least_latency: "least_latency",
    fastest: "fastest",
    cheapest: "cheapest",
    main: "order",
  }).nullable(),
  gateMs: toMilliseconds({ min: 0, max: 600_000 }),
  gate: toChoice({ content: "content", whole: "whole", none: "none" }),
  keepalive: toSecondsAsMs({ min: 0, max: 3_600 }),
  firstTokenTimeout: toSecondsAsMs(ANY_DURATION),
  idleTimeout: toSecondsAsMs(ANY_DURATION),
  deadline: toSecondsAsMsOrNone(ANY_DURATION),
  retryOn: toChoice<RetryOn>({ any: "any", server: "server", connect: "connect" }),
  hedgeMs: toHedgeDelay(),
  hedgeBudget: toPercent(),
  finalCodes: toLabels(),
  retrySame: toCount({ min: 0, max: 100 }).nullable(),
  retryWait: toSecondsAsMs({ min: 0, max: 300 }),
  maxAttempts: toCount({ min: 1, max: 1_000 }).nullable(),
  ...AFFINITY_SCHEMAS,
  breakerMax: toSecondsAsMs({ min: 1, max: 3600 }),
  ...MODEL_SCHEMAS,
  ...COST_SCHEMAS,
  caFile: toPathOrNone(),
  database: toDatabase(),
  journal: toPath(),
  recordBodyLimit: toBytes({ min: 0, max: 512 * MIB, accepted: "from 0 to 512MiB" }),
  durability: toChoice({ normal: "normal", full: "full", remote: "remote" }),
  keepDays: toDaysOrNone(ANY_AGE),
  keepBodiesDays: toDaysOrNone(ANY_AGE),
  maxDbSize: toBytesOrNone({ min: MIB, max: 1024 * 1024 * MIB, accepted: "from 1MiB to 1024GiB" }),
  logFormat: toChoice({ text: "text", json: "json" }),
  logLevel: toChoice({ debug: "debug", info: "info", warning: "warning", warn: "warning", error: "error" }),
} satisfies Record<SettingKey, z.ZodType>;

/** The words that a setting accepts; none if it accepts other values. */
export function settingChoices(setting: SettingFlag): readonly string[] {
  const schemas: Readonly<Record<string, z.ZodType>> = SCHEMAS;
  const schema = schemas[setting.key];
  return schema === undefined ? [] : choicesOf(schema);
}

/**
 * The settings of `serve`. A flag wins over its variable, which wins over the default.
 *
 * @throws SettingsError naming the first flag or variable that is wrong and what it accepts; never a secret
 */
export function parseSettings(input: SettingsInput): Settings {
  const given = new Map(SETTING_FLAGS.map((flag) => [flag.key as string, lookUp(flag, input)]));
  const parsed = z.object(SCHEMAS).safeParse(
    Object.fromEntries([...given].map(([key, { text }]) => [key, text])),
  );
  if (!parsed.success) throw toSettingsError(parsed.error, given);
  const value = parsed.data;
  return {
    listen: value.addr,
    isPortShared: value.reusePort,
    ...databaseSettings(value, input),
    isNoAuth: value.noauth,
    allowedOrigins: value.allowOrigin,
    isAdminOff: value.noAdmin,
    isFromEnv: value.fromEnv,
    policy: value.policy,
    gateMs: value.gateMs,
    gate: value.gate,
    keepaliveMs: value.keepalive,
    firstTokenTimeoutMs: value.firstTokenTimeout,
    idleTimeoutMs: value.idleTimeout,
    deadlineMs: value.deadline,
    retryOn: value.retryOn,
    hedgeDelay: value.hedgeMs,
    hedgeBudgetPercent: value.hedgeBudget,
    finalCodes: value.finalCodes,
    retrySame: value.retrySame,
    retryWaitMs: value.retryWait,
    maxAttempts: value.maxAttempts,
    affinity: value.affinity,
    keepIdsDays: value.keepIds,
    breakerMaxMs: value.breakerMax,
    maxBodyBytes: value.maxBody,
    maxConnections: value.maxConnections,
    maxConcurrent: value.maxConcurrent,
    queueTimeoutMs: value.queueTimeout,
    maxQueued: value.maxQueued,
    maxHeldBytes: value.maxHeld,
    maxReceivingBytes: value.maxReceiving,
    clientTimeoutMs: value.clientTimeout,
    trustedProxies: value.trustedProxy,
    recordBodyLimitBytes: value.recordBodyLimit,
    durability: value.durability,
    keepDays: value.keepDays,
    keepBodiesDays: value.keepBodiesDays,
    maxDbSizeBytes: value.maxDbSize,
    isMetricsAuth: value.metricsAuth,
    drainTimeoutMs: value.drainTimeout,
    log: { format: value.logFormat, level: value.logLevel },
    alerts: parseAlerts(input.env),
    outgoing: parseOutgoing(input.env, value.caFile),
    models: modelSettings(value),
    costs: costSettings(value),
  };
}

/** Which files and servers have the records. @throws SettingsError when the settings contradict each other */
function databaseSettings(
  { database, journal, durability }: {
    readonly database: string;
    readonly journal: string;
    readonly durability: Settings["durability"];
  },
  input: SettingsInput,
): Pick<Settings, "database" | "remoteUrl"> {
  if (isPostgresUrl(database)) return { database: journal, remoteUrl: database };
  const needsPostgres = durability === "remote"
    ? "--durability remote"
    : lookUp(JOURNAL_FLAG, input).isGiven
    ? "--journal"
    : null;
  if (needsPostgres === null) return { database, remoteUrl: null };
  throw new SettingsError(
    `${needsPostgres} is for PostgreSQL; give its URL: --database postgres://user@host/database`,
  );
}

/** Where the database of a command is. */
export type DatabasePlace =
  | { readonly type: "file"; readonly path: string }
  /** The URL may hold a secret. */
  | { readonly type: "postgres"; readonly url: string };

/**
 * Only the database's place, so that a mistake in another setting does not stop `list`.
 *
 * @throws SettingsError
 */
export function parseDatabasePlace(input: SettingsInput): DatabasePlace {
  const given = lookUp(DATABASE_FLAG, input);
  const parsed = z.object({ database: SCHEMAS.database }).safeParse({ database: given.text });
  if (!parsed.success) throw toSettingsError(parsed.error, new Map([["database", given]]));
  const { database } = parsed.data;
  return isPostgresUrl(database) ? { type: "postgres", url: database } : { type: "file", path: database };
}

/**
 * The path of a command's database, which must be a file.
 *
 * @throws SettingsError
 */
export function parseDatabasePath(input: SettingsInput): string {
  const place = parseDatabasePlace(input);
  if (place.type === "file") return place.path;
  throw new SettingsError("this needs a SQLite file, and --database is the URL of a PostgreSQL database");
}

/**
 * Only the way out, as the environment says.
 *
 * @throws SettingsError
 */
export function parseOutgoingOf(env: Environment): OutgoingSettings {
  const given = lookUp(CA_FILE_FLAG, { flags: {}, env });
  const parsed = z.object({ caFile: SCHEMAS.caFile }).safeParse({ caFile: given.text });
  if (!parsed.success) throw toSettingsError(parsed.error, new Map([["caFile", given]]));
  return parseOutgoing(env, parsed.data.caFile);
}

/**
 * Only where the days of budgets begin, as the environment says.
 *
 * @throws SettingsError
 */
export function parseTimeZone(env: Environment): string {
  const given = lookUp(TIME_ZONE_FLAG, { flags: {}, env });
  const parsed = z.object({ timezone: SCHEMAS.timezone }).safeParse({ timezone: given.text });
  if (!parsed.success) throw toSettingsError(parsed.error, new Map([["timezone", given]]));
  return parsed.data.timezone;
}
