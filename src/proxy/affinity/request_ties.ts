/**
 * What ties one request to an upstream, and the ids that its replies name.
 *
 * Decides nothing: affinity.ts makes it, the ledger keeps it.
 */
import { hashOfId, type IdOwners, keyHashOf } from "../../core/owned_ids.ts";
import type { SessionKey } from "../../core/session_key.ts";
import type { Affinity, IdOwner, OwnedId, Upstream } from "../../core/types.ts";

/** Of all replies to one request; further ones are remembered in memory only. */
const MAX_WRITTEN_IDS = 256;

export interface TiesOptions {
  readonly owners: IdOwners;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** The kind of API call. */
  readonly kind: string;
  /** Who owns an id that the request names, and may be asked; null: nobody. */
  readonly owner: IdOwner | null;
  /** Nobody else may be asked. */
  readonly isOwnerOnly: boolean;
  readonly session: SessionKey | null;
  /** Its replies may name ids that have to be remembered. */
  readonly isNaming: boolean;
  /** Ids that the request names and nobody is known to own: who answers it knows them. */
  readonly unowned: readonly string[];
  /** All ids that the request names. */
  readonly named: readonly string[];
}

export class RequestTies {
  readonly owner: IdOwner | null;
  readonly isOwnerOnly: boolean;
  readonly session: SessionKey | null;
  readonly #options: TiesOptions;
  #tiedTo: number | null;
  #ids: OwnedId[] | null = null;

  constructor(options: TiesOptions) {
    this.#options = options;
    this.owner = options.owner;
    this.isOwnerOnly = options.isOwnerOnly;
    this.session = options.session;
    this.#tiedTo = options.owner?.upstreamId ?? null;
  }

  /** Ids that have to be written with the record. */
  get ownedIds(): readonly OwnedId[] | null {
    return this.#ids;
  }

  /** The session goes to this upstream; null: to none. */
  tie(upstreamId: number | null): void {
    this.#tiedTo = upstreamId;
  }

  /** What was in force, when this upstream answered. @param upstreamId null: none did */
  affinityOf(upstreamId: number | null): Affinity | null {
    if (this.#tiedTo === null) return null;
    if (upstreamId !== this.#tiedTo) return "broken";
    return this.owner !== null ? "owner" : this.session?.type ?? null;
  }

  /** Takes the ids that a reply of this upstream names; null: they are not wanted. */
  listenerFor(upstream: Upstream): ((id: string) => void) | null {
    return this.#options.isNaming ? (id) => this.note(upstream, id) : null;
  }

  /** A reply of this upstream has named an id. */
  note(upstream: Upstream, id: string): void {
    const { owners, now, kind, named } = this.#options;
    const owned: OwnedId = {
      hash: hashOfId(id),
      upstreamId: upstream.id,
      keyHash: keyHashOf(upstream),
      kind,
      seenMs: now(),
    };
    if (!owners.remember(owned, { isMention: !named.includes(id) })) return;
    this.#ids ??= [];
    if (this.#ids.length < MAX_WRITTEN_IDS) this.#ids.push(owned);
  }

  /** This upstream has answered well. */
  answered(upstream: Upstream): void {
    for (const id of this.#options.unowned) this.note(upstream, id);
  }
}
