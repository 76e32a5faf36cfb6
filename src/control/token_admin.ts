/**
 * The tokens as the admin API and the page show and change them.
 *
 * Changes are made elsewhere (config_changes.ts); the registry has read a change when the call returns.
 */
import type { ClientToken } from "../core/types.ts";
import type { ClientTotals } from "../store/stats/usage_reader.ts";
import type { TokenView } from "./admin_service.ts";
import type { ChangeCalls } from "./change_calls.ts";
import { viewTokens } from "./token_view.ts";
import { type NewToken, Tokens } from "./tokens.ts";
import type { UpstreamsDeps } from "./upstreams.ts";

export interface TokenAdminDeps extends UpstreamsDeps {
  readonly changes: ChangeCalls;
  readonly clientTotals: () => Promise<ClientTotals>;
}

export class TokenAdmin {
  readonly #deps: TokenAdminDeps;
  readonly #tokens: Tokens;

  constructor(deps: TokenAdminDeps) {
    this.#deps = deps;
    this.#tokens = new Tokens(deps);
  }

  async list(): Promise<TokenView[]> {
    const totals = await this.#deps.clientTotals();
    return viewTokens(this.#tokens.list(), { times: this.#deps.config.tokenTimes(), totals });
  }

  async add(token: NewToken): Promise<ClientToken> {
    const added = await this.#deps.changes.ask("addToken", token);
    this.#deps.registry.reloadNow();
    return added;
  }

  async remove(which: string): Promise<void> {
    await this.#deps.changes.ask("removeToken", which);
    this.#deps.registry.reloadNow();
  }
}
