/**
 * Makes the admin service of its parts.
 */
import { maskSecret } from "../core/secrets.ts";
import { randomToken } from "../store/config/initial_tokens.ts";
import type { AdminService } from "./admin_service.ts";
import type { LiveHub } from "./live_hub.ts";
import { noSuchRecord, type RecordAdmin } from "./records.ts";
import { replay, type ReplayDeps } from "./replay.ts";
import { withControlErrors } from "./store_failure.ts";
import type { Tokens } from "./tokens.ts";
import type { UpstreamAdmin } from "./upstream_admin.ts";

export interface ServiceParts {
  readonly upstreams: UpstreamAdmin;
  readonly tokens: Tokens;
  readonly records: RecordAdmin;
  readonly hub: LiveHub;
  readonly replay: ReplayDeps;
  readonly settings: ReturnType<AdminService["settings"]>;
}

export function createAdminService(parts: ServiceParts): AdminService {
  const { upstreams, tokens, records, hub } = parts;
  return {
    upstreams: () => upstreams.list(),
    addUpstream: (input) => upstreams.add(input),
    editUpstream: (id, changes) => upstreams.edit(id, changes),
    moveUpstream: (id, place) => upstreams.move(id, place),
    removeUpstream: (id) => upstreams.remove(id),
    testUpstream: (id) => upstreams.test(id),
    tokens: () =>
      withControlErrors(() => tokens.list().map(({ name, secret }) => ({ name, token: maskSecret(secret) }))),
    addToken: (name) => withControlErrors(() => tokens.add({ name, secret: randomToken() })),
    removeToken: (name) => withControlErrors(() => void tokens.remove(name)),
    records: (page) => records.list(page),
    record: (id) => records.detail(id),
    replay: async (id, upstreamId) => {
      const record = await records.toReplay(id);
      if (record === null) throw noSuchRecord();
      return await replay(parts.replay, record, upstreamId);
    },
    stats: (range) => records.stats(range),
    live: () => hub.live(),
    subscribe: (listener) => hub.subscribe(listener),
    watch: (requestId, listener) => hub.watch(requestId, listener),
    settings: () => parts.settings,
  };
}
