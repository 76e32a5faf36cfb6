/**
 * The metric families with a label `client`.
 *
 * Owns which clients have series of their own: those whose tokens have a name, so that nobody can make a series by sending
 * something. The families have no other unbounded label.
 */
import { NANO_PER_USD } from "../core/money.ts";
import { isFailure } from "../core/outcome.ts";
import { knownNano } from "../core/request_cost.ts";
import { maskSecret } from "../core/secrets.ts";
import type { ClientToken, RequestRecord } from "../core/types.ts";
import type { ClientFamilies } from "./metric_families.ts";
import { addTo, isPlainLabel, TOKEN_TYPES } from "./metric_labels.ts";

/** Limit on tokens with series of their own, in the order of the list; the others count as `other`. */
const MAX_CLIENTS = 100; // docs/tuning.md#observe
const OTHER = "other";
const RESULTS = ["ok", "error"] as const;

export class ClientMetrics {
  readonly #families: ClientFamilies;
  #names: ReadonlySet<string> = new Set();

  constructor(families: ClientFamilies) {
    this.#families = families;
  }

  /** The tokens that are accepted now; the series of others are removed. */
  tokensChanged(tokens: readonly ClientToken[]): void {
    const before = this.#names;
    // An unnamed token is called by its masked form, which is no name.
    const named = tokens.filter(({ name, secret }) => name !== maskSecret(secret) && isPlainLabel(name));
    this.#names = new Set(named.slice(0, MAX_CLIENTS).map(({ name }) => name));
    for (const client of before) if (!this.#names.has(client)) this.#forget(client);
    for (const client of this.#names) {
      // A series that is there before its first request has a rate.
      for (const result of RESULTS) this.#families.requests.inc({ client, result }, 0);
    }
  }

  requestSettled(record: RequestRecord): void {
    const { client: name, outcome, status, usage } = record;
    const client = name !== null && this.#names.has(name) ? name : OTHER;
    this.#families.requests.inc({ client, result: isFailure(outcome, status) ? "error" : "ok" });
    const { cost } = this.#families;
    const nano = knownNano(record);
    if (nano > 0) cost.inc({ client }, nano / NANO_PER_USD);
    if (usage === null) return;
    const tokens = record.areTokensEstimated ? this.#families.estimated : this.#families.tokens;
    addTo(tokens, { client, type: "input" }, usage.inputTokens);
    addTo(tokens, { client, type: "output" }, usage.outputTokens);
    addTo(tokens, { client, type: "cached" }, usage.cachedTokens);
    addTo(tokens, { client, type: "reasoning" }, usage.reasoningTokens);
  }

  /** `other` stays: it counts everybody else. */
  #forget(client: string): void {
    if (client === OTHER) return;
    for (const result of RESULTS) this.#families.requests.remove({ client, result });
    for (const type of TOKEN_TYPES) {
      this.#families.tokens.remove({ client, type });
      this.#families.estimated.remove({ client, type });
    }
    this.#families.cost.remove({ client });
  }
}
