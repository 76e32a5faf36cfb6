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
    description:
      "whose JSON: generic, slack, discord, teams or dingtalk; default: by the URL's host, else generic",
  },
];

/** Name the outgoing proxies. */
const PROXY_VARIABLES = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/** Name the hosts that are reached without a proxy. */
export const NO_PROXY_VARIABLES: readonly string[] = ["no_proxy", "NO_PROXY"];

/** Name files of certificate authorities: of OpenSSL, of Node and of Deno. */
export const CA_VARIABLES: readonly string[] = ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "DENO_CERT"];

export const ENVIRONMENT_VARIABLES: readonly string[] = [
  ...SETTING_FLAGS.map(({ variable }) => variable),
  ...ALERT_VARIABLES.map(({ variable }) => variable),
  ...PROXY_VARIABLES,
  ...NO_PROXY_VARIABLES,
  ...CA_VARIABLES,
  "OAR_DEBUG",
  "NO_COLOR",
];

/** The variables that are set. `get` reads one by name. */
export function readEnvironment(get: (name: string) => string | undefined): Environment {
  return Object.fromEntries(ENVIRONMENT_VARIABLES.map((name) => [name, get(name)]));
}
