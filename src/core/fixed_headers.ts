/**
 * Header fields that every answer below `/v1` has: who may read it, and that it is no page of this host.
 *
 * `/v1` and `/admin` share one origin, and an upstream's file or error page must not run as a page of it.
 */

/** Fields that every answer has, whatever it is; names in lower case. */
export type FixedHeaders = readonly (readonly [name: string, value: string])[];

/**
 * Makes a browser treat an answer as a page of an opaque origin that runs and loads nothing.
 *
 * @see https://www.w3.org/TR/CSP3/#directive-sandbox , https://fetch.spec.whatwg.org/#x-content-type-options-header
 */
export const APART: FixedHeaders = [
  ["content-security-policy", "sandbox; default-src 'none'"],
  ["x-content-type-options", "nosniff"],
];

/**
 * The fixed headers of answers that a page of this origin may read; `*`: of any.
 *
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function readableBy(origin: string): FixedHeaders {
  return [
    ["access-control-allow-origin", origin],
    ["access-control-expose-headers", "*"],
    ...(origin === "*" ? [] : [["vary", "origin"] as const]),
    ...APART,
  ];
}

/** With tokens, any page may read answers: the token protects them. */
export const READABLE_BY_ALL: FixedHeaders = readableBy("*");
