/**
 * The data that the list of upstreams shows.
 */
import type { ModelPage, Stats, UpstreamTest, UpstreamView } from "../../../control/admin_service.ts";
import type { ReadSpan } from "../../stats_span.ts";
import type { PageContext } from "../../page_context.ts";
import type { UpstreamForm } from "../../upstream_form.ts";

export interface UpstreamsProps {
  readonly page: PageContext;
  readonly upstreams: readonly UpstreamView[];
  readonly stats: Stats;
  /** The time that the figures are about, where it was typed. */
  readonly custom: ReadSpan["custom"];
  /** The result of a test that was just made. */
  readonly tested: { readonly id: number; readonly result: UpstreamTest } | null;
  readonly problem: string | null;
  readonly models: ModelPage;
  /** What was searched for among them. */
  readonly search: string;
  /** The current input of the form for a new one. */
  readonly form: UpstreamForm;
}
