/**
 * Decides when a relayed reply settles its request, and with which verdict.
 *
 * A request is settled before the last bytes of its reply are sent: at the protocol's end marker, or at the end of the
 * body. A body may continue after its end marker; the record is then written again.
 */
import { isLookUp } from "../../core/look_up.ts";
import type { CapturedReply, Inbound } from "../../core/types.ts";
import type { OpenReply } from "../assess/assessment.ts";
import type { RequestLedger } from "../ledger/request_ledger.ts";
import { type Verdict, verdictOnRelay } from "../ledger/verdict.ts";
import type { RelayEnd, RelayHooks } from "./relay.ts";

/** The request to be settled. */
export interface RelayedRequest {
  readonly ledger: Pick<RequestLedger, "noteProgress"> & { readonly inbound: Pick<Inbound, "method"> };
  /** Called once. Resolves when the record is committed, or late. */
  settle(verdict: Verdict, captured: CapturedReply): Promise<void>;
  /** Writes the record again, after {@link settle}. */
  resettle(verdict: Verdict, captured: CapturedReply): Promise<void>;
}

export class RelaySettlement implements RelayHooks {
  readonly #reply: Pick<OpenReply, "capture" | "status" | "isEventStream">;
  readonly #request: RelayedRequest;
  /** Bytes that the capture had seen when the request was settled; null before. */
  #settledBytes: number | null = null;

  constructor(reply: Pick<OpenReply, "capture" | "status" | "isEventStream">, request: RelayedRequest) {
    this.#reply = reply;
    this.#request = request;
  }

  onProgress(bytes: number): void {
    this.#request.ledger.noteProgress(bytes);
  }

  async onEnd(end: RelayEnd): Promise<void> {
    const captured = this.#capturedAt(end);
    if (this.#settledBytes === null) {
      this.#settledBytes = captured.bytes;
      return await this.#request.settle(this.#verdict(end, captured), captured);
    }
    // After the end marker, the reply was complete even if the client leaves or the program stops.
    const isOurs = end.type === "client_gone" || end.type === "stopped";
    if (isOurs || captured.bytes === this.#settledBytes) return;
    await this.#request.resettle(this.#verdict({ type: "end" }, captured), captured);
  }

  #capturedAt(end: RelayEnd): CapturedReply {
    const { capture, isEventStream } = this.#reply;
    // More events may follow the end marker.
    if (end.type === "terminal" && isEventStream) return capture.partial();
    return capture.finish(end.type === "end" || end.type === "terminal");
  }

  #verdict(end: RelayEnd, captured: CapturedReply): Verdict {
    const { status, isEventStream, capture } = this.#reply;
    const { hasContent, error, defect } = capture.progress;
    const facts = { status, isEventStream, hasContent, error, defect };
    const { method } = this.#request.ledger.inbound;
    return verdictOnRelay(end, captured, { ...facts, isLookUp: isLookUp(method) });
  }
}
