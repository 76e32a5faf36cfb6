/**
 * A client's request as an upstream gets it: URL, headers, credential and body.
 *
 * Names that never go to an upstream: withheld_headers.ts.
 */
import { mediaTypeOf } from "../../core/body_form.ts";
import type { BodyPatch } from "../../core/body_patch.ts";
import { ownCredentials } from "../../core/credentials.ts";
import { HeaderFields } from "../../core/header_fields.ts";
import { patched, type PreparedPatch, preparePatch } from "../../core/merge_patch.ts";
import { aliasOf, withModel, withPathModel } from "../../core/model_alias.ts";
import { withoutTrailingSlashes } from "../../core/slashes.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import { ASIS, type AuthStyle, type Inbound, type Upstream } from "../../core/types.ts";
import { shifted, spliced } from "../../core/usage_option.ts";
import { connectionNames } from "../../core/hop_by_hop.ts";
import { isWithheldHeader } from "./withheld_headers.ts";

/** Names the account to be billed; kept only if the client brought the key, as it would not match the operator's. */
const ACCOUNT_HEADERS: ReadonlySet<string> = new Set([
  "openai-organization",
  "openai-project",
  "x-goog-user-project",
]);

/**
 * The headers of the request to an upstream, or null when the upstream is `asis` and the client brought no
 * credential of its own. A header that holds one of the router's tokens, in whatever form, is left out.
 */
export function upstreamHeaders(
  inbound: Pick<Inbound, "headers">,
  upstream: Pick<Upstream, "sk" | "endpoint" | "authStyle">,
  guard: TokenGuard,
): HeaderFields | null {
  const isAsis = upstream.sk === ASIS;
  const named = connectionNames(inbound.headers);
  const fields: [string, string][] = [];
  for (const field of inbound.headers) {
    const name = field[0];
    if (isWithheldHeader(name) || named.has(name) || (!isAsis && ACCOUNT_HEADERS.has(name))) continue;
    if (!guard.holds(name) && !guard.holds(field[1])) fields.push(field);
  }
  const headers = new HeaderFields(fields);
  headers.set("accept-encoding", "identity");
  if (!isAsis) {
    setCredential(headers, upstream.sk, upstream.authStyle ?? guessAuthStyle(upstream.endpoint));
    return headers;
  }
  const own = ownCredentials(inbound.headers, guard);
  for (const [name, value] of own) headers.set(name, value);
  return own.length > 0 ? headers : null;
}

/** A query without the parameters that hold one of the router's tokens. */
export function queryWithoutTokens(query: string, guard: TokenGuard): string {
  if (query === "") return query;
  return query.split("&").filter((parameter) => {
    const equals = parameter.indexOf("=");
    const parts = equals < 0 ? [parameter] : [parameter.slice(0, equals), parameter.slice(equals + 1)];
    return !parts.some((part) => guard.holds(part)) && !guard.holds(parameter);
  }).join("&");
}

function setCredential(headers: HeaderFields, sk: string, style: AuthStyle): void {
  switch (style) {
    case "bearer":
      return headers.set("authorization", `Bearer ${sk}`);
    case "x-api-key":
      return headers.set("x-api-key", sk);
    case "api-key":
      return headers.set("api-key", sk);
    default:
      return style satisfies never;
  }
}

/** Anthropic wants `x-api-key`, Azure OpenAI `api-key`, everybody else `Authorization: Bearer`. */
export function guessAuthStyle(endpoint: string): AuthStyle {
  const { hostname: host } = partsOf(endpoint);
  if (host === "anthropic.com" || host.endsWith(".anthropic.com")) return "x-api-key";
  if (host.endsWith(".openai.azure.com") || host.endsWith(".cognitiveservices.azure.com")) return "api-key";
  return "bearer";
}

/** An endpoint's URL, parsed once. */
interface EndpointParts {
  readonly hostname: string;
  readonly origin: string;
  /** Without slashes at its end. */
  readonly path: string;
  readonly query: string;
}

/** Cached endpoints: one for each upstream, plus those that edits leave behind. */
const MAX_ENDPOINTS = 1024; // docs/tuning.md#budgets-and-remembered-values
const endpoints = new Map<string, EndpointParts>();

