/**
 * The messages between a server and the thread that talks to PostgreSQL (remote_session.ts).
 */
import type { ListedUpstream } from "../../core/model_catalog.ts";
import type { LeaseRequest } from "../../core/spend.ts";
import type { UpstreamCheck } from "../config/upstream_checks.ts";
import type { ThrownError } from "../threads/messages.ts";
import type { RemoteSessionOptions } from "./remote_session.ts";
import type { Backlog } from "./shipper/journal.ts";
import type { ShipperTrouble } from "./shipper/shipper.ts";
import type { ForeignState, OwnState } from "./shared_states.ts";
import type { PgTarget } from "./target.ts";

/** What of {@link RemoteSessionOptions} can be sent to another thread. */
export interface RemoteOpening
  extends Omit<RemoteSessionOptions, "database" | "spendDatabase" | "clock" | "newId" | "events"> {
  readonly type: "open";
  readonly target: PgTarget;
}

export type ToRemote =
  /** The first one. */
  | RemoteOpening
  /** The journal has new records. */
  | { readonly type: "wake" }
  | { readonly type: "call"; readonly call: number; readonly name: string; readonly argument: unknown }
  /** A question of {@link RemoteQueries}. */
  | { readonly type: "query"; readonly call: number; readonly name: string; readonly argument: unknown }
  /** Notes what tokens have spent, and renews their leases. */
  | { readonly type: "renew_spend"; readonly call: number; readonly requests: readonly LeaseRequest[] }
  /** All that this replica has found of upstreams. */
  | { readonly type: "states"; readonly states: readonly OwnState[] }
  /** An upstream has answered for the first time. */
  | { readonly type: "check"; readonly check: UpstreamCheck }
  /** What an upstream lists; null: it is gone. */
  | { readonly type: "model_list"; readonly upstreamId: number; readonly asked: ListedUpstream | null }
  /** Let go of the journal: its WAL was deleted; and use it again. */
  | { readonly type: "release" }
  | { readonly type: "resume" }
  /** The last one. */
  | { readonly type: "close"; readonly limitMs: number };

export type FromRemote =
  | { readonly type: "copied" }
  | { readonly type: "changed" }
  | { readonly type: "shipped"; readonly requestIds: readonly string[]; readonly durationMs: number }
  | { readonly type: "rejected"; readonly requestId: string | null; readonly reason: string }
  | { readonly type: "trouble"; readonly kind: ShipperTrouble; readonly message: string }
  | { readonly type: "resumed" }
  | { readonly type: "dropped"; readonly partitions: readonly string[] }
  /** All that other replicas have found, when it has changed. */
  | { readonly type: "foreign_states"; readonly states: readonly ForeignState[] }
  | { readonly type: "backlog"; readonly backlog: Backlog }
  | { readonly type: "released" }
  | { readonly type: "answer"; readonly call: number; readonly value: unknown }
  | { readonly type: "failed"; readonly call: number; readonly error: ThrownError }
  | { readonly type: "closed" };
