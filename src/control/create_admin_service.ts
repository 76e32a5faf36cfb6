/**
 * Everything that the admin API and the page can do, put together from its parts.
 */
import { RouterError } from "../core/errors.ts";
import type { AdminService } from "./admin_service.ts";
import type { LiveHub } from "./live_hub.ts";
import type { RecordAdmin } from "./records.ts";
import { replay, type ReplayDeps } from "./replay.ts";
import type { TokenAdmin } from "./tokens.ts";
import type { UpstreamAdmin } from "./upstreams.ts";

export interface ServiceParts {
  readonly upstreams: UpstreamAdmin;
  readonly tokens: TokenAdmin;
  readonly records: RecordAdmin;
  readonly hub: LiveHub;
  readonly replay: ReplayDeps;
  readonly settings: ReturnType<AdminService["settings"]>;
}

export function adminService(parts: ServiceParts): AdminService {
  const { upstreams, tokens, records, hub } = parts;
  return {
    upstreams: () => upstreams.list(),
    addUpstream: (input) => upstreams.add(input),
    editUpstream: (id, changes) => upstreams.edit(id, changes),
    moveUpstream: (id, place) => upstreams.move(id, place),
    removeUpstream: (id) => upstreams.remove(id),
    testUpstream: (id) => upstreams.test(id),
    tokens: () => tokens.list(),
    addToken: (name) => tokens.add(name),
    removeToken: (name) => tokens.remove(name),
    records: (page) => records.list(page),
    record: (id) => records.detail(id),
    replay: async (id, upstreamId) => {
      const record = await records.toReplay(id);
      if (record === null) throw new RouterError(404, "not_found", "No record has that number or request id");
      return await replay(parts.replay, record, upstreamId);
    },
    stats: (range) => records.stats(range),
    live: () => hub.live(),
    subscribe: (listener) => hub.subscribe(listener),
    watch: (requestId, listener) => hub.watch(requestId, listener),
    settings: () => parts.settings,
  };
}
