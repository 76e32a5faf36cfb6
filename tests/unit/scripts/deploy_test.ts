/**
 * The files of `scripts/deploy`: each is checked by the tool that reads it, and against the program.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { runProgram } from "../../../src/cli/program.ts";
import { SETTING_FLAGS } from "../../../src/config/flags.ts";
import { ENVIRONMENT_VARIABLES } from "../../../src/config/environment.ts";
import { Metrics } from "../../../src/observe/metrics.ts";
import { record } from "../observe/fixtures.ts";

const root = new URL("../../../", import.meta.url).pathname;
const deploy = `${root}scripts/deploy/`;
const PROGRAM = "/usr/local/bin/openai-api-route";
/** In CI, a missing tool is a failure. */
const isBuilding = Deno.env.get("CI") === "true";

const read = (name: string): string => Deno.readTextFileSync(deploy + name);
const hasTool = (name: string): boolean => spawnSync(name, ["--version"]).status === 0;

function demandSuccess(command: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  assert.equal(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`);
  return stdout + stderr;
}

async function withFiles(
  files: Readonly<Record<string, string>>,
  use: (directory: string) => void,
): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "oar-deploy-" });
  try {
    for (const [name, text] of Object.entries(files)) await Deno.writeTextFile(`${directory}/${name}`, text);
    use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function defaultOf(key: string): string {
  return SETTING_FLAGS.find((flag) => flag.key === key)?.default ?? assert.fail(`no setting ${key}`);
}

async function helpOf(...words: string[]): Promise<string> {
  const lines: string[] = [];
  const terminal = {
    print: (line: string) => void lines.push(line),
    note: (line: string) => void lines.push(line),
    readInput: () => Promise.resolve(""),
    columns: null,
    isReaderGone: false,
  };
  assert.equal(await runProgram([...words, "--help"], { terminal, env: {} }), 0, lines.join("\n"));
  return lines.join("\n");
}

/** The settings of a unit as `section.key`, values in order. */
function parseUnit(text: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  let section = "";
  for (const line of text.split("\n").filter((each) => each !== "" && !each.startsWith("#"))) {
    const header = /^\[(\w+)\]$/.exec(line);
    if (header !== null) {
      section = header[1] ?? "";
      continue;
    }
    const [, key = "", value = ""] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? assert.fail(`not a setting: ${line}`);
    const name = `${section}.${key}`;
    settings.set(name, [...settings.get(name) ?? [], value]);
  }
  return settings;
}

Deno.test("the unit keeps its database, gives requests time to finish, and lets V8 compile", async () => {
  const unit = parseUnit(read("openai-api-route.service"));
  const get = (name: string) => unit.get(name) ?? [];
  assert.deepEqual(get("Service.ExecStart"), [`${PROGRAM} serve`]);
  assert.match(await helpOf(), /^ {2}serve /m);
  assert.deepEqual(get("Service.StateDirectory"), ["openai-api-route"]);
  assert.deepEqual(get("Service.Environment"), ["OAR_DATABASE=%S/openai-api-route/db.sqlite"]);
  assert.ok(ENVIRONMENT_VARIABLES.includes("OAR_DATABASE"));
  assert.match(get("Service.EnvironmentFile").join(), /^-/, "it must be optional");
  assert.deepEqual(get("Service.Restart"), ["on-failure"]);
  for (const name of ["DynamicUser", "NoNewPrivileges", "PrivateTmp", "ProtectHome", "LockPersonality"]) {
    assert.deepEqual(get(`Service.${name}`), ["yes"], name);
  }
  assert.deepEqual(get("Service.ProtectSystem"), ["strict"]);
  assert.equal(unit.has("Service.MemoryDenyWriteExecute"), false);
  assert.ok(Number(get("Service.TimeoutStopSec")[0]) > Number(defaultOf("drainTimeout")) + 10);
  for (const [name, values] of unit) {
    assert.match(name, /^(Unit|Service|Install)\.[A-Z]/);
    const isListed = name === "Service.SystemCallFilter";
    assert.ok(values.length === 1 || isListed, `${name} is given ${values.length} times`);
  }
  assert.deepEqual(get("Install.WantedBy"), ["multi-user.target"]);
});

Deno.test({
  name: "systemd-analyze verifies the unit and its sandboxing",
  ignore: !hasTool("systemd-analyze") && !isBuilding,
  fn: async () => {
    // The executable need not be installed on this machine.
    const text = read("openai-api-route.service").replaceAll(PROGRAM, "/bin/true");
    await withFiles({ "openai-api-route.service": text }, (directory) => {
      const unit = `${directory}/openai-api-route.service`;
      assert.equal(demandSuccess("systemd-analyze", ["verify", "--man=no", unit]), "");
      // Of 100, where 0 is fully confined; a unit without any such setting has 96.
      demandSuccess("systemd-analyze", ["security", "--no-pager", "--offline=true", "--threshold=20", unit]);
    });
  },
});

/** Label names of each sample, from a real exposition after one event of each kind. */
async function renderedLabels(): Promise<Map<string, Set<string>>> {
  const remote = () => ({ isUp: true, waiting: 1, oldestAgeSeconds: 1 });
  const metrics = new Metrics({ version: "1", deno: "2", databaseBytes: () => 1, remote });
  const usage = { inputTokens: 1, outputTokens: 1, cachedTokens: 1, reasoningTokens: 1 };
  metrics.capacity.read = () => ({ queueLength: 1, upstreams: [{ name: "a", inFlight: 1, autoLimit: 4 }] });
  metrics.requestStarted();
  metrics.requestSettled("chat", record({ usage, costNano: 5_000 }), "a");
  metrics.requestSettled("chat", record({ usage, areTokensEstimated: true }), "a");
  metrics.requestRefused(403, "bad_token");
  metrics.attemptEnded({
    index: 0,
    upstreamId: 1,
    upstreamName: "a",
    startedAtMs: 0,
    durationMs: 1,
    status: 503,
    errorClass: "http_status",
    message: null,
    partial: null,
    keyN: null,
    isChanged: false,
  });
  metrics.failedOver("a", "http_status");
  metrics.upstreamState("a", "open");
  metrics.upstreamDegraded("a", true);
  metrics.upstreamKeys("a", { ok: 1, trying: 0, throttled: 0, refused: 1, no_credit: 0 });
  metrics.upstreamModels("a", 1);
  metrics.upstreamChecked("a", "reached");
  metrics.modelsAnswered(200);
  metrics.recordWritten(1);
  metrics.recordDropped("full", 1);
  metrics.recordCommitted(1);
  metrics.recordQueue(1);
  metrics.recordsShipped(1, 1);
  metrics.recordRejected();
  metrics.recordAckLate();
  metrics.recordsDeleted("age", 1);
  metrics.bodiesDeleted(1);
  metrics.choreFailed("retention");
  metrics.alertSent("webhook", "ok");
  metrics.limits.clientsChanged(["amy"]);
  metrics.limits.clientRefused("amy", "rpm");
  metrics.limits.budgetOvershoot(1);
  metrics.limits.readBudgets = () => [{ client: "amy", budgetNano: 2, spentNano: 1, reservedNano: 0 }];
  const labels = new Map<string, Set<string>>();
  for (const line of (await metrics.render()).body.split("\n")) {
    const [, name, text = ""] = /^([a-z_]+)(?:\{(.*)\})? /.exec(line) ?? [];
    if (name === undefined) continue;
    const names = [...text.matchAll(/([a-z_]+)="/g)].map(([, label = ""]) => label);
    labels.set(name, new Set([...labels.get(name) ?? [], ...names]));
  }
  return labels;
}

/** Prometheus adds these to every sample. */
const SCRAPE_LABELS = ["job", "instance"];

/** The names in a query: metrics with their selecting labels, and the labels to group by. */
function namesIn(query: string): { metrics: [name: string, labels: string[]][]; groups: string[] } {
  const bare = query.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  const groups: string[] = [];
  const ungrouped = bare.replace(/\b(?:by|without|on|ignoring)\s*\(([^)]*)\)/g, (_, list: string) => {
    groups.push(...list.split(",").map((each) => each.trim()));
    return " ";
  });
  const metrics = [...ungrouped.matchAll(/\b([a-z_][a-z0-9_]*)\b(?!\s*\()(?:\{([^}]*)\})?/gi)]
    .filter(([, name = ""], at, found) =>
      !["and", "or", "unless", "offset", "bool"].includes(name) && found[at] !== undefined
    )
    .filter(({ index }) => !isInside(ungrouped, index))
    .map(([, name = "", labels = ""]): [string, string[]] => [
      name,
      [...labels.matchAll(/([a-z_]+)\s*(?:=|!)/g)].map(([, label = ""]) => label),
    ]);
  return { metrics, groups };
}

/** Whether a position is between braces or brackets: a label or a range. */
function isInside(query: string, place: number): boolean {
  const before = query.slice(0, place);
  const count = (pattern: RegExp) => before.match(pattern)?.length ?? 0;
  return count(/\{/g) > count(/\}/g) || count(/\[/g) > count(/\]/g);
}

function assertNamesExist(query: string, labels: ReadonlyMap<string, ReadonlySet<string>>): void {
  const { metrics, groups } = namesIn(query);
  assert.ok(metrics.length > 0, `no metric in: ${query}`);
  const known = new Set(SCRAPE_LABELS);
  for (const [name, used] of metrics) {
    const own = name === "up"
      ? new Set<string>()
      : labels.get(name) ?? assert.fail(`no metric ${name}: ${query}`);
    for (const label of own) known.add(label);
    for (const label of used) {
      assert.ok(own.has(label) || SCRAPE_LABELS.includes(label), `${name} has no label ${label}: ${query}`);
    }
  }
  for (const label of groups) assert.ok(known.has(label), `no label ${label}: ${query}`);
}

Deno.test("namesIn() finds metrics, selected labels and groups", () => {
  assert.deepEqual(
    namesIn(
      'histogram_quantile(0.9, sum by (le, a) (rate(x_bucket{job=~"$j{",b!="c"}[5m]))) and y > 2 offset 1h',
    ),
    { metrics: [["x_bucket", ["job", "b"]], ["y", []]], groups: ["le", "a"] },
  );
});

/** Each alert's expression; in this file each is on its own line. */
function alertQueries(): string[] {
  const text = read("alerts.yml");
  const queries = [...text.matchAll(/^ {8}expr: (.+)$/gm)].map(([, query = ""]) => query);
  assert.equal(queries.length, [...text.matchAll(/^ +- alert: /gm)].length);
  return queries;
}

Deno.test("every alert names metrics and labels that exist", async () => {
  const labels = await renderedLabels();
  const queries = alertQueries();
  assert.ok(queries.length >= 8);
  for (const query of queries) assertNamesExist(query, labels);
});

Deno.test({
  name: "promtool accepts the alert rules and the scrape configuration",
  ignore: !hasTool("promtool") && !isBuilding,
  fn: () => {
    demandSuccess("promtool", ["check", "rules", `${deploy}alerts.yml`]);
    demandSuccess("promtool", ["check", "config", `${deploy}prometheus.yml`]);
  },
});

const INSTANCE = 'job="openai-api-route",instance="r:8888"';

/** Series over 40 minutes, the alert that they must raise, and when, in promtool's notation. */
const SITUATIONS:
  readonly (readonly [alert: string, at: string, series: Readonly<Record<string, string>>])[] = [
    ["OpenAiApiRouteDown", "5m", { [`up{${INSTANCE}}`]: "1 1 0x40" }],
    ["OpenAiApiRouteRestarting", "15m", { [`process_start_time_seconds{${INSTANCE}}`]: "1 1 2 2 3 3 4x40" }],
    ["OpenAiApiRouteUpstreamOpen", "5m", {
      [`openai_api_route_upstream_state{${INSTANCE},upstream="a",state="closed"}`]: "1 0x40",
      [`openai_api_route_upstream_state{${INSTANCE},upstream="b",state="closed"}`]: "1x40",
    }],
    ["OpenAiApiRouteAllUpstreamsOpen", "5m", {
      [`openai_api_route_upstream_state{${INSTANCE},upstream="a",state="closed"}`]: "0x40",
      [`openai_api_route_upstream_state{${INSTANCE},upstream="b",state="closed"}`]: "0x40",
    }],
    ["OpenAiApiRouteUpstreamDegraded", "10m", {
      [`openai_api_route_upstream_degraded{${INSTANCE},upstream="a"}`]: "1x40",
      [`openai_api_route_upstream_degraded{${INSTANCE},upstream="b"}`]: "0x40",
    }],
    ["OpenAiApiRouteErrors", "20m", {
      [`openai_api_route_requests_total{${INSTANCE},status="200",outcome="complete"}`]: "0+10x40",
      [`openai_api_route_requests_total{${INSTANCE},status="502",outcome="upstream_error"}`]: "0+2x40",
    }],
    ["OpenAiApiRouteRepliesCut", "20m", {
      [`openai_api_route_requests_total{${INSTANCE},status="200",outcome="complete"}`]: "0+10x40",
      [`openai_api_route_requests_total{${INSTANCE},status="200",outcome="upstream_cut"}`]: "0+2x40",
    }],
    // One record is lost once, and the series did not exist before.
    ["OpenAiApiRouteRecordsDropped", "15m", {
      [`openai_api_route_records_dropped_total{${INSTANCE},reason="full"}`]: "_x11 1x28",
    }],
    ["OpenAiApiRouteRecordsLate", "20m", {
      [`openai_api_route_record_ack_late_total{${INSTANCE}}`]: "0+2x40",
    }],
    ["OpenAiApiRouteRetentionFailing", "80m", {
      [`openai_api_route_chore_failures_total{${INSTANCE},chore="retention"}`]: "0+12x90",
    }],
    ["OpenAiApiRoutePostgresDown", "10m", { [`openai_api_route_postgres_up{${INSTANCE}}`]: "1 1 0x40" }],
    ["OpenAiApiRouteJournalBehind", "20m", {
      [`openai_api_route_postgres_up{${INSTANCE}}`]: "1x40",
      [`openai_api_route_journal_oldest_seconds{${INSTANCE}}`]: "0 0+60x40",
    }],
    ["OpenAiApiRouteRecordsRejected", "20m", {
      [`openai_api_route_records_rejected_total{${INSTANCE}}`]: "0x11 1x28",
    }],
    ["OpenAiApiRouteQueueRefuses", "20m", {
      [`openai_api_route_queue_refused_total{${INSTANCE},reason="timeout"}`]: "0+2x40",
    }],
    ["OpenAiApiRouteKeyRefused", "20m", {
      [`openai_api_route_upstream_keys{${INSTANCE},upstream="a",state="ok"}`]: "2x40",
      [`openai_api_route_upstream_keys{${INSTANCE},upstream="a",state="refused"}`]: "0 1x40",
      [`openai_api_route_upstream_keys{${INSTANCE},upstream="a",state="no_credit"}`]: "0x40",
    }],
    // Ten times as much as the day before.
    ["OpenAiApiRouteCostJump", "1600m", {
      [`openai_api_route_cost_usd_total{${INSTANCE},upstream="a",model="m"}`]: "0+0.01x1500 15+0.1x200",
      [`openai_api_route_cost_usd_total{${INSTANCE},upstream="b",model="m"}`]: "0+0.001x1700",
    }],
    ["OpenAiApiRouteUnpriced", "80m", {
      [`openai_api_route_unpriced_requests_total{${INSTANCE},upstream="a",model="m"}`]: "0+1x100",
    }],
    ["OpenAiApiRouteBudgetNear", "20m", {
      [`openai_api_route_client_budget_usd{${INSTANCE},client="amy"}`]: "10x40",
      [`openai_api_route_client_budget_spent_usd{${INSTANCE},client="amy"}`]: "1 8.5x40",
    }],
    ["OpenAiApiRouteSlowFirstToken", "30m", {
      [`openai_api_route_first_token_seconds_bucket{${INSTANCE},le="20"}`]: "0+1x40",
      [`openai_api_route_first_token_seconds_bucket{${INSTANCE},le="60"}`]: "0+9x40",
      [`openai_api_route_first_token_seconds_bucket{${INSTANCE},le="+Inf"}`]: "0+9x40",
      [`openai_api_route_first_token_seconds_count{${INSTANCE}}`]: "0+9x40",
    }],
    ["OpenAiApiRouteNoTraffic", "150m", {
      [`openai_api_route_requests_total{${INSTANCE},status="200",outcome="complete"}`]: "0+10x60 600x100",
    }],
    ["OpenAiApiRouteAlertsFailing", "15m", {
      [`openai_api_route_alerts_total{${INSTANCE},channel="webhook",result="error"}`]: "_x11 1x28",
    }],
  ];

/** Normal operation: traffic without problems. */
const QUIET: Readonly<Record<string, string>> = {
  [`up{${INSTANCE}}`]: "1x200",
  [`process_start_time_seconds{${INSTANCE}}`]: "1x200",
  [`openai_api_route_upstream_state{${INSTANCE},upstream="a",state="closed"}`]: "1x200",
  // It was for two minutes, and has recovered.
  [`openai_api_route_upstream_degraded{${INSTANCE},upstream="a"}`]: "0x50 1 1 0x148",
  [`openai_api_route_requests_total{${INSTANCE},status="200",outcome="complete"}`]: "0+10x200",
  [`openai_api_route_requests_total{${INSTANCE},status="400",outcome="upstream_error"}`]: "0+10x200",
  [`openai_api_route_upstream_keys{${INSTANCE},upstream="a",state="throttled"}`]: "1x200",
  // A key was refused for two minutes, and was replaced.
  [`openai_api_route_upstream_keys{${INSTANCE},upstream="a",state="refused"}`]: "0x50 1 1 0x148",
  [`openai_api_route_client_budget_usd{${INSTANCE},client="amy"}`]: "10x200",
  [`openai_api_route_client_budget_spent_usd{${INSTANCE},client="amy"}`]: "7.5x200",
  // Nothing may be spent, and nothing is.
  [`openai_api_route_client_budget_usd{${INSTANCE},client="bob"}`]: "0x200",
  [`openai_api_route_client_budget_spent_usd{${INSTANCE},client="bob"}`]: "0x200",
  [`openai_api_route_records_dropped_total{${INSTANCE},reason="full"}`]: "7x200",
  [`openai_api_route_record_ack_late_total{${INSTANCE}}`]: "3x200",
  // It was away for two minutes, and what waited was shipped.
  [`openai_api_route_postgres_up{${INSTANCE}}`]: "1x50 0 1x149",
  [`openai_api_route_journal_oldest_seconds{${INSTANCE}}`]: "0x50 60 0x149",
  [`openai_api_route_records_rejected_total{${INSTANCE}}`]: "2x200",
  // It is two hours old, and knows of no day before.
  [`openai_api_route_cost_usd_total{${INSTANCE},upstream="a",model="m"}`]: "0+0.5x200",
  // A model was new for a while.
  [`openai_api_route_unpriced_requests_total{${INSTANCE},upstream="a",model="m"}`]: "0x50 12x150",
  [`openai_api_route_chore_failures_total{${INSTANCE},chore="retention"}`]: "0x50 5x150",
  [`openai_api_route_first_token_seconds_bucket{${INSTANCE},le="5"}`]: "0+9x200",
  [`openai_api_route_first_token_seconds_bucket{${INSTANCE},le="+Inf"}`]: "0+9x200",
  [`openai_api_route_first_token_seconds_count{${INSTANCE}}`]: "0+9x200",
  [`openai_api_route_alerts_total{${INSTANCE},channel="webhook",result="ok"}`]: "0+1x200",
};

Deno.test({
  name: "each alert fires for its problem, and none in normal operation",
  ignore: !hasTool("promtool") && !isBuilding,
  fn: async () => {
    const names = [...read("alerts.yml").matchAll(/- alert: (\w+)/g)].map(([, name = ""]) => name);
    assert.deepEqual(SITUATIONS.map(([alert]) => alert).toSorted(), names.toSorted());
    const inputOf = (series: Readonly<Record<string, string>>) =>
      Object.entries(series).map(([name, values]) => ({ series: name, values }));
    // Only the expressions are tested, not the texts and values.
    const count = (alert: string, value: number) => ({
      expr: `count(ALERTS{alertname="${alert}",alertstate="firing"}) or vector(0)`,
      exp_samples: [{ labels: "{}", value }],
    });
    const tests = [
      ...SITUATIONS.map(([alert, at, series]) => ({
        interval: "1m",
        input_series: inputOf(series),
        promql_expr_test: [{ ...count(alert, 1), eval_time: at }],
      })),
      {
        interval: "1m",
        input_series: inputOf(QUIET),
        promql_expr_test: names.map((alert) => ({ ...count(alert, 0), eval_time: "150m" })),
      },
    ];
    // JSON is YAML.
    const file = JSON.stringify({ rule_files: ["alerts.yml"], evaluation_interval: "1m", tests });
    await withFiles({ "test.yml": file, "alerts.yml": read("alerts.yml") }, (directory) => {
      demandSuccess("promtool", ["test", "rules", `${directory}/test.yml`]);
    });
  },
});

interface Dashboard {
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly datasource?: { readonly uid: string };
    readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[];
  }[];
}

const dashboard = (): Dashboard => JSON.parse(read("grafana.json"));

Deno.test("every query of the dashboard names metrics and labels that exist", async () => {
  const labels = await renderedLabels();
  const { panels, templating } = dashboard();
  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  assert.ok(queries.length >= 20);
  for (const query of queries) assertNamesExist(query, labels);
  for (const { definition } of templating.list) {
    if (definition === undefined) continue;
    const [, query = "", label = ""] = /^label_values\((.+), (\w+)\)$/.exec(definition) ??
      assert.fail(definition);
    assertNamesExist(`sum by (${label}) (${query})`, labels);
  }
});

Deno.test("the dashboard shows every metric of the router", async () => {
  const labels = await renderedLabels();
  const shown = new Set(
    dashboard().panels.flatMap(({ targets = [] }) =>
      targets.flatMap(({ expr }) =>
        namesIn(expr).metrics.map(([name]) => name.replace(/_(bucket|count|sum)$/, ""))
      )
    ),
  );
  const names = [...labels.keys()].map((name) => name.replace(/_(bucket|count|sum)$/, ""));
  assert.deepEqual([...new Set(names)].filter((name) => !shown.has(name)), []);
});

Deno.test("the dashboard can be imported anywhere: its data source is a variable, its panels do not overlap", () => {
  const { panels, templating } = dashboard();
  const variables = templating.list.map(({ name }) => name);
  assert.equal(templating.list.find(({ name }) => name === "datasource")?.type, "datasource");
  for (const { datasource, targets = [], title } of panels) {
    for (const uid of [datasource?.uid, ...targets.map((target) => target.datasource.uid)]) {
      if (uid !== undefined) assert.equal(uid, "${datasource}", title);
    }
    for (const { expr } of targets) {
      for (const [, name = ""] of expr.matchAll(/\$(\w+)/g)) {
        assert.ok(name === "__rate_interval" || variables.includes(name), `${title}: $${name}`);
      }
    }
  }
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  panels.forEach(({ gridPos: a, title }, at) => {
    assert.ok(a.x + a.w <= 24, title);
    for (const { gridPos: b, title: other } of panels.slice(at + 1)) {
      const isApart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
      assert.ok(isApart, `${title} and ${other}`);
    }
  });
});

Deno.test({
  name: "promtool accepts every query of the dashboard",
  ignore: !hasTool("promtool") && !isBuilding,
  fn: async () => {
    const rules = dashboard().panels.flatMap(({ targets = [] }) =>
      targets.map(({ expr }, at) => ({
        record: `query_${at}`,
        labels: { at: String(at) },
        expr: expr.replaceAll("$__rate_interval", "1m"),
      }))
    );
    // Each in its own group: promtool refuses equal rules in one.
    const groups = rules.map((rule, at) => ({ name: `g${at}`, rules: [rule] }));
    await withFiles({ "rules.yml": JSON.stringify({ groups }) }, (directory) => {
      demandSuccess("promtool", ["check", "rules", "--lint=none", `${directory}/rules.yml`]);
    });
  },
});
