/**
 * Every environment variable that the program reads, by name, so that an executable can be built that may
 * read these and no others.
 */
import { ALERT_VARIABLES } from "./alerts.ts";
import { SETTING_FLAGS } from "./flags.ts";
import type { Environment } from "./settings.ts";

/** Name the proxy on the way out, where there is one; the runtime's `fetch` reads them. */
export const PROXY_VARIABLES: readonly string[] = [
  "HTTP_PROXY",
  "http_proxy",
  "HTTPS_PROXY",
  "https_proxy",
  "ALL_PROXY",
  "all_proxy",
];

export const ENVIRONMENT_VARIABLES: readonly string[] = [
  ...SETTING_FLAGS.map(({ variable }) => variable),
  ...ALERT_VARIABLES.map(({ variable }) => variable),
  ...PROXY_VARIABLES,
  "OAR_DEBUG",
  "NO_COLOR",
];

/** The variables that are set. `get` reads one by name. */
export function readEnvironment(get: (name: string) => string | undefined): Environment {
  return Object.fromEntries(ENVIRONMENT_VARIABLES.map((name) => [name, get(name)]));
}
