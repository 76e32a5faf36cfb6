/**
 * How an endpoint is shown: never with what may be a credential.
 */
import { maskSecret, SECRET_PARAMETER } from "../core/secrets.ts";

/** The endpoint without what may be a credential: user and password, query values, or all of a non-URL. */
export function showEndpoint(endpoint: string): string {
  const url = URL.parse(endpoint.trim());
  if (url === null || url.host === "") return endpoint === "" ? "" : maskSecret(endpoint.trim());
  const user = url.username !== "" || url.password !== "" ? "…@" : "";
  const query = [...url.searchParams].map(([name, value]) =>
    `${name}=${SECRET_PARAMETER.test(name) ? maskSecret(value) : value}`
  );
  return `${url.protocol}//${user}${url.host}${url.pathname}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}
