/**
 * The doctor's checks of keys that need no question: what running servers say of them, and keys that two upstreams share.
 */
import type { Finding } from "../../control/finding.ts";
import { ASIS } from "../../core/types.ts";
import { maskSecret } from "../../core/secrets.ts";
import { type ConfigStore, type RegistrySnapshot, StoreError } from "../../store/store.ts";

/** Keys that are named in one line. */
const MAX_NAMED = 5;

export function checkKeys(
  config: Pick<ConfigStore, "listUpstreamStates">,
  { upstreams }: Pick<RegistrySnapshot, "upstreams">,
): Finding[] {
  return [...lostKeys(config, { upstreams }), ...sharedKeys({ upstreams })];
}

/** Refused, or without credit. A list of models says nothing of the credit. */
function lostKeys(
  config: Pick<ConfigStore, "listUpstreamStates">,
  { upstreams }: Pick<RegistrySnapshot, "upstreams">,
): Finding[] {
  const notes = new Map(statesOf(config).map((note) => [note.upstreamId, note.keys ?? []]));
  return upstreams.flatMap(({ id, name, keys, isEnabled }): Finding[] => {
    const lost = (notes.get(id) ?? []).filter(({ n, key, state }) =>
      (state === "refused" || state === "no_credit") && maskSecret(keys[n - 1] ?? "") === key
    );
    if (!isEnabled || lost.length === 0) return [];
    const named = lost.slice(0, MAX_NAMED).map(({ n, key, state }) =>
      `key ${n} (${key}) ${state === "refused" ? "is refused" : "has no credit left"}`
    );
    const more = lost.length > MAX_NAMED ? `, and ${lost.length - MAX_NAMED} more` : "";
    return [{
      check: "upstream",
      subject: name,
      level: "warn",
      message: `a running server holds ${lost.length} of its ${keys.length} keys back: ${
        named.join(", ")
      }${more}`,
      advice: `replace or remove them (edit ${id} --remove-key N), or try them again at once: enable ${id}`,
    }];
  });
}

/** That is allowed, but what one upstream is refused or limited for, the other is as well. */
function sharedKeys({ upstreams }: Pick<RegistrySnapshot, "upstreams">): Finding[] {
  const owners = new Map<string, string>();
  const findings: Finding[] = [];
  for (const { id, name, endpoint, keys, isEnabled } of upstreams) {
    if (!isEnabled) continue;
    const others = new Set<string>();
    for (const key of keys) {
      const target = JSON.stringify([endpoint, key]);
      const other = owners.get(target);
      if (other === undefined) owners.set(target, name);
      else if (key !== ASIS) others.add(other);
    }
    if (others.size === 0) continue;
    findings.push({
      check: "upstream",
      subject: name,
      level: "warn",
      message: `has a key and the endpoint in common with ${[...others].slice(0, MAX_NAMED).join(", ")}`,
      advice:
        `its limits and its credit are shared: remove the key from one of them (edit ${id} --remove-key N)`,
    });
  }
  return findings;
}

/** A database of an older version has no states of keys. */
function statesOf(
  config: Pick<ConfigStore, "listUpstreamStates">,
): ReturnType<ConfigStore["listUpstreamStates"]> {
  try {
    return config.listUpstreamStates();
  } catch (error) {
    if (error instanceof StoreError) return [];
    throw error;
  }
}
