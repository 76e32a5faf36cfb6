/**
 * The messages between a server and the thread that talks to PostgreSQL (remote_session.ts).
 */
import type { UpstreamCheck } from "../config/upstream_checks.ts";
import type { ThrownError } from "../threads/messages.ts";
import type { RetentionLimits } from "./retention.ts";
import type { Backlog } from "./shipper/journal.ts";
import type { ShipperTrouble } from "./shipper/shipper.ts";
import type { PgTarget } from "./target.ts";

export interface RemoteOpening {
  readonly type: "open";
  readonly target: PgTarget;
  readonly journal: string;
  readonly instance: string;
  readonly version: string;
  readonly listen: string;
  readonly retention: RetentionLimits;
  readonly gatherMs: number;
}

export type ToRemote =
  /** The first one. */
  | RemoteOpening
  /** The journal has new records. */
  | { readonly type: "wake" }
  | { readonly type: "call"; readonly call: number; readonly name: string; readonly argument: unknown }
  /** A question of {@link RemoteQueries}. */
  | { readonly type: "query"; readonly call: number; readonly name: string; readonly argument: unknown }
  /** An upstream has answered for the first time. */
  | { readonly type: "check"; readonly check: UpstreamCheck }
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
  | { readonly type: "backlog"; readonly backlog: Backlog }
  | { readonly type: "released" }
  | { readonly type: "answer"; readonly call: number; readonly value: unknown }
  | { readonly type: "failed"; readonly call: number; readonly error: ThrownError }
  | { readonly type: "closed" };
