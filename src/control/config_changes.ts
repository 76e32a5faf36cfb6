/**
 * The changes of upstreams and tokens that the admin API and the page make, each in one transaction.
 *
 * Owns the rule that a key does not follow its upstream to another host: whoever logs in may not see keys. Runs in the
 * thread of changes, which may wait for another program's lock; arguments and results can be sent between threads.
 */
import { ASIS, type ClientToken, type OrderPolicy } from "../core/types.ts";
import { ensureAdminToken, ensureToken } from "../store/config/initial_tokens.ts";
import { addEndedSession, type EndedSession } from "../store/config/ended_sessions.ts";
import type { UpstreamRow } from "../store/store.ts";
import type { UpstreamEdit, UpstreamInput } from "./admin_service.ts";
import { ControlError, invalidValue } from "./errors.ts";
import {
  type ClientTokenEdit,
  ClientTokens,
  type EditedClientToken,
  type NewClientTokenInput,
} from "./client_tokens.ts";
import { type NewToken, Tokens } from "./tokens.ts";
import { showEndpoint } from "./upstream_endpoint.ts";
import { isReadByProxy, unmaskedOptions, unspokenSecret } from "./upstream_option_view.ts";
import { toChanges } from "./upstream_values.ts";
import { showKey, type UpstreamFacts, Upstreams, type UpstreamsDeps } from "./upstreams.ts";

export interface EditedUpstream {
  readonly facts: UpstreamFacts;
  /** Its requests, and its key, go to another host from now on. */
  readonly hasMoved: boolean;
}

export class ConfigChanges {
  readonly #deps: UpstreamsDeps;
  readonly #upstreams: Upstreams;
  readonly #tokens: Tokens;
  readonly #clientTokens: ClientTokens;

  constructor(deps: UpstreamsDeps) {
    this.#deps = deps;
    this.#upstreams = new Upstreams(deps);
    this.#tokens = new Tokens(deps);
    this.#clientTokens = new ClientTokens(deps);
  }

  addUpstream(input: UpstreamInput): UpstreamFacts {
    return this.#upstreams.add(unmasked(input, null));
  }

  /** @throws ControlError, among them `key_required` */
  editUpstream(
    { id, input: edit }: { readonly id: number; readonly input: UpstreamEdit },
  ): EditedUpstream {
    const { addKeys: add = [], removeKeys: remove = [], ...input } = edit;
    const hasKeyChange = add.length > 0 || remove.length > 0;
    if (hasKeyChange && input.key !== undefined) {
      throw invalidValue("key", "replaces all keys: give either it, or keys to add or remove");
    }
    return this.#deps.config.atomically(`Cannot edit upstream ${id}`, () => {
      const row = this.#upstreams.row(id);
      const changes = unmasked(input, row);
      requireSecretsAgain({ input, changes, row });
      // What is no endpoint at all is refused as such.
      const { endpoint } = toChanges(changes);
      const hasMoved = endpoint !== undefined && !isSameOrigin(endpoint, row.endpoint);
      const facts = hasKeyChange
        ? this.#upstreams.editKeys(id, changes, { add, remove })
        : this.#upstreams.edit(id, changes);
      return { facts, hasMoved };
    });
  }

  moveUpstream({ id, place }: { readonly id: number; readonly place: number }): void {
    this.#upstreams.move(id, place);
  }

  removeUpstream(id: number): void {
    this.#upstreams.remove(id);
  }

  addToken(token: NewToken): ClientToken {
    return this.#tokens.add(token);
  }

  addClientToken(token: NewClientTokenInput): { readonly id: number; readonly name: string } {
    return this.#clientTokens.add(token);
  }

  editClientToken(edit: ClientTokenEdit): EditedClientToken {
    return this.#clientTokens.edit(edit);
  }

  rotateClientToken(
    token: { readonly which: string; readonly secret: string },
  ): { readonly id: number; readonly name: string } {
    return this.#clientTokens.rotate(token);
  }

  /** Of either kind. */
  removeToken(which: string): void {
    this.#clientTokens.remove(which);
  }

  setPolicy(policy: OrderPolicy): void {
    this.#deps.config.setConfig("policy", policy);
  }

  /** Makes the clients' first token when there was never one. @returns it, to be shown once; null: there is one */
  ensureClientToken(): string | null {
    const { config } = this.#deps;
    return config.atomically("Cannot make the token", () => ensureToken({ config, isOwn: true }));
  }

  /** Adds one when there is none. @returns null: there is one */
  addFirstUpstream(input: UpstreamInput): UpstreamFacts | null {
    const { config } = this.#deps;
    return config.atomically(
      "Cannot add the upstream",
      () => config.listUpstreams().length > 0 ? null : this.#upstreams.add(input),
    );
  }

  /** Makes the token of the admin page when there is none. */
  ensureAdminToken(): void {
    ensureAdminToken(this.#deps.config);
  }

  /** Somebody logged out. */
  endSession({ session, nowSeconds }: { readonly session: EndedSession; readonly nowSeconds: number }): void {
    const { config } = this.#deps;
    config.atomically("Cannot note the logout", () => addEndedSession(config, session, nowSeconds));
  }
}

