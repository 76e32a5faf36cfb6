/**
 * The flags of `serve` as people spell them: names, variables, defaults and help texts.
 *
 * Owns spelling and defaults only; settings.ts owns what a value may be.
 */

import { AFFINITY_FLAGS } from "./affinity_settings.ts";
import { COST_FLAGS } from "./cost_settings.ts";
import { MODEL_FLAGS } from "./model_flags.ts";
import { JOURNAL_FLAG, RECORD_FLAGS } from "./record_flags.ts";
import type { SettingFlag } from "./setting_flag.ts";

export { JOURNAL_FLAG };
export type { SettingFlag } from "./setting_flag.ts";

/** The one flag that every command has. */
export const DATABASE_FLAG = {
  key: "database",
  flag: "--database",
  variable: "OAR_DATABASE",
  value: "path",
  group: "Records",
  description:
    "upstreams, tokens and records: a SQLite file, or postgres://user@host/name for several servers together",
  default: "./db.sqlite",
} as const satisfies SettingFlag;

/** The one flag of `serve` that other commands read the variable of. */
export const CA_FILE_FLAG = {
  key: "caFile",
  flag: "--ca-file",
  variable: "OAR_CA_FILE",
  value: "path",
  group: "Failover",
  description:
    "PEM certificates of authorities that upstreams may have their certificates from, besides the public ones",
  default: "none",
} as const satisfies SettingFlag;

