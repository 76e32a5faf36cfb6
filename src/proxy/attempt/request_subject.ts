/**
 * A request as the breakers of one upstream see it.
 */
import type { KeyOwner } from "../../core/blame.ts";
import { sha256 } from "../../core/digest.ts";
import { modelAt } from "../../core/model_alias.ts";
import { ASIS, type EndpointKind, type Inbound, type Upstream } from "../../core/types.ts";
import type { HealthSubject } from "../../core/upstream_states.ts";

export type HealthRequest = Pick<Inbound, "model" | "kind" | "headers" | "clientToken" | "clientIp">;

/** Go to an `asis` upstream as the client's credential, or beside it. */
const OWN_HEADERS = [
  "authorization",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
  "openai-organization",
  "openai-project",
  "x-goog-user-project",
] as const;
/** Go to every upstream, and may be refused there. */
const FEATURE_HEADERS = ["openai-beta", "anthropic-beta"] as const;

/** What the attempt's credential is made of. */
export function keyOwnerOf(upstream: Pick<Upstream, "sk">, { headers }: HealthRequest): KeyOwner {
  if (upstream.sk === ASIS) return "client";
  return FEATURE_HEADERS.some((name) => headers.has(name)) ? "both" : "router";
}

export class RequestSubject implements HealthSubject {
  readonly model: string;
  readonly kind: EndpointKind;
  readonly client: string;
  readonly key: string | null;
  readonly keys: readonly string[] | null;
  readonly #isAsis: boolean;
  readonly #headers: HealthRequest["headers"];

  constructor(upstream: Upstream, request: HealthRequest) {
    const { model, kind, clientToken, clientIp, headers } = request;
    this.model = model === null ? "" : modelAt(upstream, model);
    this.kind = kind;
    this.client = clientToken ?? clientIp;
    const hasSeveral = upstream.keys.length > 1;
    this.key = hasSeveral && upstream.keyN !== null ? upstream.sk : null;
    this.keys = hasSeveral && upstream.keyN === null ? upstream.keys : null;
    this.#isAsis = upstream.sk === ASIS;
    this.#headers = headers;
  }

  /** Of all the credentials that the client sent, or of the client and what it adds to the configured key. */
  credential(): string {
    const names = this.#isAsis ? [...OWN_HEADERS, ...FEATURE_HEADERS] : FEATURE_HEADERS;
    const values = names.map((name) => this.#headers.get(name));
    return sha256(JSON.stringify(this.#isAsis ? values : [this.client, values])).toString("base64");
  }
}
