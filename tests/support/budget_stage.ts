/**
 * A router whose prices a test chooses, one upstream, and what tokens have spent.
 */
import { addRow } from "./client_token.ts";
import { Router } from "./router.ts";
import { FakeUpstream, type Script } from "./upstream.ts";

export const LIMITED_SECRET = "sk-oar-limited-0123456789abcdefghijklmnopq";

export interface BudgetStage extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly router: Router;
  /** The arguments with the prices. */
  readonly priceArgs: readonly string[];
  /** A chat of the limited token. */
  chat(body?: Record<string, unknown>, init?: RequestInit): Promise<Response>;
  /** In 1e-9 US dollars, of all tokens, as the database has it. */
  spent(): { readonly costNano: number; readonly overshootNano: number; readonly estimatedNano: number };
}

/** A token `amy` with these columns; the model `test-model` has these prices, others none. */
export async function budgetStage(
  script: Script,
  { prices = { request: 0 }, args = [], ...columns }:
    & { readonly prices?: Readonly<Record<string, number>>; readonly args?: readonly string[] }
    & Readonly<Record<string, unknown>>,
): Promise<BudgetStage> {
  const directory = await Deno.makeTempDir({ prefix: "oar-prices-" });
  await Deno.writeTextFile(`${directory}/prices.json`, JSON.stringify({ "test-model": prices }));
  const priceArgs = ["--prices", `${directory}/prices.json`];
  const upstream = new FakeUpstream(script);
  const router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "only" }],
    args: [...priceArgs, ...args],
  });
  await addRow(router, {
    ...columns as Record<string, string | number>,
    ...{ name: "amy", secret: LIMITED_SECRET },
  });
  return {
    upstream,
    router,
    priceArgs,
    chat: (body = {}, init = {}) =>
      router.chat(body, { ...init, headers: { authorization: `Bearer ${LIMITED_SECRET}`, ...init.headers } }),
    spent: () => spentIn(router),
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

export function spentIn(router: Router): ReturnType<BudgetStage["spent"]> {
  const [sums] = router.query(
    "SELECT total(cost_nano) AS cost, total(overshoot_nano) AS over, total(estimated_nano) AS estimated FROM token_spend",
  );
  return {
    costNano: Number(sums?.["cost"]),
    overshootNano: Number(sums?.["over"]),
    estimatedNano: Number(sums?.["estimated"]),
  };
}

/** The `error` of a refusal, which the body of the response is. */
export async function errorIn(response: Response): Promise<Record<string, string>> {
  const { error } = await response.json();
  return error;
}
