/**
 * The way out: proxies, hosts that are reached without one, and files of certificate authorities.
 *
 * Owns how the usual variables are read; the rules are those of curl. Must not echo a value: a proxy's URL may hold a
 * password.
 *
 * @see https://curl.se/docs/manpage.html#ENVIRONMENT , https://everything.curl.dev/usingcurl/proxies/env.html
 */
import { type Cidr, isWithin, parseCidr } from "../core/client_ip.ts";
import { type OutgoingProxy, parseProxyUrl } from "../core/proxy_url.ts";
import { CA_VARIABLES, type Environment, NO_PROXY_VARIABLES } from "./environment.ts";
import { SettingsError } from "./values.ts";

/** Hosts that are reached without a proxy. */
export type DirectRule =
  | { readonly type: "all" }
  /** The domain and all below it, in lower case; `port` null: any. */
  | { readonly type: "domain"; readonly domain: string; readonly port: number | null }
  | { readonly type: "network"; readonly network: Cidr; readonly port: number | null };

/** A variable that names a file, and the file. */
export interface NamedFile {
  readonly variable: string;
  readonly path: string;
}

export interface OutgoingSettings {
  /** For `http:` URLs; null: none. */
  readonly httpProxy: OutgoingProxy | null;
  /** For `https:` URLs; null: none. */
  readonly httpsProxy: OutgoingProxy | null;
  readonly direct: readonly DirectRule[];
  /** PEM certificates that are trusted in addition to the built-in ones: what `--ca-file` says; null: none. */
  readonly caFile: string | null;
  /** The same, from variables that other programs read too: a file that cannot be read is no error. */
  readonly sharedCaFiles: readonly NamedFile[];
}

/**
 * As in curl, the spelling of a variable in lower case comes first.
 *
 * @param caFile what `--ca-file` or its variable says
 * @throws SettingsError naming the variable that holds no proxy's URL
 */
export function parseOutgoing(env: Environment, caFile: string | null): OutgoingSettings {
  const proxyOf = (...variables: string[]) => {
    const variable = variables.find((name) => textOf(env, name) !== "");
    return variable === undefined ? null : parseProxy(variable, textOf(env, variable));
  };
  const noProxy = NO_PROXY_VARIABLES.find((name) => textOf(env, name) !== "");
  return {
    httpProxy: proxyOf("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"),
    httpsProxy: proxyOf("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
    direct: noProxy === undefined ? [] : parseDirect(textOf(env, noProxy)),
    caFile,
    sharedCaFiles: CA_VARIABLES.map((variable) => ({ variable, path: textOf(env, variable) }))
      .filter(({ path }) => path !== ""),
  };
}

/** The proxy on the way to a URL; null: none. */
export function proxyFor(settings: OutgoingSettings, url: URL): OutgoingProxy | null {
  const proxy = url.protocol === "https:" ? settings.httpsProxy : settings.httpProxy;
  if (proxy === null) return null;
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
  return settings.direct.some((rule) => holds(rule, host, port)) ? null : proxy;
}

function holds(rule: DirectRule, host: string, port: number): boolean {
  if (rule.type === "all") return true;
  if (rule.port !== null && rule.port !== port) return false;
  if (rule.type === "network") return isWithin(host, [rule.network]);
  return host === rule.domain || host.endsWith(`.${rule.domain}`);
}

/** The value without blanks, and without the quotes that `docker --env-file` leaves around it. */
function textOf(env: Environment, variable: string): string {
  const text = (env[variable] ?? "").trim();
  const isQuoted = text.length > 1 && (text[0] === '"' || text[0] === "'") && text.endsWith(text[0]);
  return isQuoted ? text.slice(1, -1).trim() : text;
}

function parseProxy(variable: string, text: string): OutgoingProxy {
  const proxy = parseProxyUrl(text);
  if (proxy !== null) return proxy;
  throw new SettingsError(
    `${variable} is not the URL of a proxy, such as http://proxy.example:3128 or socks5://127.0.0.1:1080 ` +
      "(its value is not shown: it may hold a password)",
  );
}

/** Separated by commas or blanks. What is neither a name nor a network matches nothing, as in curl. */
function parseDirect(text: string): DirectRule[] {
  return text.toLowerCase().split(/[\s,]+/).filter((item) => item !== "").map(parseRule);
}

function parseRule(item: string): DirectRule {
  if (item === "*") return { type: "all" };
  const whole = parseCidr(item.replace(/^\[([^\]]*)\]$/, "$1"));
  if (whole !== null) return { type: "network", network: whole, port: null };
  const [, name = item, digits] = /^(.*):(\d{1,5})$/.exec(item) ?? [];
  const port = digits === undefined ? null : Number(digits);
  const network = parseCidr(name.replace(/^\[([^\]]*)\]$/, "$1"));
  if (network !== null) return { type: "network", network, port };
  // A leading dot, or Go's `*.`, means the same as none.
  return { type: "domain", domain: name.replace(/^\*?\./, "").replace(/\.$/, ""), port };
}
