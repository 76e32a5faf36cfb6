/**
 * Checks upstreams that had no traffic for a while, by asking for their models (`--check`).
 *
 * Owns when each is checked, and what an answer means. What follows from it is in core/upstream_states.ts.
 */
import { Cancellation } from "../core/cancellation.ts";
import type { Clock, TimerId } from "../core/clock.ts";
import { ASIS, type Upstream } from "../core/types.ts";
import type { CheckResult } from "../core/upstream_states.ts";
import type { SendResult } from "../proxy/attempt/transport.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import { sendModelsRequest } from "../proxy/models/models_request.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";

const LIMIT_MS = 10_000;

export interface ActiveChecksDeps {
  readonly client: UpstreamClient;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly health: Pick<UpstreamHealth, "triedAtMs" | "checked">;
  /** An upstream without an attempt for this long is checked. */
  readonly everyMs: number;
  readonly onChecked: (upstreamName: string, result: CheckResult) => void;
}

interface Checked {
  upstream: Upstream;
  timer: TimerId | null;
  cancellation: Cancellation | null;
}

export class ActiveChecks {
  readonly #deps: ActiveChecksDeps;
  readonly #checked = new Map<number, Checked>();

  constructor(deps: ActiveChecksDeps) {
    this.#deps = deps;
  }

  /** The upstreams as configured now. */
  configured(upstreams: readonly Upstream[]): void {
    const enabled = new Map(upstreams.filter(({ isEnabled }) => isEnabled).map((each) => [each.id, each]));
    for (const [id, checked] of this.#checked) {
      const upstream = enabled.get(id);
      if (isSameTarget(upstream, checked.upstream)) checked.upstream = upstream ?? checked.upstream;
      else this.#end(id, checked);
    }
    for (const [id, upstream] of enabled) {
      if (this.#checked.has(id)) continue;
      const checked: Checked = { upstream, timer: null, cancellation: null };
      this.#checked.set(id, checked);
      this.#later(checked, this.#deps.everyMs);
    }
  }

  stop(): void {
    for (const [id, checked] of this.#checked) this.#end(id, checked);
  }

  #end(id: number, { timer, cancellation }: Checked): void {
    this.#checked.delete(id);
    if (timer !== null) this.#deps.clock.clearTimer(timer);
    cancellation?.cancel();
  }

  #later(checked: Checked, delayMs: number): void {
    const { clock, random } = this.#deps;
    const jitteredMs = delayMs * (1 + 0.2 * random());
    checked.timer = clock.setTimer(() => this.#checkIfIdle(checked), jitteredMs);
  }

  #checkIfIdle(checked: Checked): void {
    const { clock, everyMs, health } = this.#deps;
    checked.timer = null;
    const triedAtMs = health.triedAtMs(checked.upstream.id);
    const restMs = triedAtMs === null ? 0 : triedAtMs + everyMs - clock.monotonic();
    if (restMs > 0) this.#later(checked, restMs);
    else void this.#check(checked);
  }

  async #check(checked: Checked): Promise<void> {
    const { clock, health, everyMs, onChecked } = this.#deps;
    const { upstream } = checked;
    const cancellation = new Cancellation();
    checked.cancellation = cancellation;
    const startedMs = clock.monotonic();
    const result = await sendModelsRequest(this.#deps, { upstream, limitMs: LIMIT_MS, cancellation });
    if (result.type === "reply") result.body.cancel();
    // Whoever ended it meanwhile does not want to know; a check that was late is cancelled, too.
    if (this.#checked.get(upstream.id) !== checked) return;
    checked.cancellation = null;
    const found = resultOf(result, upstream);
    if (found !== null) {
      health.checked(upstream, { ...found, startedMs });
      onChecked(upstream.name, found.result);
    }
    this.#later(checked, everyMs);
  }
}

function isSameTarget(one: Upstream | undefined, other: Upstream): boolean {
  return one !== undefined && one.endpoint === other.endpoint && one.sk === other.sk;
}

/** null: it says nothing. */
function resultOf(
  result: SendResult,
  { sk, keys }: Upstream,
): { readonly result: CheckResult; readonly reason: string } | null {
  switch (result.type) {
    case "reply":
      // The first of several keys is asked with, and says nothing about the others.
      return {
        result: meaningOf(result.status, sk === ASIS || keys.length > 1),
        reason: `check: HTTP ${result.status}`,
      };
    case "connect_error":
    case "bad_reply":
      return { result: "outage", reason: `check: ${result.message}` };
    case "timeout":
      return { result: "outage", reason: `check: no answer within ${result.limitMs / 1000} s` };
    case "no_credential":
    case "client_gone":
      return null;
    default:
      return result satisfies never;
  }
}

/** Most other errors are answers: the upstream can be reached. */
function meaningOf(status: number, isNoMatterOfKey: boolean): CheckResult {
  if (status >= 500) return "outage";
  if (isNoMatterOfKey) return "reached";
  if (status === 402) return "no_credit";
  return status === 401 || status === 403 ? "refusal" : "reached";
}
