/**
 * An upstream as the proxy gets it, for tests of single functions.
 */
import type { Upstream } from "../../src/core/types.ts";

/** Enabled, for every model, without a timeout of its own. */
export function anUpstream(id = 1, more: Partial<Upstream> = {}): Upstream {
  return {
    id,
    name: `u${id}`,
    endpoint: "https://a.example/v1",
    sk: "sk-test-0123456789",
    position: id,
    isEnabled: true,
    timeoutMs: null,
    allow: [],
    deny: [],
    modelMap: {},
    authStyle: null,
    weight: 1,
    ...more,
  };
}
