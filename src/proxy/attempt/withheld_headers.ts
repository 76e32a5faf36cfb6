/**
 * Names of client headers that are never sent to an upstream, whatever their values.
 *
 * These are hop-by-hop fields, fields that the router sets itself, what a browser says about a page, what a proxy in front
 * adds about a person (addresses, logins, certificates, single sign-on tokens), and every name with an underscore, which
 * servers behind CGI, WSGI or Rack read as the same name with a hyphen.
 */
import { HOP_BY_HOP } from "../../core/hop_by_hop.ts";

const NAMES: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  // Set by the router itself.
  "accept-encoding",
  "content-length",
  "expect",
  "host",
  // Credentials: an upstream has its own, or is `asis` (upstream_request.ts).
  "api-key",
  "authorization",
  "cookie",
  "cookie2",
  "set-cookie",
  "cf-aig-authorization",
  "x-api-key",
  "x-goog-api-key",
  // What a page sends to its server: some upstreams refuse requests that look like those of a browser.
  "dnt",
  "origin",
  "referer",
  "upgrade-insecure-requests",
  // Where a request came from.
  "cdn-loop",
  "client-ip",
  "disguised-host",
  "do-connecting-ip",
  "fastly-client-ip",
  "forwarded",
  "forwarded-for",
  "front-end-https",
  "http-client-ip",
  "true-client-ip",
  "via",
  "x-bluecoat-via",
  "x-cluster-client-ip",
  "x-coming-from",
  "x-country-code",
  "x-forwarded",
  "x-host",
  "x-ip",
  "x-proxyuser-ip",
  "x-real-ip",
  "x-real-port",
  "x-scheme",
  "x-url-scheme",
  // Who sent it.
  "from",
  "kubectl-user",
  "x-access-token",
  "x-anonymous-consumer",
  "x-authorization",
  "x-csrf-token",
  "x-email",
  "x-groups",
  "x-id-token",
  "x-jwt-assertion",
  "x-jwt-payload",
  "x-login",
  "x-roles",
  "x-serverless-authorization",
  "x-xsrf-token",
]);

const FAMILIES = [
  "access-control-request-",
  "akamai-",
  "cf-",
  "client-cert",
  "cloudfront-",
  "fastly-",
  "fly-",
  "impersonate-",
  "incap-",
  "iv-",
  "ngrok-",
  "oidc-",
  "proxy-client-",
  "remote-",
  "saml-",
  "sec-",
  "shib-",
  "sm-",
  "ssl-",
  "tailscale-",
  "teleport-",
  "wl-proxy-",
  "x-akamai-",
  "x-amz-cf-",
  "x-amzn-",
  "x-apigateway-api-userinfo",
  "x-appengine-",
  "x-appservice-",
  "x-arr-",
  "x-auth-",
  "x-authelia-",
  "x-authenticated-",
  "x-authentik-",
  "x-azure-",
  "x-client-cert",
  "x-client-dn",
  "x-client-ip",
  "x-client-ssl",
  "x-client-verify",
  "x-consumer-",
  "x-credential-",
  "x-endpoint-api-userinfo",
  "x-envoy-",
  "x-fd-",
  "x-forwarded-",
  "x-goog-authenticated-user-",
  "x-goog-iap-",
  "x-keycloak-",
  "x-ms-client-principal",
  "x-ms-token-",
  "x-nf-",
  "x-oauth-",
  // What clients tell this program.
  "x-oar-",
  "x-oidc-",
  "x-original-",
  "x-originating-",
  "x-pomerium-",
  "x-proxy-user",
  "x-remote-",
  "x-replit-",
  "x-saml-",
  "x-shib-",
  "x-ssl-",
  "x-sso-",
  "x-sucuri-",
  "x-tailscale-",
  "x-tls-",
  "x-user",
  "x-vercel-",
  "x-vouch-",
  "x-webauth-",
  "x-zscaler-",
];

/** Of the families, but meant for the upstream: parameters of Amazon Bedrock, SageMaker and Cloudflare AI Gateway, and ngrok. */
const FOR_UPSTREAMS = ["x-amzn-bedrock-", "x-amzn-sagemaker-", "cf-aig-", "ngrok-skip-browser-warning"];

/** Clients choose the names, so the cache must be bounded. */
const MAX_DECIDED = 1024; // docs/tuning.md#budgets-and-remembered-values
const MAX_DECIDED_LENGTH = 64;
const decided = new Map<string, boolean>();

/** @param name in lower case */
export function isWithheldHeader(name: string): boolean {
  const known = decided.get(name);
  if (known !== undefined) return known;
  const isWithheld = NAMES.has(name) || name.includes("_") ||
    (FAMILIES.some((family) => name.startsWith(family)) &&
      !FOR_UPSTREAMS.some((each) => name.startsWith(each)));
  if (name.length <= MAX_DECIDED_LENGTH) {
    if (decided.size >= MAX_DECIDED) decided.clear();
    decided.set(name, isWithheld);
  }
  return isWithheld;
}
