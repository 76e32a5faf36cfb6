/**
 * Which upstreams a server asks for the usage of streams, and what it remembers of those that refuse.
 */
import type { Settings } from "../config/settings.ts";
import { getLog } from "../observe/log.ts";
import { UsageAsking } from "../proxy/attempt/usage_asking.ts";
import type { Registry } from "../store/config/registry.ts";
import type { UpstreamStateNotes } from "../store/write/upstream_state_notes.ts";
import { systemClock } from "./clock.ts";

export function makeUsageAsking(
  { costs }: Pick<Settings, "costs">,
  { upstreamStates, registry }: {
    readonly upstreamStates: Pick<UpstreamStateNotes, "check">;
    readonly registry: Pick<Registry, "onChange">;
  },
): UsageAsking {
  const asking = new UsageAsking({
    clock: systemClock,
    usage: costs.usage,
    onRefused: ({ name }, refusal) => {
      getLog("proxy").info(
        "upstream {name} refuses stream_options: it is not asked for the usage of streams for a week",
        { name },
      );
      upstreamStates.check(refusal);
    },
  });
  registry.onChange(({ upstreams, usageRefusals = [] }) => {
    asking.load(usageRefusals);
    asking.keep(upstreams);
  });
  return asking;
}