/**
 * The input without a key or an endpoint that comes back as it was shown: that is no change.
 *
 * @param row null: a new one
 * @throws ControlError when another endpoint still holds what was masked
 */
function unmasked(input: UpstreamInput, row: UpstreamRow | null): UpstreamInput {
  const { key, endpoint, ...rest } = unmaskedOptions(input, row?.options ?? null);
  const isKeyShown = row !== null && key === showKey(row.sk);
  const isEndpointShown = row !== null && endpoint === showEndpoint(row.endpoint ?? "");
  if (endpoint !== undefined && !isEndpointShown && isMasked(endpoint)) {
    throw invalidValue("endpoint", "is refused: what it holds is masked (…); type its query in full");
  }
  return {
    ...rest,
    ...(key === undefined || isKeyShown ? {} : { key }),
    ...(endpoint === undefined || isEndpointShown ? {} : { endpoint: endpoint.trim() }),
  };
}

/**
 * Whether a key that goes to one of two endpoints can be seen by nobody else at the other: same scheme, host and port
 * (https://url.spec.whatwg.org/#origin), so that case, a port that is the scheme's own, and other ways to write an IP
 * address make no difference. False when either is no URL.
 */
function isSameOrigin(endpoint: string, other: string | null): boolean {
  const origin = URL.parse(endpoint)?.origin;
  return origin !== undefined && origin === URL.parse((other ?? "").trim())?.origin;
}

function hasOwnKey({ sk }: UpstreamRow): boolean {
  const key = (sk ?? "").trim();
  return key !== "" && key !== ASIS;
}

/**
 * Neither the key nor a secret among the options goes to another place by itself.
 *
 * @throws ControlError `key_required`
 */
function requireSecretsAgain({ input, changes, row }: {
  readonly input: UpstreamInput;
  /** Without what came back masked. */
  readonly changes: UpstreamInput;
  readonly row: UpstreamRow;
}): void {
  const { endpoint } = toChanges(changes);
  const isKeyKept = hasOwnKey(row) && changes.key === undefined;
  if (endpoint !== undefined && !isSameOrigin(endpoint, row.endpoint)) {
    if (isKeyKept) throw keyRequired(endpoint);
    const field = unspokenSecret(input, row.options);
    if (field !== null) throw secretRequired(field);
  }
  const way = { endpoint: endpoint ?? row.endpoint, stored: row.options };
  if (!isReadByProxy(changes, way)) return;
  if (isKeyKept) {
    throw secretRequired("key", "requests go by way of another proxy now, which can read the key");
  }
  const field = unspokenSecret({ ...input, proxy: null }, row.options);
  if (field !== null) throw secretRequired(field);
}

function secretRequired(
  field: string,
  reason = "requests go to another place now, and it holds secrets, which are not sent on by themselves",
): ControlError {
  const problem = `must be given again: ${reason}`;
  return new ControlError("key_required", `${field} ${problem}`, {
    field,
    problem,
    hint: "type it in full, in the same request",
  });
}

function keyRequired(endpoint: string): ControlError {
  const origin = URL.parse(endpoint)?.origin;
  const problem =
    `is missing: the endpoint is at another place now (${origin}), and a key is not sent on to ` +
    "another scheme, host or port by itself";
  return new ControlError("key_required", `key ${problem}`, {
    field: "key",
    problem,
    hint: "type the key again, in the same request",
  });
}

/** A part that was shown masked has come back in an endpoint that was changed elsewhere. */
function isMasked(endpoint: string): boolean {
  return /…|%E2%80%A6/i.test(endpoint);
}
