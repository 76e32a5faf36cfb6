/**
 * What is shown of an upstream's keys, when it has several and some are held back. Pure; keys are masked.
 */
import type { ShownState } from "../../core/breaker.ts";
import type { HealthCell } from "../../core/health_cells.ts";
import type { KeyState } from "../../core/key_states.ts";
import { shownState } from "../../core/breaker.ts";
import { maskSecret } from "../../core/secrets.ts";
import type { Upstream } from "../../core/types.ts";
import type { UpstreamStates } from "../../core/upstream_states.ts";

/** What is shown of an upstream. */
export interface HealthView {
  /** Of the upstream as a whole; of a model when the whole is well, or of all its keys. */
  readonly state: ShownState;
  /** When it may be tried again; monotonic. null: it is tried now, or is well. */
  readonly untilMs: number | null;
  /** Why, with the model when it is about one; null when it is well. */
  readonly reason: string | null;
}

/** A key as people may see it. */
export interface NamedKey {
  /** Among those of its upstream, from 1; 0: it is not one of them any more. */
  readonly n: number;
  /** Masked. */
  readonly shown: string;
  /** How many keys its upstream has. */
  readonly of: number;
}

/** A key that is held back. */
export interface KeyView {
  readonly n: number;
  /** Masked. */
  readonly key: string;
  readonly state: Exclude<KeyState, "ok">;
  /** Monotonic; null: it is being tried. */
  readonly untilMs: number | null;
  readonly reason: string;
}

export interface KeyedUpstream {
  readonly upstream: Upstream;
  readonly states: UpstreamStates;
}

export function nameKey(key: string, { keys }: Pick<Upstream, "keys">): NamedKey {
  return { n: keys.indexOf(key) + 1, shown: maskSecret(key), of: keys.length };
}

export function keyViews({ upstream: { keys }, states }: KeyedUpstream): KeyView[] {
  if (keys.length < 2 || states.isWell) return [];
  return keys.flatMap((key, index) => {
    const [cell] = states.unwellKey(key);
    if (cell === undefined) return [];
    return { n: index + 1, key: maskSecret(key), ...stateOf(cell) };
  });
}

/** null: a key is left. */
export function allKeysView(known: KeyedUpstream): HealthView | null {
  const views = keyViews(known);
  if (views.length === 0 || views.length < known.upstream.keys.length) return null;
  const times = views.map(({ untilMs }) => untilMs);
  const isTried = times.includes(null);
  const [first] = views.toSorted((a, b) => (a.untilMs ?? 0) - (b.untilMs ?? 0));
  return {
    state: isTried ? "half_open" : views.every(({ state }) => state === "no_credit") ? "no_credit" : "open",
    untilMs: isTried ? null : first?.untilMs ?? null,
    reason: `all ${views.length} keys are held back; key ${first?.n}: ${first?.reason}`,
  };
}

function stateOf({ model, reason, state }: HealthCell): Pick<KeyView, "state" | "untilMs" | "reason"> {
  const about = model === null ? "" : model === "" ? "no model: " : `model ${model}: `;
  const untilMs = state.type === "open" ? state.untilMs : null;
  const shown = shownState(state) === "no_credit"
    ? "no_credit" as const
    : state.type === "half_open"
    ? "trying" as const
    : model === null
    ? "refused" as const
    : "throttled" as const;
  return { state: shown, untilMs, reason: `${about}${reason}` };
}
