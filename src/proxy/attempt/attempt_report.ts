/**
 * What one attempt tells the breakers of its upstream, from how it ended.
 *
 * A 404 waits until it is known whether another upstream answers the same request.
 */
import { type AttemptFacts, type HealthReport, statusReport } from "../../core/blame.ts";
import type { Clock } from "../../core/clock.ts";
import { meaningOf } from "../../core/error_meaning.ts";
import type { ModelCatalog } from "../../core/model_catalog.ts";
import type { HeaderView } from "../../core/header_fields.ts";
import { isFinalError, retryAfterMs } from "../../core/policy.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import type { Inbound, Upstream } from "../../core/types.ts";
import type { Verdict } from "../ledger/verdict.ts";
import { describe, type FailedOutcome, failureReport, relayReport, statusReason } from "./failure.ts";
import { keyOwnerOf } from "./request_subject.ts";
import type { AttemptHealth, UpstreamHealth } from "./upstream_health.ts";

export interface ReportDeps {
  readonly health: UpstreamHealth;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  readonly models: { readonly catalog: Pick<ModelCatalog, "lacks" | "serves"> };
  /** Errors with these codes say something about the request only. */
  readonly retry: { readonly finalCodes: ReadonlySet<string> };
}

export class AttemptReport {
  readonly #health: AttemptHealth;
  readonly #clock: ReportDeps["clock"];
  readonly #facts: AttemptFacts;
  readonly #finalCodes: ReadonlySet<string>;
  readonly #hasSeveralKeys: boolean;
  readonly #catalog: Pick<ModelCatalog, "lacks" | "serves">;
  readonly #upstream: Upstream;
  readonly #inbound: Inbound;
  /** Why the upstream does not have what was asked for, while it is open whose fault that is. */
  #missing: string | null = null;
  /** Its error says that it does not have the model, and not only that something is not there. */
  #isModelMissing = false;
  /** Why one of several keys was refused; null: it was not. */
  #refused: string | null = null;

  /** The attempt is about to begin. */
  constructor(
    { health, clock, models, retry }: ReportDeps,
    upstream: Upstream,
    inbound: Inbound,
  ) {
    this.#health = health.begin(upstream, inbound);
    this.#clock = clock;
    this.#finalCodes = retry.finalCodes;
    this.#hasSeveralKeys = upstream.keyN !== null;
    this.#catalog = models.catalog;
    this.#upstream = upstream;
    this.#inbound = inbound;
    this.#facts = { keyOwner: keyOwnerOf(upstream, inbound), hasModel: inbound.model !== null };
  }

  /** The reply shows content, and goes on. */
  content(): void {
    this.#health.content();
  }

  /** The attempt ended without an answer. */
  failed(outcome: Exclude<FailedOutcome, { type: "response" }>): void {
    const error = "error" in outcome ? outcome.error : null;
    if (this.#isFinal(error)) return this.#final();
    this.#end(failureReport(outcome, this.#facts), { reason: describe(outcome), error });
  }

  /** It was answered with an error. */
  answered(status: number, error: ReportedError | null, headers: HeaderView | null): void {
    if (this.#isFinal(error)) return this.#final();
    const canAsk = headers !== null && (status === 429 || status === 503);
    const waitMs = canAsk ? retryAfterMs(headers, this.#clock.now()) : null;
    const report = statusReport(status, { error, waitMs }, this.#facts);
    const reason = statusReason(report, status);
    // A 403 may be about what was asked for: there, other keys prove nothing.
    if (status === 401 && report.type === "refused" && report.by === "router" && this.#hasSeveralKeys) {
      this.#refused = reason;
    }
    this.#end(report, { reason, error });
  }

  /** The relay of its reply, which was no error, is over. */
  relayed({ outcome, error: message }: Verdict, error: ReportedError | null): void {
    if (outcome === "error_event" && this.#isFinal(error)) return this.#final();
    this.#end(relayReport(outcome, error, this.#facts), { reason: message ?? "it answered", error });
  }

  /** How it would have ended is not known, or says nothing. */
  abandoned(reason: string): void {
    this.#health.end({ type: "nothing" }, reason);
  }

  #isFinal(error: ReportedError | null): boolean {
    return isFinalError(error, this.#finalCodes);
  }

  #final(): void {
    this.abandoned("the error is final");
  }

  /** Another upstream was faster. */
  outrun(): void {
    this.#health.end({ type: "outrun" }, "another upstream was faster");
  }

  /** Whether one of several keys was refused, so that {@link confirmRefusal} may follow. */
  get isKeyRefused(): boolean {
    return this.#refused !== null;
  }

  /** Another key of the same upstream was accepted for the same request. */
  confirmRefusal(): void {
    if (this.#refused !== null) this.#health.confirmRefusal(this.#refused);
    this.#refused = null;
  }

  /** Whether the upstream does not have what was asked for, so that {@link settleMissing} must follow. */
  get isMissing(): boolean {
    return this.#missing !== null;
  }

  /** Another upstream has answered the same request, or nobody has. */
  settleMissing({ isAnswered }: { readonly isAnswered: boolean }): void {
    const reason = this.#missing;
    if (reason === null) return;
    this.#missing = null;
    if (isAnswered) this.#health.end({ type: "lacking" }, `${reason}, and another upstream answers`);
    else this.#health.end({ type: "missing" }, reason);
    // A client can make an upstream say so of any model.
    if (this.#isModelMissing && !this.#health.servesOthers()) {
      this.#catalog.lacks(this.#upstream, this.#inbound, this.#clock.monotonic());
    }
  }

  #end(
    report: HealthReport,
    { reason, error }: { readonly reason: string; readonly error: ReportedError | null },
  ): void {
    if (report.type === "missing") {
      this.#missing = reason;
      this.#isModelMissing = error !== null && meaningOf(error) === "model";
      return;
    }
    if (report.type === "served") this.#catalog.serves(this.#upstream, this.#inbound);
    this.#health.end(report, reason);
  }
}
