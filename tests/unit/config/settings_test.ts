/**
 * Every setting by its flag and by its variable: what is accepted, what is refused, and the messages.
 */
import assert from "node:assert/strict";
import type { Environment } from "../../../src/config/environment.ts";
import { SETTING_FLAGS } from "../../../src/config/flags.ts";
import {
  parseDatabasePath,
  parseDatabasePlace,
  parseSettings,
  type Settings,
  SettingsError,
} from "../../../src/config/settings.ts";

const MIB = 1024 * 1024;

const OUTGOING = { httpProxy: null, httpsProxy: null, direct: [], caFile: null, sharedCaFiles: [] };

const DEFAULTS: Settings = {
  listen: { hostname: "", port: 8888 },
  isPortShared: false,
  database: "./db.sqlite",
  remoteUrl: null,
  isNoAuth: false,
  allowedOrigins: [],
  isAdminOff: false,
  isFromEnv: false,
  policy: null,
  gateMs: 5000,
  gate: "content",
  keepaliveMs: 15_000,
  firstTokenTimeoutMs: 120_000,
  idleTimeoutMs: 120_000,
  deadlineMs: null,
  retryOn: "any",
  hedgeDelay: null,
  hedgeBudgetPercent: 5,
  finalCodes: new Set(["content_policy_violation", "content_filter"]),
  retrySame: null,
  retryWaitMs: 5_000,
  maxAttempts: null,
  breakerMaxMs: 15_000,
  affinity: "auto",
  keepIdsDays: 60,
  maxConnections: 8192,
  maxConcurrent: null,
  queueTimeoutMs: 10_000,
  maxQueued: 1_000,
  maxHeldBytes: 256 * 1024 * 1024,
  maxReceivingBytes: 512 * MIB,
  clientTimeoutMs: 300_000,
  trustedProxies: [],
  maxBodyBytes: 72 * MIB,
  recordBodyLimitBytes: MIB,
  durability: "normal",
  keepDays: null,
  keepBodiesDays: null,
  maxDbSizeBytes: null,
  isMetricsAuth: false,
  drainTimeoutMs: 30_000,
  log: { format: "text", level: "info" },
  alerts: { feishu: null, matrixApi: null, matrix: null, webhook: null },
  outgoing: OUTGOING,
  models: { source: "union", refreshMs: 600_000, checkMs: null },
  costs: { usage: "auto", pricesPath: null, timeZone: "UTC" },
};

