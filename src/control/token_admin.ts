/**
 * The tokens as the admin API and the page show and change them.
 *
 * Changes are made elsewhere (config_changes.ts); the registry has read a change when the call returns.
 */
import { randomToken } from "../store/config/initial_tokens.ts";
import type { ClientTotals } from "../store/stats/usage_reader.ts";
import type { ChosenToken, MadeToken, NewTokenInput, TokenView } from "./admin_service.ts";
import type { ChangeCalls } from "./change_calls.ts";
import { type ClientTokenInput, hasRules, toClientTokenValues } from "./client_token_values.ts";
import { type SpendingDeps, spendingOf, type TokenSpending } from "./token_spending.ts";
import { spentBy } from "./token_spend.ts";
import { viewTokens } from "./token_view.ts";
import { noSuchToken, requireClientToken, requireTokenName } from "./tokens.ts";
import type { UpstreamsDeps } from "./upstreams.ts";

export interface TokenAdminDeps extends UpstreamsDeps, SpendingDeps {
  readonly changes: ChangeCalls;
  readonly clientTotals: () => Promise<ClientTotals>;
}

export class TokenAdmin {
  readonly #deps: TokenAdminDeps;

  constructor(deps: TokenAdminDeps) {
    this.#deps = deps;
  }

  async list(): Promise<TokenView[]> {
    const { config, now } = this.#deps;
    const totals = await this.#deps.clientTotals();
    const all = { tokens: config.listTokens(), rows: config.listClientTokens() };
    const nowMs = now();
    const spent = await spentBy(all.rows, { today: this.#deps.dayOf(nowMs), read: this.#deps.spend });
    return viewTokens(all, { times: config.tokenTimes(), totals, spent, nowMs });
  }

  /** @param which its name, or the number of its row. @throws ControlError `not_found` */
  async spending(which: string): Promise<TokenSpending | null> {
    const tokens = await this.list();
    const token = tokens.find(({ name }) => name === which) ?? tokens.find(({ id }) => String(id) === which);
    if (token === undefined) throw noSuchToken("that name or number");
    return await spendingOf(token, this.#deps);
  }

  /** @param chosen null: a random one */
  async add({ isHashed = false, ...input }: NewTokenInput, chosen: ChosenToken | null): Promise<MadeToken> {
    const secret = chosen === null ? randomToken() : chosen.value.trim();
    if (chosen !== null) requireClientToken(secret, chosen);
    const name = input.name.trim();
    requireTokenName(name);
    toClientTokenValues(input);
    const isRow = isHashed || hasRules(input);
    const made = isRow
      ? await this.#deps.changes.ask("addClientToken", { ...input, name, secret })
      : { id: null, ...await this.#deps.changes.ask("addToken", { name, secret }) };
    this.#deps.registry.reloadNow();
    return { id: made.id, name: made.name, secret };
  }

  async edit(which: string, input: ClientTokenInput): Promise<TokenView> {
    const { id, name } = await this.#deps.changes.ask("editClientToken", { which, input });
    this.#deps.registry.reloadNow();
    const tokens = await this.list();
    const edited = tokens.find((token) => token.id === id) ?? tokens.find((token) => token.name === name);
    if (edited === undefined) throw noSuchToken("that name or number");
    return edited;
  }

  async rotate(which: string): Promise<MadeToken> {
    const secret = randomToken();
    const rotated = await this.#deps.changes.ask("rotateClientToken", { which, secret });
    this.#deps.registry.reloadNow();
    return { ...rotated, secret };
  }

  async remove(which: string): Promise<void> {
    await this.#deps.changes.ask("removeToken", which);
    this.#deps.registry.reloadNow();
  }
}
