/**
 * Ties requests to upstreams: by the ids that they name, or by their session.
 *
 * Owns when which of them is looked for, so that a request without any costs next to nothing. Orders by the pure functions of
 * core/affinity_order.ts. Never awaits, never throws.
 */
import { ownerFirst, ownerOnly, sessionOrder } from "../../core/affinity_order.ts";
import type { Clock } from "../../core/clock.ts";
import type { JsonBody } from "../../core/json_body.ts";
import { idsOfPath, idsOfRequest } from "../../core/named_ids.ts";
import { hashOfId, type IdOwners } from "../../core/owned_ids.ts";
import { PrefixShares } from "../../core/prefix_shares.ts";
import { sessionKeyOf } from "../../core/session_key.ts";
import type { EndpointKind, IdOwner, Inbound, OrderPolicy, Upstream } from "../../core/types.ts";
import { namesIds } from "../../capture/reply_ids.ts";
import type { UpstreamCapacity } from "../attempt/upstream_capacity.ts";
import { RequestTies } from "./request_ties.ts";

/** Whether sessions stay with one upstream; `auto`: unless the order of trial is fixed. */
export type AffinityMode = "auto" | "on" | "off";

export interface AffinityDeps {
  readonly mode: AffinityMode;
  readonly owners: IdOwners;
  readonly capacity: Pick<UpstreamCapacity, "underWay">;
  readonly clock: Pick<Clock, "now">;
}

/** What a request is tied by. */
export interface TiedRequest {
  readonly inbound: Inbound;
  /** null: it has no JSON body. */
  readonly json: JsonBody | null;
  readonly policy: OrderPolicy;
  /** Those that it may go to. */
  readonly allowed: readonly Upstream[];
}

type Paths = Pick<Inbound, "path" | "method">;

/** Kinds of calls whose path may name an id. */
const WITH_IDS_IN_PATH: ReadonlySet<EndpointKind> = new Set<EndpointKind>(["responses", "files", "other"]);
/** Kinds of calls whose body may name one. */
const WITH_IDS_IN_BODY: ReadonlySet<EndpointKind> = new Set<EndpointKind>([
  ...["responses", "files", "other"] as const,
  ...["chat", "messages"] as const,
]);
/** Kinds of calls whose prompts are cached. */
const WITH_PROMPT: ReadonlySet<EndpointKind> = new Set<EndpointKind>([
  ...["chat", "completions"] as const,
  ...["responses", "messages"] as const,
]);
const MIN_ID_LENGTH = 8;
const ENDING = /\/cancel\/?$/;

const NO_IDS: readonly string[] = [];

export class Affinity {
  readonly #deps: AffinityDeps;
  readonly #shares = new PrefixShares();

  constructor(deps: AffinityDeps) {
    this.#deps = deps;
  }

  /** null: nothing ties the request, and its replies tie nothing. */
  tiesOf({ inbound, json, policy, allowed }: TiedRequest): RequestTies | null {
    const { kind } = inbound;
    const named = this.#named(inbound, json);
    const owner = named === null ? null : this.#ownerAmong(allowed, named.ids);
    const hasSession = owner === null && allowed.length > 1 && WITH_PROMPT.has(kind) && this.#isOn(policy);
    const session = hasSession ? sessionKeyOf(inbound.headers, json) : null;
    const isNaming = namesIds(kind, kind === "chat" && json?.literal("store", 8) === "true") &&
      !inbound.path.endsWith("/content");
    const unowned = owner === null && inbound.method !== "DELETE" ? named?.telling ?? NO_IDS : NO_IDS;
    if (owner === null && session === null && !isNaming && unowned.length === 0) return null;
    return new RequestTies({
      ...{ owners: this.#deps.owners, now: () => this.#deps.clock.now() },
      ...{ kind, owner, session, isNaming, unowned, named: named?.ids ?? NO_IDS },
      isOwnerOnly: owner !== null && isForOwnerOnly(inbound),
    });
  }

  /** Orders by session, before those that cool are put last. */
  bySession(
    ordered: Upstream[],
    ties: RequestTies,
    isCooling: (upstream: Upstream) => boolean,
  ): readonly Upstream[] {
    if (ties.session === null) return ordered;
    const { capacity } = this.#deps;
    const { hash, sharedHash } = ties.session;
    const share = this.#shares.note(sharedHash);
    const plan = sessionOrder(ordered, {
      ...{ hash, sharedHash, share, isCooling },
      inFlight: (upstream) => capacity.underWay(upstream),
    });
    ties.tie(plan.tiedTo);
    return plan.order;
  }

  /** The last step: the owner of an id comes first, and stays alone where nobody else can do what is asked. */
  byOwner(ordered: readonly Upstream[], { owner, isOwnerOnly }: RequestTies): readonly Upstream[] {
    if (owner === null) return ordered;
    const first = ownerFirst(ordered, owner);
    return isOwnerOnly ? ownerOnly(first, owner) : first;
  }

  #isOn(policy: OrderPolicy): boolean {
    return this.#deps.mode === "on" || (this.#deps.mode === "auto" && policy !== "order");
  }

  #named(inbound: Inbound, json: JsonBody | null): NamedIds | null {
    const { kind, path, query } = inbound;
    const inPath = WITH_IDS_IN_PATH.has(kind) ? idsOfPath(path) : NO_IDS;
    const others = WITH_IDS_IN_BODY.has(kind) && (json !== null || query !== "")
      ? idsOfRequest({ query, json, isResponse: kind === "responses" })
      : NO_IDS;
    if (inPath.length === 0 && others.length === 0) return null;
    return {
      ids: others.length === 0 ? inPath : [...inPath, ...others],
      telling: [...inPath.filter((id) => isMadeUp(id)), ...previousResponse(json)],
    };
  }

  /** Of the first id that one of these owns. */
  #ownerAmong(allowed: readonly Upstream[], ids: readonly string[]): IdOwner | null {
    for (const id of ids) {
      const owner = this.#deps.owners.find(hashOfId(id));
      if (owner !== null && allowed.some((upstream) => upstream.id === owner.upstreamId)) return owner;
    }
    return null;
  }
}

interface NamedIds {
  /** The most telling first. */
  readonly ids: readonly string[];
  /** Whoever answers well knows these. */
  readonly telling: readonly string[];
}

/** Looks made up by a server: `batch_1a2b`, `file-Xy12`, a UUID. */
function isMadeUp(id: string): boolean {
  return id.length >= MIN_ID_LENGTH && /[-_]/.test(id) && /\d/.test(id);
}

function previousResponse(json: JsonBody | null): string[] {
  const id = json?.value("previous_response_id", 512);
  return typeof id === "string" && isMadeUp(id) ? [id] : [];
}

/** What ends a thing: those who do not know it would say that it is not there. */
function isForOwnerOnly({ method, path }: Paths): boolean {
  return method === "DELETE" || (method === "POST" && ENDING.test(path));
}
