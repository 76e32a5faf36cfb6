/**
 * Everything that must never be shown, for whatever masks it.
 */
import type { Settings } from "../config/settings.ts";
import { keysOf } from "../core/secrets.ts";
import type { Registry } from "../store/config/registry.ts";
import type { RegistrySnapshot } from "../store/store.ts";

/** The secrets as of now; the same array until upstreams or tokens change. */
export function secretsOf(
  settings: Settings,
  registry: Registry,
  ofRemote: readonly string[] = [],
): () => readonly string[] {
  let snapshot: RegistrySnapshot | null = null;
  let secrets: readonly string[] = [];
  return () => {
    if (snapshot !== registry.snapshot()) {
      snapshot = registry.snapshot();
      secrets = [...listSecrets(settings, snapshot), ...ofRemote];
    }
    return secrets;
  };
}

function* listSecrets(
  { alerts, outgoing }: Settings,
  { upstreams, tokens, adminToken }: RegistrySnapshot,
): Iterable<string> {
  for (const upstream of upstreams) yield* keysOf(upstream);
  for (const { secret } of tokens) yield secret;
  if (adminToken !== null) yield adminToken;
  for (const proxy of [outgoing.httpProxy, outgoing.httpsProxy]) {
    if (proxy?.credential?.password) yield proxy.credential.password;
  }
  const { feishu, matrix, matrixApi, webhook } = alerts;
  for (const secret of [feishu?.webhook, feishu?.secret, matrix?.token, matrixApi, webhook?.url]) {
    if (secret) yield secret;
  }
}
