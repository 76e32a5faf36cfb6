/**
 * Makes the admin service of its parts.
 */
import type { OrderPolicy } from "../core/types.ts";
import type { RefusedSummary } from "../core/refusal.ts";
import type { NeighboursQuery, SummaryQuery } from "../store/read/messages.ts";
import type { RecordFilter } from "../store/store.ts";
import type {
  AdminService,
  ChosenToken,
  CostSpan,
  NewTokenInput,
  StatsSpan,
  UpstreamEdit,
  UpstreamInput,
} from "./admin_service.ts";
import type { ClientTokenInput } from "./client_token_values.ts";
import type { LiveHub } from "./live_hub.ts";
import { noSuchRecord, type RecordAdmin } from "./records.ts";
import { replay, type ReplayDeps } from "./replay.ts";
import type { ServerStatusView } from "./server_status.ts";
import { withControlErrors } from "./store_failure.ts";
import type { TokenAdmin } from "./token_admin.ts";
import type { UpstreamAdmin } from "./upstream_admin.ts";

export interface ServiceParts {
  readonly upstreams: UpstreamAdmin;
  readonly tokens: TokenAdmin;
  readonly records: RecordAdmin;
  readonly hub: LiveHub;
  readonly replay: ReplayDeps;
  readonly status: ServerStatusView;
  readonly refused: { summary(): RefusedSummary };
  readonly settings: ReturnType<AdminService["settings"]>;
}

export function createAdminService(parts: ServiceParts): AdminService {
  const { upstreams, tokens, records, hub, status } = parts;
  return {
    upstreams: guarded(() => upstreams.list()),
    addUpstream: guarded((input: UpstreamInput) => upstreams.add(input)),
    editUpstream: guarded((id: number, changes: UpstreamEdit) => upstreams.edit(id, changes)),
    moveUpstream: guarded((id: number, place: number) => upstreams.move(id, place)),
    removeUpstream: guarded((id: number) => upstreams.remove(id)),
    testUpstream: guarded((id: number) => upstreams.test(id)),
    models: guarded((search: string) => upstreams.models(search)),
    tokens: guarded(() => tokens.list()),
    addToken: guarded((token: NewTokenInput, chosen: ChosenToken | null) => tokens.add(token, chosen)),
    editToken: guarded((which: string, input: ClientTokenInput) => tokens.edit(which, input)),
    rotateToken: guarded((which: string) => tokens.rotate(which)),
    tokenSpending: guarded((which: string) => tokens.spending(which)),
    removeToken: guarded((which: string) => tokens.remove(which)),
    records: guarded((page: SummaryQuery) => records.list(page)),
    countRecords: guarded((filter: RecordFilter) => records.count(filter)),
    neighbours: guarded((query: NeighboursQuery) => records.neighbours(query)),
    wholeRecords: guarded((page: SummaryQuery) => records.whole(page)),
    deleteRecord: guarded((id: string | number) => records.delete(id)),
    record: guarded((id: string | number) => records.detail(id)),
    replay: guarded(async (id: string | number, upstreamId: number | null) => {
      const record = await records.toReplay(id);
      if (record === null) throw noSuchRecord();
      return await replay(parts.replay, record, upstreamId);
    }),
    stats: guarded((span: StatsSpan) => records.stats(span)),
    usage: guarded((span: StatsSpan) => records.usage(span)),
    costs: guarded((span: CostSpan) => records.costs(span)),
    live: () => hub.live(),
    waiting: () => hub.waiting(),
    subscribe: (listener) => hub.subscribe(listener),
    watch: (requestId, listener) => hub.watch(requestId, listener),
    refused: () => parts.refused.summary(),
    status: guarded(() => status.status()),
    setPolicy: guarded(async (policy: OrderPolicy) => {
      await upstreams.setPolicy(policy);
      return await status.status();
    }),
    testChannel: guarded((name: string) => status.test(name)),
    settings: () => parts.settings,
  };
}

/** The same operation; a StoreError of it comes out as a ControlError. */
function guarded<Args extends unknown[], Result>(
  operation: (...args: Args) => Result | Promise<Result>,
): (...args: Args) => Promise<Result> {
  return (...args) => withControlErrors(() => operation(...args));
}
