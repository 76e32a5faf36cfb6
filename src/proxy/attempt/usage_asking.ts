/**
 * Which upstreams are asked for the usage of streams whose client has not asked.
 *
 * Owns what is remembered of upstreams that refuse to be asked; it holds for one endpoint and key, and for a while: an
 * upstream may learn.
 */
import type { BodyPatch } from "../../core/body_patch.ts";
import type { Clock } from "../../core/clock.ts";
import type { Upstream } from "../../core/types.ts";
import { targetOf } from "../../core/upstream_target.ts";
import { isRefusalOf, type UsageRefusal } from "../../core/usage_option.ts";

export interface UsageAskingOptions {
  readonly clock: Pick<Clock, "now">;
  /** For upstreams without a setting of their own. */
  readonly usage: "auto" | "never";
  /** An upstream has refused for the first time. Default: nobody is told. */
  readonly onRefused?: (upstream: Upstream, refusal: UsageRefusal) => void;
}

/** One object for the life of the program. */
export class UsageAsking {
  readonly #options: UsageAskingOptions;
  /** When each target has refused. */
  readonly #refused = new Map<string, number>();
  /** Replies of these come with a content coding, in which nothing can be left out. */
  readonly #coding = new Set<string>();
  readonly #targets = new WeakMap<Upstream, string>();

  constructor(options: UsageAskingOptions) {
    this.#options = options;
  }

  isAsked(upstream: Upstream): boolean {
    if ((upstream.billing.usage ?? this.#options.usage) === "never") return false;
    if (hasOwnOption(upstream.shaping.bodyPatch)) return false;
    if (this.#refused.size === 0 && this.#coding.size === 0) return true;
    const target = this.#targetOf(upstream);
    if (this.#coding.has(target)) return false;
    const refusedAtMs = this.#refused.get(target);
    return refusedAtMs === undefined || !isRefusalOf(refusedAtMs, this.#options.clock.now());
  }

  /** It refused a request only because it was asked. */
  refused(upstream: Upstream): void {
    const refusedAtMs = this.#options.clock.now();
    const target = this.#targetOf(upstream);
    this.#refused.set(target, refusedAtMs);
    this.#options.onRefused?.(upstream, { upstreamId: upstream.id, target, refusedAtMs });
  }

  /** Its replies are coded although that was not accepted, so that the client gets the usage. */
  coded(upstream: Upstream): void {
    this.#coding.add(this.#targetOf(upstream));
  }

  /** What this program and others have written down. */
  load(refusals: readonly UsageRefusal[]): void {
    for (const { target, refusedAtMs } of refusals) {
      this.#refused.set(target, Math.max(refusedAtMs, this.#refused.get(target) ?? 0));
    }
  }

  /** Forgets all others. */
  keep(upstreams: readonly Upstream[]): void {
    if (this.#refused.size === 0 && this.#coding.size === 0) return;
    const kept = new Set(upstreams.map((upstream) => this.#targetOf(upstream)));
    for (const known of [this.#refused, this.#coding]) {
      for (const target of [...known.keys()]) if (!kept.has(target)) known.delete(target);
    }
  }

  #targetOf(upstream: Upstream): string {
    let target = this.#targets.get(upstream);
    if (target === undefined) {
      target = targetOf(upstream);
      this.#targets.set(upstream, target);
    }
    return target;
  }
}

/** The operator's patch says what is asked for. */
function hasOwnOption(patch: BodyPatch | null): boolean {
  return patch !== null && (Object.hasOwn(patch, "stream_options") || Object.hasOwn(patch, "stream"));
}
