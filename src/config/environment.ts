/**
 * Every environment variable that the program reads, by name, so that an executable can be built that may
 * read these and no others.
 */
import { ALERT_VARIABLES } from "./alerts.ts";
import { SETTING_FLAGS } from "./flags.ts";
import type { Environment } from "./settings.ts";

export const ENVIRONMENT_VARIABLES: readonly string[] = [
  ...SETTING_FLAGS.map(({ variable }) => variable),
  ...ALERT_VARIABLES.map(({ variable }) => variable),
  "OAR_DEBUG",
  "NO_COLOR",
];

/** The variables that are set. `get` reads one by name. */
export function readEnvironment(get: (name: string) => string | undefined): Environment {
  return Object.fromEntries(ENVIRONMENT_VARIABLES.map((name) => [name, get(name)]));
}