const ACCEPTED: readonly (readonly [key: string, text: string, expected: Partial<Settings>])[] = [
  ["addr", ":80", { listen: { hostname: "", port: 80 } }],
  ["addr", "0.0.0.0:8080", { listen: { hostname: "0.0.0.0", port: 8080 } }],
  ["addr", "[::1]:80", { listen: { hostname: "::1", port: 80 } }],
  ["addr", "[::]:80", { listen: { hostname: "::", port: 80 } }],
  ["addr", "localhost:0", { listen: { hostname: "localhost", port: 0 } }],
  ["addr", " 127.0.0.1:65535 ", { listen: { hostname: "127.0.0.1", port: 65535 } }],
  ["reusePort", "yes", { isPortShared: true }],
  ["database", "/var/lib/oar/db.sqlite", { database: "/var/lib/oar/db.sqlite" }],
  ["noauth", "yes", { isNoAuth: true }],
  ["noauth", "TRUE", { isNoAuth: true }],
  ["noauth", "1", { isNoAuth: true }],
  ["noauth", "f", { isNoAuth: false }],
  ["noauth", "off", { isNoAuth: false }],
  ["policy", "random", { policy: "random" }],
  ["policy", "round_robin", { policy: "round_robin" }],
  ["policy", "least_latency", { policy: "least_latency" }],
  ["policy", "fastest", { policy: "fastest" }],
  ["policy", "cheapest", { policy: "cheapest" }],
  ["queueTimeout", "0", { queueTimeoutMs: 0 }],
  ["queueTimeout", "2.5", { queueTimeoutMs: 2_500 }],
  ["maxQueued", "0", { maxQueued: 0 }],
  ["policy", "main", { policy: "order" }],
  ["gateMs", "0", { gateMs: 0 }],
  ["gateMs", "250", { gateMs: 250 }],
  ["gate", "whole", { gate: "whole" }],
  ["gate", "Content", { gate: "content" }],
  ["gate", "none", { gate: "none" }],
  ["keepalive", "0", { keepaliveMs: 0 }],
  ["keepalive", "0.5", { keepaliveMs: 500 }],
  ["firstTokenTimeout", "1.5", { firstTokenTimeoutMs: 1500 }],
  ["idleTimeout", "600", { idleTimeoutMs: 600_000 }],
  ["deadline", "90", { deadlineMs: 90_000 }],
  ["deadline", "none", { deadlineMs: null }],
  ["maxBody", "10MB", { maxBodyBytes: 10_000_000 }],
  ["maxBody", "64MiB", { maxBodyBytes: 64 * MIB }],
  ["maxBody", "1.5 gib", { maxBodyBytes: 1536 * MIB }],
  ["maxBody", "4096", { maxBodyBytes: 4096 }],
  ["maxConnections", "none", { maxConnections: null }],
  ["maxConnections", "100", { maxConnections: 100 }],
  ["maxConcurrent", "none", { maxConcurrent: null }],
  ["maxConcurrent", "500", { maxConcurrent: 500 }],
  ["maxHeld", "1GiB", { maxHeldBytes: 1024 * MIB }],
  ["maxReceiving", "2GiB", { maxReceivingBytes: 2048 * MIB }],
  ["clientTimeout", "2.5", { clientTimeoutMs: 2500 }],
  ["trustedProxy", "none", { trustedProxies: [] }],
  ["trustedProxy", "10.0.0.0/8, ::1", {
    trustedProxies: [{ address: "10.0.0.0", prefix: 8 }, { address: "::1", prefix: 128 }],
  }],
  ["recordBodyLimit", "0", { recordBodyLimitBytes: 0 }],
  ["recordBodyLimit", "128KiB", { recordBodyLimitBytes: 131_072 }],
  ["durability", "full", { durability: "full" }],
  ["keepDays", "30", { keepDays: 30 }],
  ["keepDays", "0.5", { keepDays: 0.5 }],
  ["keepBodiesDays", "None", { keepBodiesDays: null }],
  ["keepBodiesDays", "7", { keepBodiesDays: 7 }],
  ["affinity", "off", { affinity: "off" }],
  ["keepIds", "7d", { keepIdsDays: 7 }],
  ["keepIds", "0.5", { keepIdsDays: 0.5 }],
  ["keepIds", "none", { keepIdsDays: null }],
  ["maxDbSize", "10 GiB", { maxDbSizeBytes: 10_240 * MIB }],
  ["maxDbSize", "none", { maxDbSizeBytes: null }],
  ["retryOn", "connect", { retryOn: "connect" }],
  ["retryOn", "server", { retryOn: "server" }],
  ["hedgeMs", "auto", { hedgeDelay: "auto" }],
  ["hedgeMs", "1500", { hedgeDelay: 1_500 }],
  ["hedgeBudget", "0.5", { hedgeBudgetPercent: 0.5 }],
  ["hedgeBudget", "100%", { hedgeBudgetPercent: 100 }],
  ["finalCodes", "none", { finalCodes: new Set() }],
  ["finalCodes", "content_filter, 1301", { finalCodes: new Set(["content_filter", "1301"]) }],
  ["finalCodes", "Content_Filter,DataInspectionFailed", {
    finalCodes: new Set(["content_filter", "datainspectionfailed"]),
  }],
  ["retrySame", "0", { retrySame: 0 }],
  ["retrySame", "2", { retrySame: 2 }],
  ["retryWait", "1.5", { retryWaitMs: 1_500 }],
  ["maxAttempts", "3", { maxAttempts: 3 }],
  ["breakerMax", "60", { breakerMaxMs: 60_000 }],
  ["models", "first", { models: { source: "first", refreshMs: 600_000, checkMs: null } }],
  ["modelsRefresh", "90", { models: { source: "union", refreshMs: 90_000, checkMs: null } }],
  ["modelsRefresh", "1.5h", { models: { source: "union", refreshMs: 5_400_000, checkMs: null } }],
  ["modelsRefresh", "off", { models: { source: "union", refreshMs: null, checkMs: null } }],
  ["check", "60s", { models: { source: "union", refreshMs: 600_000, checkMs: 60_000 } }],
  ["usage", "Never", { costs: { ...DEFAULTS.costs, usage: "never" } }],
  ["prices", "/etc/oar/prices.json", { costs: { ...DEFAULTS.costs, pricesPath: "/etc/oar/prices.json" } }],
  ["prices", "none", {}],
  ["timezone", "Europe/Berlin", { costs: { ...DEFAULTS.costs, timeZone: "Europe/Berlin" } }],
  ["caFile", "none", { outgoing: OUTGOING }],
  ["caFile", " /etc/own ca.pem ", { outgoing: { ...OUTGOING, caFile: "/etc/own ca.pem" } }],
  ["metricsAuth", "on", { isMetricsAuth: true }],
  ["noAdmin", "yes", { isAdminOff: true }],
  ["fromEnv", "yes", { isFromEnv: true }],
  ["allowOrigin", "none", { allowedOrigins: [] }],
  ["allowOrigin", "HTTPS://Chat.example.com:443/, http://localhost:3000,app://obsidian.md", {
    allowedOrigins: ["https://chat.example.com", "http://localhost:3000", "app://obsidian.md"],
  }],
  ["drainTimeout", "0", { drainTimeoutMs: 0 }],
  ["logFormat", "json", { log: { format: "json", level: "info" } }],
  ["logLevel", "warn", { log: { format: "text", level: "warning" } }],
];

