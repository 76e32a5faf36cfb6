/** The page of costs, and the costs on the overview: what is shown of which figures. */
import assert from "node:assert/strict";
import type { CostReport, TokenSpending } from "../../../src/control/admin_service.ts";
import { FakeService, mounted, NO_SPENDING, NO_USAGE, record, statsOf, tokenOf } from "./fake_service.ts";

const ZEROS = { errors: 0, inputTokens: 0, outputTokens: 0, cachedTokens: 0, p95Ms: null };
const QUIET = { ...ZEROS, requests: 1, costNano: 0, unpriced: 0, estimatedTokens: 0 };
const FLAT = { requests: [1, 0], tokens: [0, 0], costNano: [0, 0], unpriced: [0, 0] };

const ANN = {
  ...QUIET,
  name: "ann",
  requests: 3,
  costNano: 12_400_000_000,
  inputTokens: 1_000,
  outputTokens: 50,
  estimatedTokens: 70,
  series: { ...FLAT, requests: [1, 2], costNano: [400_000_000, 12_000_000_000] },
};
const BOB = { ...QUIET, name: "bob", unpriced: 1, series: { ...FLAT, unpriced: [1, 0] } };
const EVE = {
  ...QUIET,
  name: "eve",
  unpriced: 2,
  costNano: 3_100_000,
  series: { ...FLAT, costNano: [3_100_000, 0], unpriced: [2, 0] },
};

const COSTS: CostReport = {
  ...NO_SPENDING,
  clients: { rows: [ANN, EVE, BOB], others: { ...QUIET, series: FLAT } },
  models: { rows: [{ ...ANN, name: null }], others: null },
  upstreams: {
    rows: [{ ...ANN, name: "alpha", upstreamId: 7 }, { ...EVE, name: null, upstreamId: null }],
    others: null,
  },
};

async function textOf(path: string, costs = COSTS, language = "en"): Promise<string> {
  const service = new FakeService({ costs });
  const answer = await mounted(service).request(`http://x/admin${path}`, {
    headers: { "accept-language": language, accept: "text/html" },
  });
  assert.equal(answer.status, 200);
  return await answer.text();
}

/** The cells of the row that a name heads. */
function rowOf(html: string, section: string, name: string): string[] {
  const part = html.slice(html.indexOf(`id="costs-${section}"`));
  const row = part.slice(0, part.indexOf("</section>")).split("<tr>").slice(1).find((each) =>
    each.includes(`>${name}</bdi>`)
  );
  assert.ok(row !== undefined, `no row ${name} in ${section}`);
  return row.split("<td").slice(1).map((cell) => cell.replace(/^[^>]*>/, "").replace(/<[^>]*>/g, " ").trim());
}

Deno.test("the page of costs says who spent what, most expensive first, with their shares and records", async () => {
  const html = await textOf("/costs");
  assert.deepEqual(rowOf(html, "client", "ann").slice(0, 3), ["$12.40", "100%", "3"]);
  assert.deepEqual(rowOf(html, "client", "ann").at(-1)?.split(/\s+/), ["50", "~70", "estimated"]);
  assert.match(rowOf(html, "client", "eve")[0] ?? "", /^\$0\.0031\s+2 without a price$/);
  assert.ok(html.indexOf(">ann</bdi>") < html.indexOf(">eve</bdi>"));
  const since = new Date(COSTS.fromMs).toISOString();
  assert.ok(
    html.includes(`client=ann&amp;since=${encodeURIComponent(since)}`) || html.includes("client=ann"),
  );
  assert.ok(html.includes("upstream=7"));
  assert.ok(html.includes("without=model"));
});

Deno.test("an unknown cost is a dash, never a cost of nothing", async () => {
  const html = await textOf("/costs");
  assert.match(rowOf(html, "client", "bob")[0] ?? "", /^–\s+1 without a price$/);
  assert.equal(rowOf(html, "client", "others")[0], "$0.00");
});

