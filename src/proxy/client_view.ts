/**
 * What one client's token means for its requests: which upstreams and models it may use, and how the token itself is kept
 * out of what is sent and stored.
 *
 * Made once per token and snapshot, so its parts must be small: what all tokens share is composed, not copied.
 */
import type { ClientRules } from "../core/client_rules.ts";
import { isAdmitted, type ModelRules, type Subject } from "../core/policy.ts";
import { type SecretMask, type SecretSet, SecretsWithOne } from "../core/secret_set.ts";
import { keptSecrets } from "../core/secrets.ts";
import { TokenGuard } from "../core/token_guard.ts";
import type { Upstream } from "../core/types.ts";

/** What may be done, and what must be hidden, for one request. */
export interface ClientView {
  /** null: everything is allowed. */
  readonly rules: ClientRules | null;
  /** Which models it may use; null: all. */
  readonly models: ModelRules | null;
  readonly guard: TokenGuard;
  readonly secrets: SecretMask;
  /** Those of the upstreams that it may use for this; the same array for the same one. */
  scope(upstreams: readonly Upstream[], subject: Subject): readonly Upstream[];
}

/** What views are made of. */
export interface SharedParts {
  readonly guard: TokenGuard;
  readonly secrets: SecretSet;
}

const NONE: readonly Upstream[] = Object.freeze([]);

/** Tokens of the list, and requests without one. */
export class UnlimitedView implements ClientView {
  readonly rules = null;
  readonly models = null;
  readonly guard: TokenGuard;
  readonly secrets: SecretMask;

  constructor({ guard, secrets }: SharedParts) {
    this.guard = guard;
    this.secrets = secrets;
  }

  scope(upstreams: readonly Upstream[]): readonly Upstream[] {
    return upstreams;
  }
}

/** A token that is kept as a digest. */
export class RuledView implements ClientView {
  readonly rules: ClientRules;
  readonly models: ModelRules | null;
  readonly guard: TokenGuard;
  readonly secrets: SecretMask;
  /** Names and numbers of its upstreams; null: all. */
  readonly #upstreams: ReadonlySet<string> | null;
  readonly #scoped = new WeakMap<readonly Upstream[], readonly Upstream[]>();

  constructor(rules: ClientRules, secret: string, shared: SharedParts) {
    this.rules = rules;
    this.models = rules.allow.length + rules.deny.length === 0 ? null : rules;
    this.guard = new TokenGuard([secret], { base: shared.guard });
    const [kept] = keptSecrets([secret]);
    this.secrets = kept === undefined ? shared.secrets : new SecretsWithOne(shared.secrets, kept);
    this.#upstreams = rules.upstreams.length === 0 ? null : new Set(rules.upstreams);
  }

  scope(upstreams: readonly Upstream[], subject: Subject): readonly Upstream[] {
    if (this.models !== null && !isAdmitted(this.models, subject)) return NONE;
    if (this.models === null && this.#upstreams === null) return upstreams;
    let scoped = this.#scoped.get(upstreams);
    if (scoped === undefined) {
      const names = this.#upstreams;
      // A copy even of all: answers to this client are kept by it.
      scoped = upstreams.filter((upstream) => names === null || isNamed(upstream, names));
      this.#scoped.set(upstreams, scoped);
    }
    return scoped;
  }
}

/** Whether a token's upstreams name this one. */
export function isNamed({ id, name }: Pick<Upstream, "id" | "name">, names: ReadonlySet<string>): boolean {
  return names.has(name) || names.has(String(id));
}
