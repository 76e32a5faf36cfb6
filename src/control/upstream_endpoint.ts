/**
 * How an endpoint is shown: without anything that may be a credential.
 */
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