Deno.test("days add up what all clients cost, and every table is there as CSV of the same days", async () => {
  const html = await textOf("/costs");
  const [first, second] = COSTS.steps.map((ms) => new Date(ms).toISOString().slice(0, 10));
  assert.match(rowOf(html, "day", first ?? "")[0] ?? "", /^\$0\.403\s+3 without a price$/);
  assert.equal(rowOf(html, "day", second ?? "")[0], "$12.00");
  for (const kind of ["client", "model", "upstream", "day"]) {
    assert.ok(html.includes(`/admin/api/costs/export?by=${kind}&amp;range=30d`), kind);
  }
  const custom = await textOf("/costs?since=2026-01-01&until=2026-01-31", { ...COSTS, range: "custom" });
  assert.match(custom, /export\?by=day&amp;since=[^"]+&amp;until=/);
});

Deno.test("the days of the page of costs are those of UTC, whatever the zone of the page", async () => {
  const service = new FakeService({ costs: COSTS });
  for (
    const [query, span] of [
      ["", "30d"],
      ["?range=last_month", "last_month"],
      ["?range=nonsense", "30d"],
      ["?since=2026-01-01&until=2026-01-31", {
        sinceMs: Date.UTC(2026, 0, 1),
        untilMs: Date.UTC(2026, 1, 1) - 1,
      }],
      ["?since=nonsense", "30d"],
    ] as const
  ) {
    await mounted(service).request(`http://x/admin/costs${query}`, {
      headers: { cookie: "oar_zone=Asia%2FShanghai" },
    });
    assert.deepEqual(service.calls.at(-1), ["costs", span], query);
  }
});

Deno.test("the overview shows what the time cost, and how much of it is not known", async () => {
  const stats = statsOf("15m", () => ({ requests: 2, costNano: 500_000, unpriced: 1, estimatedTokens: 5 }));
  const usage = { ...NO_USAGE, clients: COSTS.clients, upstreams: COSTS.upstreams, models: COSTS.models };
  const service = new FakeService({ stats: () => stats, usage });
  const html = await (await mounted(service).request("http://x/admin")).text();
  assert.match(html, /href="\/admin\/costs"[^>]*>\$0\.03</);
  assert.match(html, /60 without a price/);
  assert.match(html, /~300 estimated/);
  assert.match(html, /US dollars per hour · By client/);
  assert.match(html, /id="usage-upstream"/);
  assert.match(html, />\$12\.40</);
});

Deno.test("both languages have the page, with nothing spent as well", async () => {
  const empty = { models: { rows: [], others: null }, clients: { rows: [], others: null } };
  for (const language of ["en", "zh"]) {
    const html = await textOf("/costs", { ...NO_SPENDING, ...empty }, language);
    assert.match(html, language === "en" ? /No request in this time/ : /这段时间没有请求/);
    assert.ok(!html.includes("undefined") && !html.includes("NaN"));
  }
});

const SPENDING: TokenSpending = {
  ...{ period: "month", fromDay: "2026-11-01", budgetNano: 20_000_000_000 },
  ...{ spentNano: 5_000_000_000, estimatedNano: 1_000_000_000, overshootNano: 0, requests: 9 },
};

async function tokenPage(
  state: ConstructorParameters<typeof FakeService>[0],
  which = "ann",
): Promise<string> {
  const tokens = [tokenOf("ann", { id: 4, budgetUsd: 20, budgetPeriod: "month", rpm: 60 }), tokenOf("old")];
  const service = new FakeService({
    tokens,
    costs: COSTS,
    records: [record(1, { client: which })],
    ...state,
  });
  return await (await mounted(service).request(`http://x/admin/tokens/show?which=${which}`)).text();
}

Deno.test("the page of a token shows its budget with a bar, its rules, its costs by day and its records", async () => {
  const html = await tokenPage({ spending: SPENDING });
  assert.match(html, /\$5\.00 of \$20\.00/);
  assert.match(html, /since 2026-11-01 · \$1\.00 of it is estimated/);
  assert.match(html, /class="bar-fill" width="25\.00%"/);
  assert.match(html, /60/);
  assert.match(html, /US dollars per day/);
  assert.match(html, />\$12\.40</);
  assert.ok(html.includes('href="/admin/records?client=ann"') && html.includes('href="/admin/records/1"'));
  assert.ok(html.includes('href="/admin/tokens/edit?which=ann"'));
});

Deno.test("a budget that is used up has a full bar of another colour, and says by how much it was exceeded", async () => {
  const html = await tokenPage({
    spending: { ...SPENDING, spentNano: 20_500_000_000, overshootNano: 500_000_000 },
  });
  assert.match(html, /class="bar-fill bar-over" width="100\.00%"/);
  assert.match(html, /\$0\.50 more than was left/);
  const total = await tokenPage({ spending: { ...SPENDING, period: "total", fromDay: null } });
  assert.ok(!total.includes("since 2026") && total.includes("(total)"));
});

Deno.test("a token without rules has a page without a budget; one that does not exist has none", async () => {
  const html = await tokenPage({}, "old");
  assert.ok(!html.includes("budget-title"));
  const answer = await mounted(new FakeService({})).request("http://x/admin/tokens/show?which=nobody", {
    headers: { accept: "text/html" },
  });
  assert.equal(answer.status, 404);
});
