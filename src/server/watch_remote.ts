/**
 * Who is told of what happens with PostgreSQL: log, metrics, alerts, and the registry, which reads the journal's copy.
 */
import { getLog } from "../observe/log.ts";
import type { Registry } from "../store/config/registry.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";
import type { RemoteDatabase } from "./remote_database.ts";
import { RemoteOutage } from "./remote_outage.ts";

/** @returns what ends it */
export function watchRemote(
  remote: RemoteDatabase,
  { observers: { metrics, notifier }, registry }: {
    readonly observers: Observers;
    readonly registry: Pick<Registry, "reloadNow">;
  },
): { stop(): void } {
  const log = getLog("postgres");
  const outage = new RemoteOutage({ notifier, clock: systemClock });
  if (remote.state.type === "down") outage.trouble(remote.state.message);
  remote.listen((event) => {
    switch (event.type) {
      case "trouble":
      case "crashed":
        return outage.trouble(event.message);
      case "resumed":
        return outage.resumed();
      case "changed":
        return registry.reloadNow();
      case "shipped":
        return metrics.recordsShipped(event.requestIds.length, event.durationMs);
      case "rejected":
        metrics.recordRejected();
        log.error("PostgreSQL refuses record {requestId}, which stays in the journal: {reason}", {
          requestId: event.requestId ?? "-",
          reason: event.reason,
        });
        return notifier.raise({ type: "record_rejected", reason: event.reason });
      case "dropped":
        return log.info("days that need not be kept were deleted: {partitions}", {
          partitions: event.partitions.join(", "),
        });
      case "copied":
      case "backlog":
      case "foreign_states":
        return;
      default:
        event satisfies never;
    }
  });
  return outage;
}
