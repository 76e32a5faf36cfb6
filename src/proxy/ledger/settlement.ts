/**
 * What happens once when a request ends: its record goes to the sink, and every listener is called.
 */
import type { Clock } from "../../core/clock.ts";
import { deservesAlert } from "../../core/outcome.ts";
import type { EndpointKind, RequestRecord } from "../../core/types.ts";
import type { Notifier } from "../../notify/notifier.ts";
import type { Observer } from "../../observe/observer.ts";
import type { RecordSink } from "../../store/store.ts";
import type { Ending, RequestLedger } from "./request_ledger.ts";

/** How long the end of a response waits for the commit of its record. */
const ACK_LIMIT_MS = 250; // docs/tuning.md#relay-and-settlement

/** Called once for each request that was settled; never throws. */
export type SettledListener = (
  record: RequestRecord,
  upstreamName: string | null,
  kind: EndpointKind,
) => void;

export interface SettlementDeps {
  /** The only receiver that is awaited. */
  readonly sink: RecordSink;
  /** Called in this order. */
  readonly onSettled: readonly SettledListener[];
  readonly observer: Pick<Observer, "recordAckLate">;
  readonly clock: Clock;
}

/**
 * Settles the ledger; resolves when the record is committed, dropped, or late: by {@link ACK_LIMIT_MS}, or at once while
 * the sink takes nothing.
 */
export function settle(deps: SettlementDeps, ledger: RequestLedger, ending: Ending): Promise<void> {
  const record = ledger.settle(ending);
  if (record === null) return Promise.resolve();
  const upstreamName = ledger.upstream?.name ?? null;
  const written = deps.sink.write(record);
  for (const listener of deps.onSettled) listener(record, upstreamName, ledger.inbound.kind);
  return withinLimit(deps, written);
}

/** Counts settled requests in the metrics. */
export function countSettled(observer: Pick<Observer, "requestSettled">): SettledListener {
  return (record, upstreamName, kind) => observer.requestSettled(kind, record, upstreamName);
}

/** Raises an alert if one is due. */
export function alertSettled(notifier: Pick<Notifier, "raise" | "served">): SettledListener {
  return (record) => {
    if (record.outcome === "complete" && record.model !== null) notifier.served(record.model);
    if (!deservesAlert(record.outcome, record.status)) return;
    notifier.raise({
      type: "request_failed",
      ip: record.ip,
      model: record.model,
      status: record.status,
      message: record.error ?? record.outcome,
      requestId: record.requestId,
    });
  };
}

/** Writes the record again, for a reply that continued after its end marker. */
export function resettle(deps: SettlementDeps, ledger: RequestLedger, ending: Ending): Promise<void> {
  return withinLimit(deps, deps.sink.write(ledger.resettle(ending)));
}

/** Resolves when the record is written, or late. */
function withinLimit(deps: SettlementDeps, written: Promise<unknown>): Promise<void> {
  if (deps.sink.isStalled) {
    deps.observer.recordAckLate();
    return Promise.resolve();
  }
  return new Promise((resolve) => {
    const timer = deps.clock.setTimer(() => {
      deps.observer.recordAckLate();
      resolve();
    }, ACK_LIMIT_MS);
    void written.then(() => {
      deps.clock.clearTimer(timer);
      resolve();
    });
  });
}
