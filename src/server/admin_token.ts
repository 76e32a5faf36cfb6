/**
 * Makes the token of the admin page where there is none, although the server runs already.
 *
 * That is so for databases of older versions, when another program held the lock, or the disk was full, at the start.
 */
import type { ChangeCalls } from "../control/change_calls.ts";
import type { TimerId } from "../core/clock.ts";
import type { Registry } from "../store/config/registry.ts";
import { systemClock } from "./clock.ts";

const RETRY_MS = 5_000;

/** Tries until there is one. */
export function ensureAdminTokenSoon(
  { registry, changes }: {
    readonly registry: Pick<Registry, "snapshot" | "reloadNow">;
    readonly changes: ChangeCalls;
  },
): { stop(): void } {
  let timer: TimerId | null = null;
  let isStopped = false;
  const attempt = async (): Promise<void> => {
    timer = null;
    if (registry.snapshot().adminToken !== null) return;
    try {
      await changes.ask("ensureAdminToken", undefined);
      registry.reloadNow();
    } catch {
      if (!isStopped) timer = systemClock.setTimer(() => void attempt(), RETRY_MS);
    }
  };
  void attempt();
  return {
    stop: () => {
      isStopped = true;
      if (timer !== null) systemClock.clearTimer(timer);
    },
  };
}
