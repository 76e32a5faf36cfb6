/**
 * What happens once when a request has ended: the record goes to the sink, metrics count it, the log tells
 * it, an alert is raised if one is due.
 */
import { deservesAlert } from "../../core/outcome.ts";
import type { Clock } from "../../core/clock.ts";
import type { RequestRecord } from "../../core/types.ts";
import type { Notifier } from "../../notify/notifier.ts";
import type { Observer } from "../../observe/observer.ts";
import type { RecordSink } from "../../store/store.ts";
import type { Ending, RequestLedger } from "./request_ledger.ts";

/** How long the end of a response waits for the commit of its record. */
export const ACK_LIMIT_MS = 250;

export interface SettlementDeps {
  readonly sink: RecordSink;
  readonly observer: Observer;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly logRequest: (record: RequestRecord, upstreamName: string | null) => void;
}

/** Settles the ledger; resolves when the record is committed, dropped, or late by {@link ACK_LIMIT_MS}. */
export function settle(deps: SettlementDeps, ledger: RequestLedger, ending: Ending): Promise<void> {
  const record = ledger.settle(ending);
  if (record === null) return Promise.resolve();
  const upstreamName = ledger.upstream?.name ?? null;
  const written = deps.sink.write(record);
  deps.observer.requestSettled(ledger.inbound.kind, record, upstreamName);
  deps.logRequest(record, upstreamName);
  if (record.outcome === "complete" && record.model !== null) deps.notifier.served(record.model);
  if (deservesAlert(record.outcome, record.status)) {
    deps.notifier.raise({
      type: "request_failed",
      ip: record.ip,
      model: record.model,
      status: record.status,
      message: record.error ?? record.outcome,
      requestId: record.requestId,
    });
  }
  return withinLimit(deps, written);
}

/** Writes the record again, for a reply that went on after its own end marker. */
export function resettle(deps: SettlementDeps, ledger: RequestLedger, ending: Ending): Promise<void> {
  return withinLimit(deps, deps.sink.write(ledger.resettle(ending)));
}

/** Resolves when it was written, or is late. */
function withinLimit(deps: SettlementDeps, written: Promise<unknown>): Promise<void> {
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
