/**
 * Every environment variable that the program reads, so that an executable can be built with permission for
 * these only.
 */
import { SETTING_FLAGS } from "./flags.ts";

/** Environment variables by name; an empty value counts as unset. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The variables of alerts, which have no flags; described for help and documentation. */
export const ALERT_VARIABLES: readonly { readonly variable: string; readonly description: string }[] = [
  { variable: "FEISHU_WEBHOOK", description: "alerts go to this Feishu bot" },
  { variable: "FEISHU_SECRET", description: "signs them, if the bot asks for a signature" },
  { variable: "MATRIX_API", description: "alerts are posted to this URL, as the Go program did" },
  { variable: "MATRIX_HOMESERVER", description: "alerts go to a Matrix room; needs the next two" },
  { variable: "MATRIX_ROOM", description: "the room's id, such as !abc:example.org" },
  { variable: "MATRIX_TOKEN", description: "the access token of the account that posts" },
  { variable: "ALERT_WEBHOOK", description: "alerts are posted to this URL as JSON" },
  {
    variable: "ALERT_WEBHOOK_FORMAT",
    description: "generic, slack, discord, teams or dingtalk; default: by the URL's host",
  },
];

/** Name the outgoing proxies. */
const PROXY_VARIABLES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/** Name the hosts that are reached without a proxy. */
export const NO_PROXY_VARIABLES: readonly string[] = ["no_proxy", "NO_PROXY"];

/** Describe the first upstream, when `--from-env` asks for it. */
const UPSTREAM_VARIABLES = ["OPENAI_API_KEY", "OPENAI_BASE_URL"];

/** Name files of certificate authorities: of OpenSSL, of Node and of Deno. */
export const CA_VARIABLES: readonly string[] = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/** As libpq reads them: https://www.postgresql.org/docs/current/libpq-envars.html; the last two find its files. */
const POSTGRES_VARIABLES = ["PGUSER", "PGPASSWORD", "PGPASSFILE", "HOME", "USERPROFILE"];

export const ENVIRONMENT_VARIABLES: readonly string[] = [
  ...SETTING_FLAGS.map(({ variable }) => variable),
  ...ALERT_VARIABLES.map(({ variable }) => variable),
  ...PROXY_VARIABLES,
  ...NO_PROXY_VARIABLES,
  ...CA_VARIABLES,
  ...UPSTREAM_VARIABLES,
  ...POSTGRES_VARIABLES,
  "OAR_DEBUG",
  "NO_COLOR",
  "FORCE_COLOR",
  "CLICOLOR_FORCE",
  "TERM",
];

const PREFIX = "OAR_";

/** The variables of `all` that the program knows, and those that look like its own. */
export function readEnvironment(all: Environment): Environment {
  const own = Object.keys(all).filter((name) => name.toUpperCase().startsWith(PREFIX));
  return Object.fromEntries([...ENVIRONMENT_VARIABLES, ...own].map((name) => [name, all[name]]));
}

/** A variable with the program's prefix that it does not know. */
export interface UnknownVariable {
  readonly name: string;
  /** The one that was probably meant; null: none is alike. */
  readonly nearest: string | null;
}

/** At most ten of them, in the order of their names. */
export function unknownVariables(env: Environment): UnknownVariable[] {
  return Object.keys(env)
    .filter((name) => name.toUpperCase().startsWith(PREFIX) && !ENVIRONMENT_VARIABLES.includes(name))
    // An empty value counts as unset.
    .filter((name) => env[name])
    .sort()
    .slice(0, MAX_UNKNOWN)
    .map((name) => ({ name: name.slice(0, MAX_NAME_LENGTH), nearest: nearestTo(name) }));
}

const MAX_UNKNOWN = 10;
const MAX_NAME_LENGTH = 64;

function nearestTo(name: string): string | null {
  if (name.length > MAX_NAME_LENGTH) return null;
  const word = name.toUpperCase();
  const own = ENVIRONMENT_VARIABLES.filter((each) => each.startsWith(PREFIX));
  const [nearest] = own.map((each) => ({ each, distance: distanceOf(word, each) }))
    .sort((a, b) => a.distance - b.distance);
  // Two names of three letters have little in common when three letters differ.
  const isAlike = nearest !== undefined && nearest.distance <= Math.max(2, (word.length - PREFIX.length) / 3);
  return isAlike ? nearest.each : null;
}

/** Letters to insert, delete or replace: https://en.wikipedia.org/wiki/Levenshtein_distance */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
