/**
 * The endpoint of an upstream: what of it is kept, and how it is shown, without anything that may be a credential.
 */
import { withoutApiCall } from "../core/api_path.ts";
import { maskSecret, SECRET_PARAMETER } from "../core/secrets.ts";

/** The endpoint with credentials masked: user and password, secret query values, or all of a text that is no URL. */
export function showEndpoint(endpoint: string): string {
  const url = URL.parse(endpoint.trim());
  if (url === null || url.host === "") return endpoint === "" ? "" : maskSecret(endpoint.trim());
  const user = url.username !== "" || url.password !== "" ? "…@" : "";
  const query = [...url.searchParams].map(([name, value]) =>
    `${name}=${SECRET_PARAMETER.test(name) ? maskSecret(value) : value}`
  );
  return `${url.protocol}//${user}${url.host}${url.pathname}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}

/** Scheme and authority; path; query; what a request never carries. */
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/[^/?#]*)([^?#]*)(\?[^#]*)?(?:#.*)?$/is;

/** The base URL that was meant: no blanks around it, no API call such as `/chat/completions` and no slash at its end. */
export function baseUrlOf(endpoint: string): string {
  const [, origin, path = "", query = ""] = PARTS.exec(endpoint.trim()) ?? [];
  return origin === undefined ? endpoint.trim() : `${origin}${withoutApiCall(path)}${query}`;
}
