/**
 * The kinds of alerts, and the interface through which the program raises them.
 */

import type { FailureCount } from "../core/failure_window.ts";

/** One of several keys of an upstream. */
export interface AlertedKey {
  readonly upstream: string;
  /** From 1. */
  readonly key: number;
  /** The key, masked. */
  readonly masked: string;
}

/** Something that an operator should know. */
export type Alert =
  | {
    readonly type: "request_failed";
    readonly ip: string;
    readonly model: string | null;
    readonly status: number;
    readonly message: string;
    readonly requestId: string;
  }
  /** `model`: for that one only; empty: for requests without one. */
  | {
    readonly type: "upstream_down";
    readonly upstream: string;
    readonly model?: string;
    readonly reason: string;
  }
  | { readonly type: "upstream_no_credit"; readonly upstream: string; readonly reason: string }
  /** One of several keys, by its number and masked: it is refused (401, 403) and not used. */
  | ({ readonly type: "upstream_key_refused"; readonly reason: string } & AlertedKey)
  | ({ readonly type: "upstream_key_no_credit"; readonly reason: string } & AlertedKey)
  | ({ readonly type: "upstream_key_recovered" } & AlertedKey)
  /** Of its latest attempts, too many failed; others may answer in its place. */
  | ({ readonly type: "upstream_degraded"; readonly upstream: string } & FailureCount)
  /** With the latest attempts: it is no longer degraded. */
  | (
    & { readonly type: "upstream_recovered"; readonly upstream: string; readonly model?: string }
    & Partial<
      FailureCount
    >
  )
  | { readonly type: "records_dropped"; readonly reason: string }
  | { readonly type: "records_resumed" }
  /** Nothing has been deleted for an hour, although the limits say so. */
  | { readonly type: "retention_failing"; readonly reason: string }
  | { readonly type: "retention_resumed" }
  /** Requests go on; records wait in the journal. */
  | { readonly type: "postgres_down"; readonly reason: string }
  | { readonly type: "postgres_resumed" }
  /** PostgreSQL cannot store it; it stays in the journal. */
  | { readonly type: "record_rejected"; readonly reason: string }
  /** A token has spent 80 % of its budget, or all of it. */
  | ({ readonly type: "budget_near" } & AlertedBudget)
  | ({ readonly type: "budget_reached" } & AlertedBudget);

export interface AlertedBudget {
  /** Name of the token. */
  readonly client: string;
  /** Such as `20/month`. */
  readonly budget: string;
  /** In this period. */
  readonly spentUsd: string;
}

/** Raises alerts; returns at once, never throws, never affects traffic. */
export interface Notifier {
  raise(alert: Alert): void;
  /** A request for this model has succeeded: from now on its failures are a cause of their own. Cheap. */
  served(model: string): void;
  /** Sends what is pending, waiting at most `limitMs`. */
  close(limitMs: number): Promise<void>;
}
