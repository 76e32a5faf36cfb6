/**
 * `serve --from-env`: the first upstream, out of the variables that every client of OpenAI reads.
 *
 * Owns the names of the variables. Messages never hold the key.
 */
import type { Environment } from "../config/environment.ts";
import { ControlError } from "../control/errors.ts";
import type { UpstreamInput } from "../control/admin_service.ts";
import { Upstreams } from "../control/upstreams.ts";
import { DEFAULT_ENDPOINT, toChanges } from "../control/upstream_values.ts";
import type { ConfigStore } from "../store/store.ts";
import { quietRegistry } from "./context.ts";
import { UsageError } from "./errors.ts";
import { describe } from "./upstreams.ts";

/** @see https://github.com/openai/openai-python#usage */
export const KEY_VARIABLE = "OPENAI_API_KEY";
const URL_VARIABLE = "OPENAI_BASE_URL";

/**
 * The upstream that the environment describes; null: the variable of the key is not set.
 *
 * @throws UsageError
 */
export function upstreamOf(env: Environment): UpstreamInput | null {
  const key = env[KEY_VARIABLE]?.trim() ?? "";
  const endpoint = env[URL_VARIABLE]?.trim() || DEFAULT_ENDPOINT;
  if (key === "") return null;
  // Several keys: one a line. A comma may be part of one.
  if (!/^[\x21-\x7e\s]+$/.test(key) || key.split(/[\r\n]+/).some((each) => /["'\s]/.test(each.trim()))) {
    throw new UsageError(
      `${KEY_VARIABLE} must be one word of visible ASCII characters, without quotation marks and spaces, or several, one a line`,
    );
  }
  const input = { key, endpoint };
  try {
    toChanges(input);
  } catch (error) {
    if (!(error instanceof ControlError)) throw error;
    throw new UsageError(error.messageWith((field) => field === "key" ? KEY_VARIABLE : URL_VARIABLE));
  }
  return input;
}

/** @throws UsageError that there is no upstream, and none in the environment */
export function requireUpstream(input: UpstreamInput | null): UpstreamInput {
  if (input !== null) return input;
  throw new UsageError(`--from-env: ${KEY_VARIABLE} is not set, and the database has no upstream yet`);
}

/**
 * Adds it when there is no upstream yet.
 *
 * @returns what to say; null: there is one, and nothing was changed
 * @throws UsageError, StoreError
 */
export function addFirstUpstream(config: ConfigStore, input: UpstreamInput | null): string | null {
  if (config.listUpstreams().length > 0) return null;
  const first = requireUpstream(input);
  return config.atomically("Cannot add the upstream", () => {
    // Another server may have started meanwhile.
    if (config.listUpstreams().length > 0) return null;
    const added = new Upstreams({ config, registry: quietRegistry(config) }).add(first);
    return `added ${describe(added)} from ${KEY_VARIABLE}`;
  });
}
