/**
 * Who is told of what happens with PostgreSQL: log, metrics, alerts, and the registry, which reads the journal's copy.
 */
import { getLog } from "../observe/log.ts";
import type { Registry } from "../store/config/registry.ts";
import type { Observers } from "./observers.ts";
import type { RemoteDatabase } from "./remote_database.ts";

export function watchRemote(
  remote: RemoteDatabase,
  { observers: { metrics, notifier }, registry }: {
    readonly observers: Observers;
    readonly registry: Pick<Registry, "reloadNow">;
  },
): void {
  const log = getLog("postgres");
  let isDown = false;
  const down = (message: string) => {
    if (isDown) return;
    isDown = true;
    log.error("PostgreSQL cannot be used; requests go on, records wait in the journal: {message}", {
      message,
    });
    notifier.raise({ type: "postgres_down", reason: message });
  };
  if (remote.state.type === "down") down(remote.state.message);
  remote.listen((event) => {
    switch (event.type) {
      case "trouble":
      case "crashed":
        return down(event.message);
      case "resumed":
        if (!isDown) return;
        isDown = false;
        log.info("PostgreSQL can be used again");
        return notifier.raise({ type: "postgres_resumed" });
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
        return;
      default:
        event satisfies never;
    }
  });
}
