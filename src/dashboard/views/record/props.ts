/**
 * The data that the sections of a record show.
 */
import type { Neighbours, RecordDetail, ReplayResult, UpstreamView } from "../../../control/admin_service.ts";
import type { RecordQuery } from "../../record_query.ts";
import type { PageContext } from "../../page_context.ts";

export interface RecordProps {
  readonly page: PageContext;
  readonly detail: RecordDetail;
  readonly upstreams: readonly UpstreamView[];
  /** Of the list from which it was opened. */
  readonly query: RecordQuery;
  readonly neighbours: Neighbours;
  /** The replay that was just made. */
  readonly replay: { readonly upstreamId: number | null; readonly result: ReplayResult } | null;
  readonly problem: string | null;
  /** Key of the text to show whole. */
  readonly wholeKey: string | null;
  readonly areAllTurnsShown: boolean;
}

/** Characters of a raw text that are shown at first. */
export const RAW_LIMIT = 6_000;
