/**
 * Tokens that are kept as digests, with what they may do.
 *
 * Owns how one is found, and that no name or token is there twice, in the list or among the rows. Secrets come in to be
 * digested, and are not kept.
 */
import { maskSecret } from "../core/secrets.ts";
import type { ClientTokenRow, ClientTokenValues } from "../store/config/client_token_row.ts";
import { adminTokenOf } from "../store/config/initial_tokens.ts";
import { digest } from "../store/config/token_list.ts";
import type { ConfigStore } from "../store/store.ts";
import { type ClientTokenInput, toClientTokenValues } from "./client_token_values.ts";
import { ControlError } from "./errors.ts";
import { nameIsToken, onlyToken, opensAdminPage, tokenIsName } from "./token_errors.ts";
import { requireTokenName, Tokens } from "./tokens.ts";

/** Without a name it gets one. */
export interface NewClientTokenInput extends ClientTokenInput {
  readonly secret: string;
}

/** How one is found: by its name, its number, or the token itself. */
export interface ClientTokenEdit {
  readonly which: string;
  readonly input: ClientTokenInput;
}

export interface EditedClientToken {
  readonly id: number;
  readonly name: string;
  /** Before the change. */
  readonly oldName: string;
  /** It was one of the list, which is printed and has no rules, and is a row now. */
  readonly isMoved: boolean;
}

export class ClientTokens {
  readonly #config: ConfigStore;
  readonly #tokens: Tokens;

  constructor({ config }: { readonly config: ConfigStore }) {
    this.#config = config;
    this.#tokens = new Tokens({ config });
  }

  /** @throws ControlError `invalid`, `token_exists`, `conflict` when it opens the admin page */
  add({ secret, ...input }: NewClientTokenInput): { readonly id: number; readonly name: string } {
    return this.#config.atomically("Cannot add the token", () => {
      const name = input.name?.trim() ?? this.#freeName();
      this.#requireFreeName(name, null);
      this.#requireFreeSecret(secret, name);
      const row = this.#config.addClientToken({
        ...toClientTokenValues({ ...input, name }),
        name,
        ...kept(secret),
      });
      return { id: row.id, name };
    });
  }

  /**
   * Changes one; a token of the list becomes a row, unless only its name changes.
   * @throws ControlError `invalid`, `not_found`, `token_exists`
   */
  edit({ which, input }: ClientTokenEdit): EditedClientToken {
    return this.#config.atomically("Cannot edit the token", () => {
      const values = toClientTokenValues(input);
      const row = this.#find(which);
      if (row === null) return this.#move(which, values);
      const oldName = row.name ?? "";
      if (values.name !== undefined && values.name !== null && values.name !== oldName) {
        this.#requireFreeName(values.name, row.id);
      }
      this.#config.editClientToken(row.id, values);
      return { id: row.id, name: values.name ?? oldName, oldName, isMoved: false };
    });
  }

  /** Another secret for the same row. @throws ControlError `not_found`, `conflict` for one of the list */
  rotate({ which, secret }: { readonly which: string; readonly secret: string }): {
    readonly id: number;
    readonly name: string;
  } {
    return this.#config.atomically("Cannot rotate the token", () => {
      const row = this.#find(which);
      if (row === null) {
        const { name } = this.#tokens.found(which);
        throw new ControlError("conflict", `${name} is a token of the list, which holds the token itself`, {
          hint: "add another one and remove this one",
        });
      }
      this.#requireFreeSecret(secret, row.name ?? "");
      this.#config.editClientToken(row.id, kept(secret));
      return { id: row.id, name: row.name ?? "" };
    });
  }

  /** Of either kind. @throws ControlError `not_found`, `ambiguous`, `conflict` when it is the only one */
  remove(which: string): { readonly name: string } {
    return this.#config.atomically("Cannot remove the token", () => {
      const row = this.#find(which);
      if (row === null) return this.#tokens.remove(which);
      const name = row.name ?? String(row.id);
      if (this.#config.listTokens().length === 0 && this.#config.listClientTokens().length === 1) {
        throw onlyToken(name);
      }
      this.#config.removeClientToken(row.id);
      return { name };
    });
  }

  /** null: it is none of the rows. The name of a token of the list goes before the number of a row. */
  #find(which: string): ClientTokenRow | null {
    const rows = this.#config.listClientTokens();
    const byDigest = rows.find(({ sha256 }) => sha256?.trim().toLowerCase() === digest(which));
    const found = byDigest ?? rows.find(({ name }) => name !== null && name.trim() === which.trim());
    if (found !== undefined) return found;
    if (this.#config.listTokens().some(({ name, secret }) => name === which || secret === which)) return null;
    return rows.find(({ id }) => String(id) === which.trim()) ?? null;
  }

  /** A token of the list becomes a row with the same secret. */
  #move(which: string, values: Partial<ClientTokenValues>): EditedClientToken {
    const { name: oldName, secret } = this.#tokens.found(which);
    const name = values.name ?? oldName;
    if (name !== oldName) this.#requireFreeName(name, null);
    const others = this.#config.listTokens().filter((token) => token.secret !== secret);
    if (Object.keys(values).every((field) => field === "name")) {
      this.#config.setTokens(
        this.#config.listTokens().map((token) => token.secret === secret ? { name, secret } : token),
      );
      return { id: 0, name, oldName, isMoved: false };
    }
    requireTokenName(name);
    const { id } = this.#config.addClientToken({ ...values, name, ...kept(secret) });
    this.#config.setTokens(others);
    return { id, name, oldName, isMoved: true };
  }

  #freeName(): string {
    const taken = this.#names(null);
    let number = taken.size + 1;
    while (taken.has(`token-${number}`)) number++;
    return `token-${number}`;
  }

  #names(exceptId: number | null): Set<string> {
    const rows = this.#config.listClientTokens().filter(({ id }) => id !== exceptId);
    return new Set([
      ...this.#config.listTokens().map(({ name }) => name),
      ...rows.flatMap(({ name }) => name?.trim() ?? []),
    ]);
  }

  #requireFreeName(name: string, exceptId: number | null): void {
    requireTokenName(name);
    if (this.#config.listTokens().some(({ secret }) => secret === name)) throw nameIsToken();
    const isRows = this.#config.listClientTokens().some(({ sha256 }) => sha256 === digest(name));
    if (isRows) throw nameIsToken();
    if (!this.#names(exceptId).has(name)) return;
    throw new ControlError("token_exists", `a token named ${name} exists already`, {
      field: "name",
      hint: "choose another name",
    });
  }

  #requireFreeSecret(secret: string, name: string): void {
    if (secret === name) throw nameIsToken();
    if (this.#names(null).has(secret)) throw tokenIsName();
    const sha256 = digest(secret);
    const twin = this.#config.listTokens().find((token) => token.secret === secret)?.name ??
      this.#config.listClientTokens().find((row) => row.sha256?.trim().toLowerCase() === sha256)?.name;
    if (twin !== undefined) {
      throw new ControlError("token_exists", `this token is accepted already, as ${twin}`);
    }
    if (adminTokenOf(this.#config) === secret) throw opensAdminPage();
  }
}

/** The columns that stand for a secret. */
function kept(secret: string): { readonly sha256: string; readonly hint: string } {
  return { sha256: digest(secret), hint: maskSecret(secret) };
}
