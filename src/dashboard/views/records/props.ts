/**
 * The data that the parts of the list of records show.
 */
import type { RecordCount, RecordPage, TokenView, UpstreamView } from "../../../control/admin_service.ts";
import type { PageContext } from "../../page_context.ts";
import type { ReadQuery } from "../../record_query.ts";

export interface RecordsProps {
  readonly page: PageContext;
  readonly read: ReadQuery;
  readonly records: RecordPage;
  readonly upstreams: readonly UpstreamView[];
  readonly tokens: readonly TokenView[];
  /** How many match; null on a continued page. */
  readonly count: RecordCount | null;
  /** Not the first page. */
  readonly isContinued: boolean;
}
