/**
 * Header fields of an upstream's reply that are not relayed, because browsers apply them to the whole site, or because a
 * proxy in front would do what they say.
 *
 * `/v1` shares its origin with `/admin`, and what an upstream says about its own host must not be kept for this one.
 * What answers have instead: core/fixed_headers.ts.
 */

/**
 * Fields that browsers store or apply for a whole site, and fields that set the policy of a page. All that begin with
 * `access-control-` belong to them too.
 */
export const SITE_WIDE: readonly string[] = [
  // Stored by browsers for the host or its subdomains.
  "accept-ch",
  "accept-ch-lifetime",
  "activate-storage-access",
  "alt-svc",
  "alternate-protocol",
  "clear-site-data",
  "critical-ch",
  "delegate-ch",
  "expect-ct",
  "expect-staple",
  "nel",
  "no-vary-search",
  "origin-agent-cluster",
  "origin-isolation",
  "origin-trial",
  "p3p",
  "public-key-pins",
  "public-key-pins-report-only",
  "report-to",
  "reporting-endpoints",
  "sec-session-challenge",
  "sec-session-registration",
  "secure-session-challenge",
  "secure-session-registration",
  // The software of the upstream's host, not of this one.
  "server",
  "service-worker-allowed",
  "set-cookie",
  "set-cookie2",
  "set-login",
  "shared-storage-write",
  "speculation-rules",
  "strict-transport-security",
  "supports-loading-mode",
  "tk",
  "use-as-dictionary",
  "x-dns-prefetch-control",
  "x-permitted-cross-domain-policies",
  // Make a browser ask for a password, or send a system ticket, for another host.
  "authentication-info",
  "proxy-authentication-info",
  "www-authenticate",
  // Redirects without being a redirect.
  "refresh",
  // Policies of a page, and who may embed, open or measure it: a second policy would only weaken or contradict ours.
  "content-security-policy",
  "content-security-policy-report-only",
  "cross-origin-embedder-policy",
  "cross-origin-embedder-policy-report-only",
  "cross-origin-opener-policy",
  "cross-origin-opener-policy-report-only",
  "cross-origin-resource-policy",
  "document-isolation-policy",
  "document-isolation-policy-report-only",
  "document-policy",
  "document-policy-report-only",
  "feature-policy",
  "integrity-policy",
  "integrity-policy-report-only",
  "permissions-policy",
  "permissions-policy-report-only",
  "referrer-policy",
  "require-document-policy",
  "sourcemap",
  "timing-allow-origin",
  "x-content-security-policy",
  "x-content-type-options",
  "x-download-options",
  "x-frame-options",
  "x-sourcemap",
  "x-ua-compatible",
  "x-webkit-csp",
  "x-xss-protection",
  // Make nginx, Apache, lighttpd or Perlbal in front serve a file or location of this host, or cache.
  "x-accel-charset",
  "x-accel-expires",
  "x-accel-limit-rate",
  "x-accel-redirect",
  "x-lighttpd-send-file",
  "x-reproxy-file",
  "x-reproxy-url",
  "x-sendfile",
];