const REFUSED: readonly (readonly [key: string, texts: readonly string[]])[] = [
  ["addr", ["", "8080", ":", "localhost:", ":65536", "::1:80", "[::1]", "http://x:80", "a b:80", "x:-1"]],
  ["reusePort", ["", "maybe"]],
  ["database", ["", "  ", ":memory:", "mysql://u@h/d", "file:///tmp/db.sqlite", "https://example.org/"]],
  ["journal", ["", "  ", ":memory:"]],
  ["noauth", ["", "maybe", "2"]],
  ["policy", ["", "dearest"]],
  ["queueTimeout", ["", "-1", "10s", "3601", "none"]],
  ["maxQueued", ["", "-1", "1.5", "1000001", "none"]],
  ["gateMs", ["", "-1", "1.5", "5s", "600001", "NaN"]],
  ["gate", ["", "off", "all", "whole,content"]],
  ["keepalive", ["", "-1", "15s", "3601", "none"]],
  ["firstTokenTimeout", ["", "0", "-1", "none", "1e3", "86401", "Infinity"]],
  ["idleTimeout", ["0", "two"]],
  ["deadline", ["", "0", "never"]],
  ["maxBody", ["", "0", "10 apples", "-5MB", "3GiB", "0x10000", "MiB"]],
  ["maxConnections", ["", "0", "-1", "many", "1.5"]],
  ["maxConcurrent", ["", "0", "-1", "many", "1.5"]],
  ["maxHeld", ["", "-1", "lots"]],
  ["maxReceiving", ["", "0", "lots"]],
  ["clientTimeout", ["", "0", "none"]],
  ["trustedProxy", ["", "10.0.0.0/33", "proxy.example.com", "10.0.0.0/8,,::1"]],
  ["recordBodyLimit", ["-1", "1TB"]],
  ["durability", ["", "off"]],
  ["keepDays", ["", "0", "-1", "forever", "1e3", "36501"]],
  ["keepBodiesDays", ["0", "7d"]],
  ["affinity", ["", "yes"]],
  ["keepIds", ["", "0d", "d", "7 days"]],
  ["maxDbSize", ["", "0", "1", "-5GB", "2048GiB", "huge"]],
  ["retryOn", ["", "none"]],
  ["hedgeMs", ["", "0", "600001", "1s", "p95"]],
  ["hedgeBudget", ["", "-1", "101", "few"]],
  ["finalCodes", ["two words", "größe"]],
  ["retrySame", ["", "-1", "one", "101"]],
  ["retryWait", ["", "-1", "301"]],
  ["maxAttempts", ["", "0", "none", "1001"]],
  ["breakerMax", ["", "0", "none", "3601"]],
  ["models", ["both", "second"]],
  ["modelsRefresh", ["0", "0.5", "10 minutes", "-1", "8d", "1e3"]],
  ["check", ["0s", "2d", "often", "60ms"]],
  ["usage", ["always", "yes"]],
  ["prices", ["", "  ", "a\0b"]],
  ["timezone", ["", "Mars/Olympus", "Europe/Berlin; x"]],
  ["caFile", ["", "  ", "a\0b"]],
  ["metricsAuth", ["", "sure"]],
  ["noAdmin", ["", "sure"]],
  ["fromEnv", ["", "sure"]],
  ["allowOrigin", [
    "",
    "*",
    "null",
    "example.com",
    "http://a.example/path",
    "http://u@a.example",
    "http://a,,http://b",
  ]],
  ["drainTimeout", ["", "-1", "3601"]],
  ["logFormat", ["", "xml"]],
  ["logLevel", ["", "trace"]],
];

