/**
 * Which of an upstream's keys a request is given, when it has several, and which follow if that one fails for a reason of
 * its own. The last step of ordering.
 *
 * Pure, but for the turns. docs/keys.md has the rules.
 */
import type { KeyStanding } from "./key_cells.ts";
import type { Upstream } from "./types.ts";

/** Keys of an upstream that are asked before the next upstream, and at all, for one request. */
export const KEYS_IN_PLACE = 3;
export const MAX_KEYS_ASKED = 10;

export interface KeyOrderContext {
  /** One object for each key; null: it has only one. */
  readonly variantsOf: (upstream: Upstream) => readonly Upstream[] | null;
  readonly standing: (variant: Upstream) => KeyStanding;
  /** Whether its limits allow a request now; a key that is full is asked, or waited for, after the others. */
  readonly hasRoom: (variant: Upstream) => boolean;
  readonly turns: KeyTurns;
  /** Index of the key with which an upstream's keys begin, instead of the turn; -1: none. */
  readonly preferred?: (variants: readonly Upstream[]) => number;
}

/**
 * Puts the keys in the place of their upstream: those that are well and first in turn. The others that are well follow
 * behind all upstreams, and those that are throttled come last. The same array when no upstream has several keys.
 */
export function keyOrder(ordered: readonly Upstream[], context: KeyOrderContext): readonly Upstream[] {
  if (!ordered.some((upstream) => context.variantsOf(upstream) !== null)) return ordered;
  const placed: Upstream[] = [];
  const later: Upstream[] = [];
  const last: Upstream[] = [];
  ordered.forEach((upstream, place) => {
    const variants = context.variantsOf(upstream);
    if (variants === null) {
      placed.push(upstream);
      return;
    }
    const { ready, cooling, out } = sorted(variants, context);
    if (ready.length > 0) {
      if (place === 0) context.turns.taken(ready[0]);
      placed.push(...ready.slice(0, KEYS_IN_PLACE));
      later.push(...ready.slice(KEYS_IN_PLACE, MAX_KEYS_ASKED));
      last.push(...cooling.slice(0, Math.max(0, MAX_KEYS_ASKED - ready.length)));
    } else {
      placed.push(...(cooling.length > 0 ? cooling : out).slice(0, KEYS_IN_PLACE));
    }
  });
  return [...placed, ...later, ...last];
}

interface SortedKeys {
  readonly ready: readonly Upstream[];
  readonly cooling: readonly Upstream[];
  readonly out: readonly Upstream[];
}

/** In turn; no more of each than may be asked. */
function sorted(variants: readonly Upstream[], context: KeyOrderContext): SortedKeys {
  const { standing, hasRoom } = context;
  const start = startOf(variants, context);
  const found = { ready: [] as Upstream[], cooling: [] as Upstream[], out: [] as Upstream[] };
  const full: Upstream[] = [];
  for (let n = 0; n < variants.length && found.ready.length < MAX_KEYS_ASKED; n++) {
    const variant = variants[(start + n) % variants.length];
    if (variant === undefined) continue;
    const stands = standing(variant);
    const ready = hasRoom(variant) ? found.ready : full;
    const list = stands === "out" ? found.out : stands === "cooling" ? found.cooling : ready;
    if (list.length < MAX_KEYS_ASKED) list.push(variant);
  }
  found.ready.push(...full.slice(0, MAX_KEYS_ASKED - found.ready.length));
  return found;
}

function startOf(variants: readonly Upstream[], { preferred, turns }: KeyOrderContext): number {
  const index = preferred?.(variants) ?? -1;
  if (index >= 0) return index;
  const first = variants[0];
  return first === undefined || first.keyPolicy === "fill" ? 0 : turns.next(first);
}

/** Where the next turn begins, by upstream. */
export class KeyTurns {
  /** Indices of keys. */
  readonly #next = new Map<number, number>();

  next({ id, keys }: Pick<Upstream, "id" | "keys">): number {
    return (this.#next.get(id) ?? 0) % keys.length;
  }

  /** A request is about to be sent with this key. */
  taken(variant: Upstream | undefined): void {
    if (variant !== undefined && variant.keyN !== null) this.#next.set(variant.id, variant.keyN);
  }

  /** It was sent; when the request came to it later than to others, the turn goes on now. */
  used(variant: Upstream): void {
    if (variant.keyN !== null && this.next(variant) === variant.keyN - 1) this.taken(variant);
  }
}
