/**
 * Orders by affinity: a session goes to one upstream while that is well, and an id's owner comes first.
 *
 * Pure. Only reorders: every candidate that goes in comes out. Each function returns the same array when it changes nothing.
 *
 * @see Thaler and Ravishankar, "A name-based mapping scheme for rendezvous" (1996)
 * @see Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016)
 */
import { keyHashOf } from "./owned_ids.ts";
import type { IdOwner, Upstream } from "./types.ts";

/** How much more than the mean one upstream may have under way. */
const LOAD_FACTOR = 1.25; // docs/tuning.md#affinity
/** Attempts that may be under way at one upstream while the others are idle. */
const MIN_TOGETHER = 2;
const MIN_WEIGHT = 1e-9;

/** What the order by session needs to know. */
export interface SessionOrder {
  /** Of the session's key, 32 bits; equal on all replicas. */
  readonly hash: number;
  /** Of what other sessions begin with as well; null or absent: nothing. */
  readonly sharedHash?: number | null;
  /** Share of such sessions among all requests that are ordered so: 0 to 1. */
  readonly share?: number;
  readonly isCooling: (upstream: Upstream) => boolean;
  /** Attempts under way there. */
  readonly inFlight: (upstream: Upstream) => number;
}

/** The order, and whom the session is tied to. */
export interface SessionPlan {
  readonly order: readonly Upstream[];
  /** Id of the upstream that comes first among those that are well; null: there is none at all. */
  readonly tiedTo: number | null;
}

/**
 * Highest random weight first; those that have more under way than the others, after the rest. Adding an upstream moves
 * only the sessions that go to it. Sessions that begin alike go to as few upstreams as their number allows, so that their
 * beginning need not be cached everywhere.
 */
export function sessionOrder(upstreams: readonly Upstream[], session: SessionOrder): SessionPlan {
  const [first] = upstreams;
  if (first === undefined) return { order: upstreams, tiedTo: null };
  if (upstreams.length === 1) return { order: upstreams, tiedTo: first.id };
  const ranked = rankedFor(upstreams, session);
  const well = ranked.filter((upstream) => !session.isCooling(upstream));
  const tiedTo = (well[0] ?? ranked[0] ?? first).id;
  const limit = loadLimit(well, session);
  const isFull = (upstream: Upstream) => session.inFlight(upstream) >= limit && !session.isCooling(upstream);
  if (!well.some(isFull)) return { order: ranked, tiedTo };
  return {
    order: [...ranked.filter((upstream) => !isFull(upstream)), ...ranked.filter(isFull)],
    tiedTo,
  };
}

function rankedFor(upstreams: readonly Upstream[], session: SessionOrder): readonly Upstream[] {
  const { hash, sharedHash = null, share = 0, isCooling } = session;
  if (sharedHash === null) return ranking(upstreams, hash);
  const all = ranking(upstreams, sharedHash);
  const well = all.filter((upstream) => !isCooling(upstream));
  const near = well.slice(0, Math.max(1, Math.ceil((share * well.length) / LOAD_FACTOR)));
  if (near.length < 2) return all;
  return [...ranking(near, hash), ...all.filter((upstream) => !near.includes(upstream))];
}

function ranking(upstreams: readonly Upstream[], hash: number): readonly Upstream[] {
  return upstreams
    .map((upstream) => ({ upstream, score: scoreOf(upstream, hash) }))
    .sort((a, b) => b.score - a.score || a.upstream.id - b.upstream.id)
    .map(({ upstream }) => upstream);
}

/** How many attempts none may exceed: 1.25 times the mean, with this one; a few stay together all the same. */
function loadLimit(well: readonly Upstream[], { inFlight }: SessionOrder): number {
  const total = well.reduce((sum, upstream) => sum + inFlight(upstream), 1);
  return Math.max(MIN_TOGETHER, Math.ceil(LOAD_FACTOR * total / Math.max(1, well.length)));
}

/** Weighted: -w / ln(h) with h uniform in (0, 1). */
function scoreOf({ id, weight }: Upstream, hash: number): number {
  const uniform = (mixed(hash, id) + 0.5) / 2 ** 32;
  return -Math.max(weight, MIN_WEIGHT) / Math.log(uniform);
}

/** The finalizer of MurmurHash3 over both; 32 bits. */
function mixed(hash: number, n: number): number {
  let mix = Math.imul(hash ^ Math.imul(n, 0x9e3779b1), 0x85ebca6b);
  mix ^= mix >>> 16;
  mix = Math.imul(mix, 0x85ebca6b);
  mix ^= mix >>> 13;
  mix = Math.imul(mix, 0xc2b2ae35);
  mix ^= mix >>> 16;
  return mix >>> 0;
}

/** Which of `n` keys, from 0, a session goes to; equal on all replicas. */
export function keyPreference(hash: number, n: number): number {
  let best = 0;
  for (let key = 1; key < n; key++) {
    if (mixed(hash, key + 1) > mixed(hash, best + 1)) best = key;
  }
  return best;
}

/** Whether an id of this owner belongs to this upstream and key. */
export function isOwner(upstream: Upstream, owner: IdOwner): boolean {
  return upstream.id === owner.upstreamId &&
    (owner.keyHash === null || keyHashOf(upstream) === owner.keyHash);
}

/** Puts the owner of an id in front, even while it cools; of its keys, the one that the id belongs to. */
export function ownerFirst(candidates: readonly Upstream[], owner: IdOwner): readonly Upstream[] {
  const isOwners = ({ id }: Upstream) => id === owner.upstreamId;
  const isKey = (upstream: Upstream) => isOwner(upstream, owner);
  const own = candidates.filter(isOwners);
  const front = [...own.filter(isKey), ...own.filter((upstream) => !isKey(upstream))];
  if (front.every((upstream, at) => upstream === candidates[at])) return candidates;
  return [...front, ...candidates.filter((upstream) => !isOwners(upstream))];
}

/** What no other upstream may be asked to do: nobody but the owner knows the id. Empty: the owner is not among them. */
export function ownerOnly(candidates: readonly Upstream[], { upstreamId }: IdOwner): readonly Upstream[] {
  return candidates.filter(({ id }) => id === upstreamId);
}
