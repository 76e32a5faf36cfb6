/**
 * What the sections of a record are drawn from.
 */
import type { RecordDetail, ReplayResult, UpstreamView } from "../../../control/service.ts";
import type { PageContext } from "../../page_context.ts";

export interface RecordProps {
  readonly page: PageContext;
  readonly detail: RecordDetail;
  readonly upstreams: readonly UpstreamView[];
  /** Of a replay that was just made. */
  readonly replay: { readonly upstreamId: number | null; readonly result: ReplayResult } | null;
  readonly problem: string | null;
  /** Key of the text that is wanted whole. */
  readonly wholeKey: string | null;
  readonly areAllTurnsShown: boolean;
}

/** Raw texts are cut at this many characters until the whole is asked for. */
export const RAW_LIMIT = 6_000;