function partsOf(endpoint: string): EndpointParts {
  let parts = endpoints.get(endpoint);
  if (parts === undefined) {
    const { hostname, origin, pathname, search } = new URL(endpoint);
    parts = { hostname, origin, path: withoutTrailingSlashes(pathname), query: search.slice(1) };
    if (endpoints.size >= MAX_ENDPOINTS) endpoints.clear();
    endpoints.set(endpoint, parts);
  }
  return parts;
}

/**
 * The URL of a request at an upstream: the endpoint's path, then the request's path without `/v1`; an
 * endpoint without a path keeps `/v1`; both queries.
 */
export function upstreamUrl(endpoint: string, path: string, query: string): string {
  const parts = partsOf(endpoint);
  const target = parts.path === "" ? path : parts.path + path.replace(/^\/v1(?=\/|$)/, "");
  const queries = [parts.query, query].filter((part) => part !== "").join("&");
  return `${parts.origin}${target}${queries === "" ? "" : `?${queries}`}`;
}

/** What is sent to one upstream, whose name for the model may be another one. */
export interface UpstreamContent {
  readonly path: string;
  readonly body: Uint8Array<ArrayBuffer> | null;
  /** The upstream's patch has changed the body. */
  readonly isPatched?: boolean;
}

/**
 * The client's path and body, with the model renamed and the body patched as this upstream's row says.
 *
 * @param asksUsage the stream is asked for its usage, see `Inbound.usageSplice`
 */
export function upstreamContent(
  inbound: Inbound,
  { modelMap, shaping }: Pick<Upstream, "modelMap" | "shaping">,
  { asksUsage = false }: { readonly asksUsage?: boolean } = {},
): UpstreamContent {
  const content = renamedContent(asksUsage ? askingInbound(inbound) : inbound, modelMap);
  return shaping.bodyPatch === null ? content : patchedContent(content, inbound, shaping.bodyPatch);
}

/** As if the client had asked for the usage of its stream. */
function askingInbound(inbound: Inbound): Inbound {
  const { body, decodedBody, usageSplice = null, modelPlace } = inbound;
  const plain = decodedBody ?? body;
  if (plain === null || usageSplice === null) return inbound;
  return {
    ...inbound,
    body: spliced(plain, usageSplice),
    decodedBody: null,
    modelPlace: modelPlace === null ? null : shifted(modelPlace, usageSplice),
  };
}

function renamedContent(inbound: Inbound, modelMap: Upstream["modelMap"]): UpstreamContent {
  const { path, body, model, modelPlace, modelInPath = null } = inbound;
  const alias = model === null ? null : aliasOf(modelMap, model);
  if (alias === null) return inbound;
  return {
    path: modelInPath === null ? path : withPathModel(path, modelInPath, alias),
    body: body === null || modelPlace === null
      ? body
      : withModel(inbound.decodedBody ?? body, modelPlace, alias),
  };
}

const patches = new WeakMap<BodyPatch, PreparedPatch>();

function patchedContent(content: UpstreamContent, inbound: Inbound, bodyPatch: BodyPatch): UpstreamContent {
  const { body } = content;
  if (body === null || !isJsonLabel(inbound.headers.get("content-type"))) return content;
  let patch = patches.get(bodyPatch);
  if (patch === undefined) {
    patch = preparePatch(bodyPatch);
    patches.set(bodyPatch, patch);
  }
  const plain = body === inbound.body ? inbound.decodedBody ?? body : body;
  const result = patched(plain, patch);
  return result === plain ? content : { path: content.path, body: result, isPatched: true };
}

/** What upstreams read as JSON. */
function isJsonLabel(contentType: string | null): boolean {
  const media = mediaTypeOf(contentType?.slice(0, MAX_LABEL_LENGTH) ?? null);
  return media === "" || media.startsWith("text/") || media.endsWith("json");
}
const MAX_LABEL_LENGTH = 256;

/** Removes what describes the client's bytes, when others are sent. */
export function describeChangedBody(headers: HeaderFields): void {
  for (const name of OF_BYTES) headers.delete(name);
}
/** RFC 9110 section 8.4, RFC 9530, RFC 3230, RFC 1864. */
const OF_BYTES = ["content-encoding", "content-digest", "repr-digest", "digest", "content-md5"];
