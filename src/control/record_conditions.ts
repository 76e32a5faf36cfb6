/**
 * The conditions on records as they come in from the page and the API, made into a filter.
 *
 * Owns how upstreams are named there: by id or name. Values of the others are checked by whoever read them.
 */
import type { CountRange } from "../core/bounds.ts";
import type { Outcome } from "../core/types.ts";
import type { RecordFilter } from "../store/store.ts";
import type { UpstreamView } from "./admin_service.ts";
import { onlyNamed } from "./upstreams.ts";

/** What is undefined is no condition. */
export interface RecordConditions {
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly model?: string | undefined;
  readonly upstream?: string | undefined;
  readonly tried?: string | undefined;
  readonly failedOn?: string | undefined;
  readonly attempts?: CountRange | undefined;
  readonly slowerThan?: number | undefined;
  readonly failed?: string | undefined;
  readonly status?: number | undefined;
  readonly outcome?: Outcome | undefined;
  readonly client?: string | undefined;
  readonly without?: "model" | "client" | undefined;
  readonly q?: string | undefined;
}

type Named = Pick<UpstreamView, "id" | "name">;

/** @throws ControlError `not_found` or `ambiguous` for the name of an upstream */
export function toRecordFilter(conditions: RecordConditions, upstreams: readonly Named[]): RecordFilter {
  const { since, until, model, upstream, tried, failedOn, attempts, slowerThan, failed } = conditions;
  const { status, outcome, client, without, q } = conditions;
  return {
    ...(since === undefined ? {} : { sinceMs: since }),
    ...(until === undefined ? {} : { untilMs: until }),
    ...(model === undefined ? {} : { model }),
    ...(upstream === undefined ? {} : { upstreamId: upstreamIdOf(upstream, upstreams) }),
    ...(tried === undefined ? {} : { triedUpstreamId: upstreamIdOf(tried, upstreams) }),
    ...(failedOn === undefined ? {} : { failedUpstreamId: upstreamIdOf(failedOn, upstreams) }),
    ...(attempts === undefined ? {} : { attempts }),
    ...(slowerThan === undefined ? {} : { slowerThanMs: slowerThan }),
    ...(failed === undefined ? {} : { isFailure: true }),
    ...(status === undefined ? {} : { status }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(client === undefined ? {} : { client }),
    ...(without === undefined ? {} : { without }),
    ...(q === undefined ? {} : { text: q }),
  };
}

/** An id need not exist: records outlast their upstream. @throws ControlError */
export function upstreamIdOf(which: string, upstreams: readonly Named[]): number {
  return /^\d{1,15}$/.test(which) ? Number(which) : onlyNamed(upstreams, which).id;
}
