/**
 * What this server finds of its upstreams, told to the other replicas, and what they find, told to its breakers.
 *
 * Owns the way between the two, and how much is told. The rules are in core/foreign_findings.ts.
 */
import type { Clock, TimerId } from "../core/clock.ts";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../core/cut_text.ts";
import type { Finding, ForeignFinding } from "../core/foreign_findings.ts";
import type { Upstream } from "../core/types.ts";
import { targetOf } from "../core/upstream_target.ts";
import { getLog } from "../observe/log.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { Registry } from "../store/config/registry.ts";
import { type ForeignState, MAX_REASON_LENGTH, type OwnState } from "../store/postgres/shared_states.ts";
import type { ServerHealth } from "./health.ts";
import type { RemoteEvent } from "./remote_thread.ts";

/** Changes that come close together are told at once. */
const GATHER_MS = 50;
/** Of one upstream; those that are held back for longest come first. */
const MAX_FINDINGS = 32;
/** Of a server; a further upstream is not told of. */
const MAX_STATES = 1_000;

/** Of RemoteDatabase. */
export interface SharingRemote {
  listen(listener: (event: RemoteEvent) => void): void;
  readonly thread: {
    readonly foreignStates: readonly ForeignState[];
    states(states: readonly OwnState[]): void;
  };
}

export interface SharedStateParts {
  readonly health: Pick<ServerHealth, "own" | "onNoted"> & { readonly health: Pick<UpstreamHealth, "hear"> };
  readonly remote: SharingRemote;
  readonly registry: Pick<Registry, "snapshot" | "onChange">;
  readonly clock: Clock;
}

/**
 * Begins to share; to be called before the registry is started.
 *
 * @returns ends it
 */
export function shareStates(parts: SharedStateParts): { stop(): void } {
  const { remote, registry, clock, health } = parts;
  const hearing = new Hearing(parts);
  let timer: TimerId | null = null;
  const tell = () => {
    timer = null;
    remote.thread.states(ownStates(parts));
  };
  health.onNoted(() => timer ??= clock.setTimer(tell, GATHER_MS));
  remote.listen((event) => {
    if (event.type === "foreign_states") hearing.hear(event.states);
  });
  // After the breakers know which upstreams there are.
  const unlisten = registry.onChange(() => hearing.repeat());
  hearing.hear(remote.thread.foreignStates);
  return {
    stop: () => {
      unlisten();
      if (timer !== null) clock.clearTimer(timer);
    },
  };
}

/** What is told now, in the wall clock's time. */
function ownStates({ health, registry, clock }: SharedStateParts): OwnState[] {
  const aheadMs = clock.now() - clock.monotonic();
  const states: OwnState[] = [];
  for (const upstream of registry.snapshot().upstreams) {
    const own = health.own(upstream.id);
    if (own === null) continue;
    const { findings, ...note } = own;
    states.push({
      ...note,
      target: targetOf(upstream),
      findings: told(findings).map((finding) => ({
        ...finding,
        untilMs: finding.untilMs + aheadMs,
        reason: cutText(finding.reason, MAX_REASON_LENGTH),
      })),
    });
    if (states.length === MAX_STATES) break;
  }
  return states;
}

/** The whole upstream first. A model in a form that the database would change is nobody else's. */
function told(findings: readonly Finding[]): Finding[] {
  return findings
    .filter(({ model }) => model === null || isPlainName(model))
    .sort((a, b) => Number(b.model === null) - Number(a.model === null) || b.untilMs - a.untilMs)
    .slice(0, MAX_FINDINGS);
}

function isPlainName(model: string): boolean {
  return model.length <= MAX_SHOWN_NAME_LENGTH && model.isWellFormed() && !model.includes("\0");
}

/** What was heard last, by upstream, in monotonic time. */
class Hearing {
  readonly #parts: SharedStateParts;
  #heard = new Map<number, (ForeignFinding & Pick<ForeignState, "target">)[]>();
  /** Of what was logged, as long as it is said. */
  #logged = new Set<string>();

  constructor(parts: SharedStateParts) {
    this.#parts = parts;
  }

  hear(states: readonly ForeignState[]): void {
    const { clock, registry } = this.#parts;
    const behindMs = clock.monotonic() - clock.now();
    this.#heard = new Map();
    for (const { upstreamId, ...state } of states) {
      const heard = this.#heard.get(upstreamId) ?? [];
      heard.push({ ...state, untilMs: state.untilMs + behindMs });
      this.#heard.set(upstreamId, heard);
    }
    this.repeat();
    this.#log(registry.snapshot().upstreams);
  }

  /** For upstreams that are configured since. */
  repeat(): void {
    const { registry, health } = this.#parts;
    health.health.hear(registry.snapshot().upstreams, (upstream) => this.#of(upstream));
  }

  /** Of the present endpoint and key. */
  #of(upstream: Upstream): readonly ForeignFinding[] {
    const heard = this.#heard.get(upstream.id);
    if (heard === undefined) return [];
    const target = targetOf(upstream);
    return heard.filter((each) => each.target === target);
  }

  #log(upstreams: readonly Upstream[]): void {
    const nowMs = this.#parts.clock.monotonic();
    const logged = new Set<string>();
    for (const upstream of upstreams) {
      for (const { source, model, cause, opening, untilMs, reason } of this.#of(upstream)) {
        if (cause === "outage" || untilMs <= nowMs) continue;
        const key = JSON.stringify([upstream.id, source, model, opening]);
        logged.add(key);
        if (this.#logged.has(key)) continue;
        const what = model === null ? "upstream {name}" : "upstream {name}, model {model},";
        const shown = { name: upstream.name, model: model === "" ? "-" : model, reason };
        getLog("health").info(`${what} is held back, as another replica found: {reason}`, shown);
      }
    }
    this.#logged = logged;
  }
}
