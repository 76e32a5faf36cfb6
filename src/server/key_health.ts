/**
 * Keys of upstreams that have several: who is told when one is refused, what is noted of them, and their metric.
 *
 * Shows a key only as its number and masked.
 */
import { KEY_STATES, type KeyNote, type KeyState } from "../core/key_states.ts";
import type { Upstream } from "../core/types.ts";
import { getLog } from "../observe/log.ts";
import type { SeenChange, UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";

type KeyedHealth = Pick<UpstreamHealth, "keys">;

/** Tells of keys. The reason of a change is without secrets. */
export class KeyAnnouncer {
  readonly #observers: Pick<Observers, "metrics" | "notifier">;
  readonly #health: () => KeyedHealth;
  /** Upstreams without a key that is left, of which people were told. */
  readonly #told = new Set<number>();
  /** Enabled upstreams with several keys. */
  readonly #counted = new Map<number, Upstream>();

  constructor(observers: Pick<Observers, "metrics" | "notifier">, health: () => KeyedHealth) {
    this.#observers = observers;
    this.#health = health;
  }

  /** To be called at every change of a key's breaker. */
  changed(upstream: Pick<Upstream, "id" | "name">, change: SeenChange): void {
    this.#announce(upstream, change);
    const counted = this.#counted.get(upstream.id);
    if (counted !== undefined) this.#measure(counted);
  }

  /**
   * To be called when the configuration has changed, after the breakers know.
   *
   * @returns those of whose keys something is noted: their numbers may be others
   */
  configured(upstreams: readonly Upstream[]): Upstream[] {
    for (const upstream of upstreams) {
      const { id, name, keys, isEnabled } = upstream;
      if (isEnabled && keys.length > 1) {
        this.#counted.set(id, upstream);
        this.#measure(upstream);
      } else if (this.#counted.delete(id)) {
        this.#observers.metrics.upstreamKeys(name, null);
      }
    }
    return upstreams.filter(({ id, keys }) => keys.length > 1 && this.#health().keys(id).length > 0);
  }

  #announce({ id, name }: Pick<Upstream, "id" | "name">, change: SeenChange): void {
    const { key, news, reason, after } = change;
    if (key === undefined || change.model !== null) return;
    const about = { upstream: name, key: key.n, masked: key.shown };
    const shown = { name, n: key.n, key: key.shown, reason };
    const { notifier } = this.#observers;
    const log = getLog("health");
    if (news === "recovered") {
      log.info("upstream {name}: key {n} ({key}) has recovered", shown);
      notifier.raise({ type: "upstream_key_recovered", ...about });
    } else if (news === "no_credit") {
      log.warn("upstream {name}: key {n} ({key}) has no credit left: {reason}", shown);
      notifier.raise({ type: "upstream_key_no_credit", ...about, reason });
    } else if (news === "down") {
      log.warn("upstream {name}: key {n} ({key}) is refused and not used: {reason}", shown);
      notifier.raise({ type: "upstream_key_refused", ...about, reason });
    }
    this.#tellOfAll({ id, name, count: key.of, isOpen: after.type === "open" });
  }

  /** The last key that was left is lost, or one works again. */
  #tellOfAll(
    { id, name, count, isOpen }: {
      readonly id: number;
      readonly name: string;
      readonly count: number;
      readonly isOpen: boolean;
    },
  ): void {
    const lost = this.#health().keys(id).filter(({ state }) => state !== "throttled").length;
    const { notifier } = this.#observers;
    if (lost >= count && isOpen && !this.#told.has(id)) {
      this.#told.add(id);
      const reason = `all its ${count} keys are refused or without credit`;
      getLog("health").warn("upstream {name} is down: {reason}", { name, reason });
      notifier.raise({ type: "upstream_down", upstream: name, reason });
    } else if (lost < count && this.#told.delete(id)) {
      getLog("health").info("upstream {name} has recovered", { name });
      notifier.raise({ type: "upstream_recovered", upstream: name });
    }
  }

  #measure({ id, name, keys }: Upstream): void {
    this.#observers.metrics.upstreamKeys(name, countKeys(this.#health().keys(id), keys.length));
  }
}

function countKeys(
  held: readonly { readonly state: KeyState }[],
  all: number,
): Readonly<Record<KeyState, number>> {
  const counts = { ok: all - held.length, trying: 0, throttled: 0, refused: 0, no_credit: 0 };
  for (const { state } of held) counts[state]++;
  return counts satisfies Record<typeof KEY_STATES[number], number>;
}

/** What is noted of an upstream's keys, for other processes; empty: nothing. */
export function keyNotesOf(
  health: KeyedHealth,
  upstreamId: number,
  redact: (text: string) => string,
): { readonly keys?: readonly KeyNote[] } {
  const views = health.keys(upstreamId);
  if (views.length === 0) return {};
  const aheadMs = systemClock.now() - systemClock.monotonic();
  return {
    keys: views.map(({ untilMs, reason, ...view }) => ({
      ...view,
      untilMs: untilMs === null ? null : Math.round(untilMs + aheadMs),
      reason: redact(reason),
    })),
  };
}