function namesOf(key: string): { flag: string; variable: string } {
  const found = SETTING_FLAGS.find((setting) => setting.key === key);
  assert.ok(found, `no setting ${key}`);
  return found;
}

function messageOfFailure(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof SettingsError, String(error));
    return error.message;
  }
  assert.fail("nothing was thrown");
}

Deno.test("parseSettings() has a default for everything", () => {
  assert.deepEqual(parseSettings({ flags: {}, env: {} }), DEFAULTS);
});

Deno.test("parseSettings() takes every accepted spelling from the flag and from the variable", () => {
  for (const [key, text, expected] of ACCEPTED) {
    assert.deepEqual(parseSettings({ flags: { [key]: text }, env: {} }), { ...DEFAULTS, ...expected }, text);
    const env = { [namesOf(key).variable]: text };
    assert.deepEqual(parseSettings({ flags: {}, env }), { ...DEFAULTS, ...expected }, `${key}: ${text}`);
  }
});

Deno.test("parseSettings() refuses invalid values, naming their source and what it expects", () => {
  for (const [key, texts] of REFUSED) {
    const { flag, variable } = namesOf(key);
    for (const text of texts) {
      const start = ` cannot be ${JSON.stringify(text)}: expected `;
      const byFlag = messageOfFailure(() => parseSettings({ flags: { [key]: text }, env: {} }));
      assert.ok(byFlag.startsWith(flag + start), byFlag);
      if (text === "") continue;
      const byVariable = messageOfFailure(() => parseSettings({ flags: {}, env: { [variable]: text } }));
      assert.ok(byVariable.startsWith(variable + start), byVariable);
      assert.ok(byVariable.length > (variable + start).length, byVariable);
    }
  }
});

Deno.test("a URL that is refused is shown without its user and password", () => {
  for (const url of ["mysql://u:HIDEME@h/db", "postgresql+psycopg://u:HIDE@ME@h/db"]) {
    const message = messageOfFailure(() => parseSettings({ flags: { database: url }, env: {} }));
    assert.match(
      message,
      /^--database cannot be "\S+:\/\/…@h\/db": expected the path of a SQLite file, or postgres/,
    );
  }
});

