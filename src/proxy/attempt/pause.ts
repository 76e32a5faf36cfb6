/**
 * A pause between two attempts, which ends early when the request must stop.
 */
import type { Clock } from "../../core/clock.ts";
import type { Stop } from "./attempted_request.ts";

/** False when the request must stop. */
export async function pause(
  ms: number,
  { clock, stop }: { readonly clock: Clock; readonly stop: Stop },
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.setTimer(resolve, ms);
  stop.cancellation.onCancel(resolve);
  try {
    await promise;
  } finally {
    clock.clearTimer(timer);
    stop.cancellation.offCancel(resolve);
  }
  return stop.cause === null;
}
