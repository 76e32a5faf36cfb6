/**
 * The clients' tokens as the admin page shows and changes them. The admin token is none of them.
 */
import { chooseName, findToken } from "./token_names.ts";
import { RouterError } from "../core/errors.ts";
import { maskSecret } from "../core/secrets.ts";
import type { TokenView } from "./admin_service.ts";
import { randomToken } from "../store/config/initial_tokens.ts";
import type { Registry } from "../store/config/registry.ts";
import type { ConfigStore } from "../store/store.ts";
import { answering } from "./failure.ts";

export class TokenAdmin {
  readonly #config: ConfigStore;
  readonly #registry: Registry;

  constructor({ config, registry }: { readonly config: ConfigStore; readonly registry: Registry }) {
    this.#config = config;
    this.#registry = registry;
  }

  async list(): Promise<TokenView[]> {
    return await answering(() =>
      this.#config.listTokens().map(({ name, secret }) => ({ name, token: maskSecret(secret) }))
    );
  }

  /** The secret is random, and given this once. */
  async add(wanted: string): Promise<{ readonly name: string; readonly secret: string }> {
    return await answering(() => {
      const tokens = this.#config.listTokens();
      const token = { name: chooseName(wanted, tokens), secret: randomToken() };
      this.#config.setTokens([...tokens, token]);
      this.#registry.reloadNow();
      return token;
    });
  }

  async remove(which: string): Promise<void> {
    await answering(() => {
      const tokens = this.#config.listTokens();
      const token = findToken(tokens, which);
      const rest = tokens.filter((each) => each !== token);
      if (rest.length === 0) {
        throw new RouterError(
          409,
          "invalid_request",
          `${token.name} is the only token, and without one the server refuses to start: make another first`,
        );
      }
      this.#config.setTokens(rest);
      this.#registry.reloadNow();
    }, [404, "not_found"]);
  }
}