Deno.test("every setting is covered by the tables", () => {
  const keys = SETTING_FLAGS.map(({ key }) => key).toSorted();
  const accepted = new Set([...ACCEPTED.map(([key]) => key), "journal"]);
  assert.deepEqual([...accepted].toSorted(), keys);
  assert.deepEqual(REFUSED.map(([key]) => key).toSorted(), keys);
});

Deno.test("with PostgreSQL the database is the journal, and what is about it alone is refused without", () => {
  const url = "postgres://user:secret@host/name";
  const flags = { database: url };
  const remote = { ...DEFAULTS, remoteUrl: url, database: "./journal.sqlite" };
  assert.deepEqual(parseSettings({ flags, env: {} }), remote);
  assert.deepEqual(parseSettings({ flags, env: { OAR_JOURNAL: "/var/lib/j" } }), {
    ...remote,
    database: "/var/lib/j",
  });
  assert.deepEqual(parseSettings({ flags: { ...flags, durability: "remote" }, env: {} }), {
    ...remote,
    durability: "remote",
  });
  assert.deepEqual(parseDatabasePlace({ flags: {}, env: { OAR_DATABASE: url } }), { type: "postgres", url });
  assert.deepEqual(parseDatabasePlace({ flags: {}, env: {} }), { type: "file", path: "./db.sqlite" });
  for (const alone of [{ journal: "j" }, { durability: "remote" }]) {
    const message = messageOfFailure(() => parseSettings({ flags: alone, env: {} }));
    assert.match(
      message,
      /^--(journal|durability remote) is for PostgreSQL; give its URL: --database postgres:/,
    );
  }
  assert.doesNotMatch(messageOfFailure(() => parseDatabasePath({ flags, env: {} })), /secret/);
});

Deno.test("a setting's variable is its flag in capitals after OAR_", () => {
  for (const { flag, variable } of SETTING_FLAGS) {
    assert.equal(variable, `OAR_${flag.slice(2).replaceAll("-", "_").toUpperCase()}`);
  }
});

Deno.test("a flag overrides its variable, also to switch something off", () => {
  const env = { OAR_GATE_MS: "1", OAR_NOAUTH: "1", OAR_DEADLINE: "5" };
  const settings = parseSettings({ flags: { gateMs: "2", noauth: "no", deadline: "none" }, env });
  assert.deepEqual(settings, { ...DEFAULTS, gateMs: 2 });
});

Deno.test("an empty variable counts as unset", () => {
  const env = Object.fromEntries(SETTING_FLAGS.map(({ variable }) => [variable, ""]));
  const alerts = {
    FEISHU_WEBHOOK: "",
    FEISHU_SECRET: " ",
    MATRIX_API: "",
    MATRIX_ROOM: "",
    ALERT_WEBHOOK: "",
  };
  assert.deepEqual(parseSettings({ flags: {}, env: { ...env, ...alerts } }), DEFAULTS);
});

Deno.test("parseDatabasePath() is not stopped by a mistake in another setting", () => {
  const env = { OAR_DATABASE: "a.sqlite", OAR_GATE_MS: "soon", MATRIX_API: "nowhere" };
  assert.equal(parseDatabasePath({ flags: {}, env }), "a.sqlite");
  assert.equal(parseDatabasePath({ flags: { database: "b.sqlite" }, env }), "b.sqlite");
  assert.equal(parseDatabasePath({ flags: {}, env: {} }), "./db.sqlite");
});

Deno.test("parseSettings() reads the alert channels", () => {
  const env = {
    FEISHU_WEBHOOK: "https://open.feishu.cn/hook/abc",
    FEISHU_SECRET: "s3cret",
    MATRIX_API: "https://matrix.example/send?access_token=abc",
    MATRIX_HOMESERVER: "https://matrix.example",
    MATRIX_ROOM: "!room:example",
    MATRIX_TOKEN: "syt_abc",
    ALERT_WEBHOOK: " http://127.0.0.1:9/hook ",
  };
  assert.deepEqual(parseSettings({ flags: {}, env }).alerts, {
    feishu: { webhook: env.FEISHU_WEBHOOK, secret: "s3cret" },
    matrixApi: env.MATRIX_API,
    matrix: { homeserver: env.MATRIX_HOMESERVER, room: "!room:example", token: "syt_abc" },
    webhook: { url: "http://127.0.0.1:9/hook", format: "generic" },
  });
});

