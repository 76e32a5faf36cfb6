/**
 * What every request needs of a snapshot, computed once per snapshot: with a thousand upstreams, doing it per request
 * would cost more than the rest of the request.
 */
import type { ClientRules } from "../core/client_rules.ts";
import { aliasOf } from "../core/model_alias.ts";
import { allowedUpstreams, fittingUpstreams, type Subject } from "../core/policy.ts";
import { SecretSet } from "../core/secret_set.ts";
import { keptSecrets, keysOf } from "../core/secrets.ts";
import { TokenGuard } from "../core/token_guard.ts";
import type { Upstream } from "../core/types.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import { type ClientView, RuledView, UnlimitedView } from "./client_view.ts";

/** Clients choose the names of models, so the cache must be bounded. */
const MAX_REMEMBERED = 256; // docs/tuning.md#budgets-and-remembered-values
const MAX_REMEMBERED_LENGTH = 256;
/** Views of clients' tokens, which are all forgotten when there are more. */
const MAX_VIEWS = 512; // docs/tuning.md#budgets-and-remembered-values

export class PreparedSnapshot {
  readonly snapshot: RegistrySnapshot;
  /** Keys of upstreams and tokens that are masked in stored texts. */
  readonly secrets: SecretSet;
  /** Finds the router's own tokens in outgoing requests. */
  readonly guard: TokenGuard;
  readonly #everyone: ClientView;
  /** By token. */
  readonly #views = new Map<string, ClientView>();
  /** An enabled upstream has rules about models: `allow`, `deny` or aliases. */
  readonly isRestricted: boolean;
  /** An enabled upstream has several keys. */
  readonly hasSeveralKeys: boolean;
  /** Of upstreams with several keys that were asked. */
  readonly #variants = new Map<Upstream, readonly Upstream[]>();
  /** An enabled upstream has a patch for bodies. */
  readonly #hasPatch: boolean;
  readonly #hasPaths: boolean;
  readonly #hasSizes: boolean;
  readonly #allowedModels = new Map<string, readonly Upstream[]>();
  /** For requests without a model: by method and path. */
  readonly #allowedPaths = new Map<string, readonly Upstream[]>();

  constructor(snapshot: RegistrySnapshot) {
    this.snapshot = snapshot;
    const tokens = snapshot.tokens.map((token) => token.secret);
    if (snapshot.adminToken !== null) tokens.push(snapshot.adminToken);
    this.guard = new TokenGuard(tokens, { digested: snapshot.clientRules });
    this.secrets = new SecretSet(keptSecrets([...snapshot.upstreams.flatMap(keysOf), ...tokens]));
    this.#everyone = new UnlimitedView(this);
    const enabled = snapshot.upstreams.filter((upstream) => upstream.isEnabled);
    this.isRestricted = enabled.some(hasModelRules);
    this.hasSeveralKeys = enabled.some(({ keys }) => keys.length > 1);
    this.#hasPatch = enabled.some(({ shaping }) => shaping.bodyPatch !== null);
    this.#hasPaths = enabled.some(({ shaping }) => shaping.onlyPaths.length > 0);
    this.#hasSizes = enabled.some(({ shaping }) => shaping.maxBodyBytes !== null);
  }

  /** @param token of the client; one with rules is known to be the one that they are about */
  viewOf(rules: ClientRules | null, token: string | null): ClientView {
    if (rules === null || token === null) return this.#everyone;
    let view = this.#views.get(token);
    if (view === undefined) {
      if (this.#views.size >= MAX_VIEWS) this.#views.clear();
      view = new RuledView(rules, token, this);
      this.#views.set(token, view);
    }
    return view;
  }

  /** The upstream with each of its keys; null when it has only one. */
  variantsOf(upstream: Upstream): readonly Upstream[] | null {
    const { keys } = upstream;
    if (keys.length < 2) return null;
    let variants = this.#variants.get(upstream);
    if (variants === undefined) {
      variants = keys.map((sk, index) => ({ ...upstream, sk, keyN: index + 1 }));
      this.#variants.set(upstream, variants);
    }
    return variants;
  }

  /** Enabled upstreams that allow the request and take a body of its size, in order of trial. */
  allowed(
    request: Subject & { readonly body: Uint8Array | null },
    view: ClientView = this.#everyone,
  ): readonly Upstream[] {
    const allowed = view.scope(this.#allowed(request), request);
    return this.#hasSizes ? fittingUpstreams(allowed, request.body?.length ?? 0) : allowed;
  }

  #allowed(subject: Subject): readonly Upstream[] {
    const { model, method, path } = subject;
    const known = model === null ? this.#allowedPaths : this.#allowedModels;
    const key = model === null || this.#hasPaths ? `${method} ${path}\n${model ?? ""}` : model;
    let allowed = known.get(key);
    if (allowed === undefined) {
      allowed = allowedUpstreams(this.snapshot.upstreams, subject);
      if (key.length > MAX_REMEMBERED_LENGTH) return allowed;
      if (known.size >= MAX_REMEMBERED) known.clear();
      known.set(key, allowed);
    }
    return allowed;
  }

  /** Whether an enabled upstream may get another body than the client's. */
  changesBody(model: string | null): boolean {
    return this.#hasPatch || this.hasAlias(model);
  }

  /** Whether an enabled upstream has another name for the model. */
  hasAlias(model: string | null): boolean {
    return model !== null &&
      this.snapshot.upstreams.some(({ isEnabled, modelMap }) =>
        isEnabled && aliasOf(modelMap, model) !== null
      );
  }
}

function hasModelRules({ allow, deny, modelMap }: Upstream): boolean {
  return allow.length > 0 || deny.length > 0 || Object.keys(modelMap).length > 0;
}