/** Every flag of `serve`, in the order of the help; also the order in which mistakes are reported. */
export const SETTING_FLAGS = [
  {
    key: "addr",
    flag: "--addr",
    variable: "OAR_ADDR",
    value: "host:port",
    group: "Listening",
    description: "where to listen; no host means every interface, over IPv4 and IPv6; port 0 any free port",
    default: ":8888",
  },
  {
    key: "reusePort",
    flag: "--reuse-port",
    variable: "OAR_REUSE_PORT",
    value: null,
    group: "Listening",
    description: "several servers that say so listen on one port, and share its connections; on Linux",
    default: "no",
  },
  {
    key: "maxBody",
    flag: "--max-body",
    variable: "OAR_MAX_BODY",
    value: "size",
    group: "Listening",
    description: "largest request accepted, such as 10MB or 64MiB; larger ones get a 413",
    default: "72MiB",
  },
  {
    key: "maxConnections",
    flag: "--max-connections",
    variable: "OAR_MAX_CONNECTIONS",
    value: "number",
    group: "Listening",
    description:
      "client connections at once, at most a quarter of them from one address (trusted proxies and this machine: all); further ones are closed",
    default: "8192",
  },
  {
    key: "maxConcurrent",
    flag: "--max-concurrent",
    variable: "OAR_MAX_CONCURRENT",
    value: "number",
    group: "Listening",
    description: "requests in flight at once; further ones get a 429",
    default: "none",
  },
  {
    key: "maxHeld",
    flag: "--max-held",
    variable: "OAR_MAX_HELD",
    value: "size",
    group: "Listening",
    description: "memory for replies held back by the gate; above it, replies are relayed as they arrive",
    default: "256MiB",
  },
  {
    key: "maxReceiving",
    flag: "--max-receiving",
    variable: "OAR_MAX_RECEIVING",
    value: "size",
    group: "Listening",
    description:
      "memory for request bodies that are arriving or waiting to be sent; above it, further ones get a 429",
    default: "512MiB",
  },
  {
    key: "clientTimeout",
    flag: "--client-timeout",
    variable: "OAR_CLIENT_TIMEOUT",
    value: "seconds",
    group: "Listening",
    description: "a client that neither sends nor receives for this long is disconnected",
    default: "300",
  },
  {
    key: "trustedProxy",
    flag: "--trusted-proxy",
    variable: "OAR_TRUSTED_PROXY",
    value: "networks",
    group: "Listening",
    description: "proxies whose X-Forwarded-For is trusted, such as 10.0.0.0/8,::1",
    default: "none",
  },
  {
    key: "drainTimeout",
    flag: "--drain-timeout",
    variable: "OAR_DRAIN_TIMEOUT",
    value: "seconds",
    group: "Listening",
    description: "how long requests in flight may go on after a stop signal",
    default: "30",
  },
  {
    key: "noauth",
    flag: "--noauth",
    variable: "OAR_NOAUTH",
    value: null,
    group: "Access",
    description: "serve anyone, without a token",
    default: "no",
  },
  {
    key: "allowOrigin",
    flag: "--allow-origin",
    variable: "OAR_ALLOW_ORIGIN",
    value: "origins",
    group: "Access",
    description:
      "with --noauth: web pages that may use the server, such as http://localhost:3000; may be repeated",
    default: "none",
    isList: true,
  },
  {
    key: "noAdmin",
    flag: "--no-admin",
    variable: "OAR_NO_ADMIN",
    value: null,
    group: "Access",
    description: "no admin page and no admin API: everything below /admin is a 404",
    default: "no",
  },
  {
    key: "fromEnv",
    flag: "--from-env",
    variable: "OAR_FROM_ENV",
    value: null,
    group: "Access",
    description: "if there is no upstream yet, add one out of OPENAI_API_KEY (and OPENAI_BASE_URL)",
    default: "no",
  },
  {
    key: "metricsAuth",
    flag: "--metrics-auth",
    variable: "OAR_METRICS_AUTH",
    value: null,
    group: "Access",
    description: "ask for a token on /v1/metrics too",
    default: "no",
  },
  {
    key: "policy",
    flag: "--policy",
    variable: "OAR_POLICY",
    value: "name",
    group: "Failover",
    description:
      "order of trial: order, random, round_robin, least_latency, fastest or cheapest; default: what the database says, else order",
    default: null,
  },
  {
    key: "gateMs",
    flag: "--gate-ms",
    variable: "OAR_GATE_MS",
    value: "ms",
    group: "Failover",
    description: "after how long a stream that is held back gets its head, and keepalives",
    default: "5000",
  },
  {
    key: "gate",
    flag: "--gate",
    variable: "OAR_GATE",
    value: "mode",
    group: "Failover",
    description:
      "until when streams are held back and can fail over: content (their first), whole (their end) or none",
    default: "content",
  },
  {
    key: "keepalive",
    flag: "--keepalive",
    variable: "OAR_KEEPALIVE",
    value: "seconds",
    group: "Failover",
    description: "interval of the comments to a client whose stream is held back; 0: none",
    default: "15",
  },
  {
    key: "firstTokenTimeout",
    flag: "--first-token-timeout",
    variable: "OAR_FIRST_TOKEN_TIMEOUT",
    value: "seconds",
    group: "Failover",
    description: "a stream without any content for this long has failed",
    default: "120",
  },
  {
    key: "idleTimeout",
    flag: "--idle-timeout",
    variable: "OAR_IDLE_TIMEOUT",
    value: "seconds",
    group: "Failover",
    description: "a stream that goes silent for this long is cut",
    default: "120",
  },
  {
    key: "deadline",
    flag: "--deadline",
    variable: "OAR_DEADLINE",
    value: "seconds",
    group: "Failover",
    description: "time limit for all attempts together, until an upstream is chosen",
    default: "none",
  },
  {
    key: "retryOn",
    flag: "--retry-on",
    variable: "OAR_RETRY_ON",
    value: "what",
    group: "Failover",
    description:
      "failures that move on to the next upstream: any; server (all but a client's own mistakes); or connect (only those before any answer)",
    default: "any",
  },
  {
    key: "hedgeMs",
    flag: "--hedge-ms",
    variable: "OAR_HEDGE_MS",
    value: "ms",
    group: "Failover",
    description:
      "after how long without content the next upstream is asked beside the first: off, a number, or auto (what the slowest first tokens of this model take)",
    default: "off",
  },
  {
    key: "hedgeBudget",
    flag: "--hedge-budget",
    variable: "OAR_HEDGE_BUDGET",
    value: "percent",
    group: "Failover",
    description: "how many of a hundred requests may be sent to a second upstream this way",
    default: "5",
  },
  {
    key: "finalCodes",
    flag: "--final-codes",
    variable: "OAR_FINAL_CODES",
    value: "codes",
    group: "Failover",
    description:
      "errors with one of these codes or types, whatever their case, are relayed at once, and no other upstream is asked; none for none",
    default: "content_policy_violation,content_filter",
    isList: true,
  },
  {
    key: "retrySame",
    flag: "--retry-same",
    variable: "OAR_RETRY_SAME",
    value: "number",
    group: "Failover",
    description:
      "how often the same upstream is asked again after a passing failure; default: 1 if no other one has the same model, else 0",
    default: null,
  },
  {
    key: "retryWait",
    flag: "--retry-wait",
    variable: "OAR_RETRY_WAIT",
    value: "seconds",
    group: "Failover",
    description: "an upstream that asks for a longer pause (Retry-After) is not asked again",
    default: "5",
  },
  {
    key: "maxAttempts",
    flag: "--max-attempts",
    variable: "OAR_MAX_ATTEMPTS",
    value: "number",
    group: "Failover",
    description: "attempts for one request; default: two more than there are upstreams and keys for it",
    default: null,
  },
  {
    key: "breakerMax",
    flag: "--breaker-max",
    variable: "OAR_BREAKER_MAX",
    value: "seconds",
    group: "Failover",
    description:
      "the longest time that an upstream is tried last after connection errors, timeouts, 5xx and broken streams",
    default: "15",
  },
  {
    key: "queueTimeout",
    flag: "--queue-timeout",
    variable: "OAR_QUEUE_TIMEOUT",
    value: "seconds",
    group: "Failover",
    description: "how long a request waits when every upstream for it is full; then it gets a 429",
    default: "10",
  },
  {
    key: "maxQueued",
    flag: "--max-queued",
    variable: "OAR_MAX_QUEUED",
    value: "number",
    group: "Failover",
    description: "how many requests may wait like that; further ones get a 429",
    default: "1000",
  },
  ...AFFINITY_FLAGS,
  ...MODEL_FLAGS,
  ...COST_FLAGS,
  CA_FILE_FLAG,
  DATABASE_FLAG,
  ...RECORD_FLAGS,
] as const satisfies readonly SettingFlag[];

export type SettingKey = typeof SETTING_FLAGS[number]["key"];