const BROKEN_ALERTS: readonly (readonly [env: Environment, expected: RegExp])[] = [
  [{ FEISHU_WEBHOOK: "open.feishu.cn/SECRET" }, /^FEISHU_WEBHOOK is not a URL/],
  [{ FEISHU_SECRET: "SECRET" }, /^FEISHU_SECRET is set but FEISHU_WEBHOOK is not/],
  [{ MATRIX_API: "ftp://x/SECRET" }, /^MATRIX_API is not a URL/],
  [{ ALERT_WEBHOOK: "SECRET" }, /^ALERT_WEBHOOK is not a URL/],
  [
    { ALERT_WEBHOOK: "https://x/SECRET", ALERT_WEBHOOK_FORMAT: "telegram" },
    /^ALERT_WEBHOOK_FORMAT must be one of generic, slack, discord, teams, dingtalk$/,
  ],
  [{ ALERT_WEBHOOK_FORMAT: "slack" }, /^ALERT_WEBHOOK_FORMAT is set but ALERT_WEBHOOK is not/],
  [{ MATRIX_TOKEN: "SECRET" }, /^MATRIX_HOMESERVER and MATRIX_ROOM must be set too/],
  [{ MATRIX_TOKEN: "SECRET", MATRIX_HOMESERVER: "https://m" }, /^MATRIX_ROOM must be set too/],
  [{ MATRIX_ROOM: "!a:b", MATRIX_HOMESERVER: "https://m" }, /^MATRIX_TOKEN must be set too/],
  [
    { MATRIX_TOKEN: "SECRET", MATRIX_HOMESERVER: "https://m", MATRIX_ROOM: "#a:b" },
    /^MATRIX_ROOM must be a room's id/,
  ],
];

Deno.test("a broken alert channel is named without its value", () => {
  for (const [env, expected] of BROKEN_ALERTS) {
    const message = messageOfFailure(() => parseSettings({ flags: {}, env }));
    assert.match(message, expected);
    assert.doesNotMatch(message.replaceAll(/[A-Z]+_SECRET/g, ""), /SECRET/);
  }
});

Deno.test("whose JSON a webhook takes is what is said, or what its host suggests", () => {
  const table: readonly [url: string, said: string | undefined, format: string][] = [
    ["https://hooks.slack.com/services/T/B/x", undefined, "slack"],
    ["https://discord.com/api/webhooks/1/x", undefined, "discord"],
    ["https://ptb.discord.com/api/webhooks/1/x", undefined, "discord"],
    ["https://discordapp.com/api/webhooks/1/x", "", "discord"],
    ["https://contoso.webhook.office.com/webhookb2/x", undefined, "teams"],
    ["https://prod-1.westeurope.logic.azure.com:443/workflows/x", undefined, "teams"],
    ["https://oapi.dingtalk.com/robot/send?access_token=x", undefined, "dingtalk"],
    ["https://hooks.slack.com.evil.example/x", undefined, "generic"],
    ["https://notdiscord.com/x", undefined, "generic"],
    ["http://127.0.0.1:9/hook", undefined, "generic"],
    ["http://127.0.0.1:9/hook", " Slack ", "slack"],
    ["https://hooks.slack.com/services/T/B/x", "generic", "generic"],
  ];
  for (const [url, said, format] of table) {
    const env = { ALERT_WEBHOOK: url, ALERT_WEBHOOK_FORMAT: said };
    assert.deepEqual(parseSettings({ flags: {}, env }).alerts.webhook, { url, format }, url);
  }
});
