/**
 * An upstream as the proxy gets it, for tests of single functions.
 */
import type { Upstream } from "../../src/core/types.ts";
import { NO_BILLING, NO_LIMITS, NO_SHAPING } from "../../src/core/upstream_options.ts";

/** Enabled, for every model, without a timeout of its own. */
export function anUpstream(id = 1, more: Partial<Upstream> = {}): Upstream {
  const sk = more.sk ?? "sk-test-0123456789";
  return {
    id,
    name: `u${id}`,
    endpoint: "https://a.example/v1",
    sk,
    keys: [sk],
    keyN: null,
    keyPolicy: "round_robin",
    position: id,
    isEnabled: true,
    timeoutMs: null,
    allow: [],
    deny: [],
    modelMap: {},
    authStyle: null,
    weight: 1,
    limits: NO_LIMITS,
    shaping: NO_SHAPING,
    billing: NO_BILLING,
    ...more,
  };
}
