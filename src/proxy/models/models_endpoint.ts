/**
 * `GET /v1/models` and `/v1/models/ID`, answered by the router itself.
 *
 * Owns when it does, from what, and with which headers. What upstreams list is the catalogue's; upstreams that get the
 * client's own key are asked for each request.
 */
import { toAnthropicEnvelope } from "../../core/anthropic_error.ts";
import { comparablePath, withoutRepeatedVersion } from "../../core/api_path.ts";
import { Cancellation } from "../../core/cancellation.ts";
import { hasOwnCredential } from "../../core/credentials.ts";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../../core/cut_text.ts";
import { RouterError } from "../../core/errors.ts";
import type { FixedHeaders } from "../../core/fixed_headers.ts";
import { HeaderFields, type HeaderView } from "../../core/header_fields.ts";
import type { ModelCatalog } from "../../core/model_catalog.ts";
import type { ListedModel } from "../../core/model_list_text.ts";
import type { ModelRules } from "../../core/policy.ts";
import { percentDecoded } from "../../core/percent_text.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import { ASIS, type Upstream } from "../../core/types.ts";
import type { InboundExchange } from "../../wire/exchange.ts";
import type { TransportDeps } from "../attempt/transport.ts";
import { clientHeaders, headerText } from "../relay/reply_headers.ts";
import { askModels } from "./ask_models.ts";
import {
  anthropicList,
  entityTag,
  matchesTag,
  type ModelsForm,
  type ModelUnion,
  objectOf,
  openAiList,
  readPage,
  unionOf,
  unionWithin,
  upstreamsFor,
} from "./model_answer.ts";

/** How long a request waits for upstreams that were not asked before. */
const FIRST_ANSWERS_MS = 3_000;
/** Of each request to an `asis` upstream. */
const OWN_KEY_LIMIT_MS = 5_000;
const MAX_SHOWN_UPSTREAMS = 64;
/** Go to an `asis` upstream along with the client's credential. */
const PASSED_HEADERS = [
  ...["authorization", "x-api-key", "api-key", "x-goog-api-key"],
  ...["openai-organization", "openai-project", "x-goog-user-project", "anthropic-version", "anthropic-beta"],
];

/** What is asked for. */
export interface AskedModels {
  /** null: the list. */
  readonly id: string | null;
}

/** A request that the router has answered. */
export interface AnsweredModels {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly elapsedMs: number;
}

export interface ModelsEndpointDeps extends TransportDeps {
  readonly catalog: ModelCatalog;
  /** Resolves when every upstream has answered once, or after a while. */
  readonly answered: (limitMs: number) => Promise<void>;
  readonly newId: () => string;
  readonly onAnswered: (answered: AnsweredModels) => void;
}

export interface ModelsCallParts {
  readonly asked: AskedModels;
  readonly path: string;
  readonly query: string;
  /** Those that the client may use, in order; the same array as long as the configuration stays. */
  readonly allowed: readonly Upstream[];
  readonly guard: TokenGuard;
  /** Which models the client's token may use; null: all. Fits `allowed`. */
  readonly models: ModelRules | null;
  readonly fixedHeaders: FixedHeaders;
  readonly startedMonoMs: number;
}

/** The union of one set of upstreams, as it is with one version of the catalogue. */
interface Assembled {
  readonly version: number;
  readonly union: ModelUnion;
  /** In OpenAI's form, or the whole list in Anthropic's. */
  readonly body: string;
  readonly tag: string;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** null: it has none. */
  readonly tag: string | null;
}

const EVERYTHING = { limit: null, afterId: null, beforeId: null };
const encoder = new TextEncoder();

/** What a request asks for; null: it is not one for models. */
export function askedModels(method: string, rawPath: string): AskedModels | null {
  if ((method !== "GET" && method !== "HEAD") || !rawPath.includes("/models")) return null;
  const path = withoutRepeatedVersion(rawPath);
  const plain = comparablePath(path);
  if (plain === "/v1/models" || plain === "/v1/models/") return { id: null };
  if (!path.startsWith("/v1/models/")) return null;
  return { id: percentDecoded(path.slice("/v1/models/".length).replace(/\/$/, "")) };
}

export class ModelsEndpoint {
  readonly #deps: ModelsEndpointDeps;
  readonly #assembled: Readonly<Record<ModelsForm, WeakMap<readonly Upstream[], Assembled>>> = {
    openai: new WeakMap(),
    anthropic: new WeakMap(),
  };
  readonly #underWay = new Set<Cancellation>();

  constructor(deps: ModelsEndpointDeps) {
    this.#deps = deps;
  }

  /**
   * Answers, unless nothing is known of any upstream.
   * @returns false: it was not answered, and is to be relayed
   */
  async answer(client: InboundExchange, call: ModelsCallParts): Promise<boolean> {
    const { headers } = client;
    const form: ModelsForm = headers.has("anthropic-version") ? "anthropic" : "openai";
    const upstreams = upstreamsFor(form, call.allowed);
    if (upstreams.length === 0) return false;
    const { catalog } = this.#deps;
    const isAwaited = ({ id, sk }: Upstream) => sk !== ASIS && catalog.of(id) === null;
    if (upstreams.some(isAwaited)) await this.#deps.answered(FIRST_ANSWERS_MS);
    const assembled = await this.#assemble(form, { client, call, upstreams });
    // A list as the upstream sends it would name models that the token may not use.
    if (assembled.union.upstreams.length === 0 && call.models === null) return false;
    const requestId = this.#deps.newId();
    const answer = answerTo(form, { call, assembled, requestId });
    const isSame = answer.tag !== null && matchesTag(headers.get("if-none-match"), answer.tag);
    const status = isSame ? 304 : answer.status;
    const body = encoder.encode(answer.body);
    const sent = headersOf({ requestId, fixed: call.fixedHeaders, union: assembled.union, answer });
    const hasBody = !isSame && client.method !== "HEAD";
    if (!client.isGone) {
      // The client may leave during the answer.
      await client.reply({ status, headers: sent, contentLength: body.length }, hasBody ? body : null)
        .catch(() => {});
    }
    const elapsedMs = this.#deps.clock.monotonic() - call.startedMonoMs;
    this.#deps.onAnswered({ requestId, method: client.method, path: call.path, status, elapsedMs });
    return true;
  }

  /** Ends what upstreams are asked for clients. */
  stop(): void {
    for (const cancellation of this.#underWay) cancellation.cancel();
  }

  async #assemble(
    form: ModelsForm,
    { client, call, upstreams }: {
      readonly client: InboundExchange;
      readonly call: ModelsCallParts;
      readonly upstreams: readonly Upstream[];
    },
  ): Promise<Assembled> {
    const { catalog } = this.#deps;
    const own = upstreams.filter(({ sk }) => sk === ASIS);
    if (own.length > 0 && hasOwnCredential(client.headers, call.guard)) {
      const lists = await this.#askOwn(own, { client, guard: call.guard });
      return assembledOf(form, catalog.version, {
        upstreams,
        rules: call.models,
        modelsOf: ({ id }) => lists.get(id) ?? catalog.modelsOf(id),
      });
    }
    const cache = this.#assembled[form];
    const cached = cache.get(call.allowed);
    if (cached?.version === catalog.version) return cached;
    const made = assembledOf(form, catalog.version, {
      upstreams,
      rules: call.models,
      modelsOf: ({ id }) => catalog.modelsOf(id),
    });
    cache.set(call.allowed, made);
    return made;
  }

  /** The upstreams that get the client's own key, all at once. */
  async #askOwn(
    upstreams: readonly Upstream[],
    { client, guard }: { readonly client: InboundExchange; readonly guard: TokenGuard },
  ): Promise<ReadonlyMap<number, readonly ListedModel[]>> {
    const cancellation = new Cancellation();
    this.#underWay.add(cancellation);
    const forgetClient = client.onGone(() => cancellation.cancel());
    const headers = passedHeaders(client.headers);
    try {
      const answers = await Promise.all(upstreams.map(async (upstream) => {
        const question = { upstream, limitMs: OWN_KEY_LIMIT_MS, cancellation, headers, guard };
        return [upstream.id, await askModels(this.#deps, question)] as const;
      }));
      return new Map(
        answers.flatMap(([id, answer]) => answer.type === "list" ? [[id, answer.models] as const] : []),
      );
    } finally {
      forgetClient();
      this.#underWay.delete(cancellation);
    }
  }
}

function assembledOf(
  form: ModelsForm,
  version: number,
  { upstreams, rules, modelsOf }: {
    readonly upstreams: readonly Upstream[];
    readonly rules: ModelRules | null;
    readonly modelsOf: (upstream: Upstream) => readonly ListedModel[] | null;
  },
): Assembled {
  const all = unionOf(form, upstreams.map((upstream) => ({ upstream, models: modelsOf(upstream) })));
  const union = rules === null ? all : unionWithin(all, rules);
  const body = form === "openai" ? openAiList(union) : anthropicList(union, EVERYTHING);
  return { version, union, body, tag: entityTag(body) };
}

function answerTo(
  form: ModelsForm,
  { call: { asked, query }, assembled, requestId }: {
    readonly call: ModelsCallParts;
    readonly assembled: Assembled;
    readonly requestId: string;
  },
): Answer {
  const { union, body, tag } = assembled;
  const fail = (error: RouterError): Answer => ({
    status: error.status,
    body: JSON.stringify(form === "openai" ? error.toEnvelope() : toAnthropicEnvelope(error, requestId)),
    tag: null,
  });
  if (asked.id !== null) {
    const object = objectOf(union, asked.id);
    if (object !== null) return { status: 200, body: object, tag: entityTag(object) };
    const name = cutText(asked.id, MAX_SHOWN_NAME_LENGTH);
    return fail(new RouterError(404, "model_not_found", `No upstream lists the model ${name}`));
  }
  if (form === "openai" || query === "") return { status: 200, body, tag };
  const page = readPage(query);
  if ("problem" in page) return fail(new RouterError(400, "invalid_request", page.problem));
  const part = anthropicList(union, page);
  return { status: 200, body: part, tag: entityTag(part) };
}

function headersOf(
  { requestId, fixed, union, answer }: {
    readonly requestId: string;
    readonly fixed: FixedHeaders;
    readonly union: ModelUnion;
    readonly answer: Answer;
  },
): HeaderFields {
  const headers = clientHeaders(null, { requestId, upstreamName: null, attempts: 0, fixed });
  headers.set("content-type", "application/json");
  headers.append("vary", "anthropic-version");
  const names = union.upstreams.slice(0, MAX_SHOWN_UPSTREAMS).map(headerText);
  const more = union.upstreams.length - names.length;
  headers.set("x-oar-upstreams", [...names, ...(more > 0 ? [`and ${more} more`] : [])].join(", "));
  if (answer.tag !== null) headers.set("etag", answer.tag);
  return headers;
}

function passedHeaders(headers: HeaderView): HeaderFields {
  const passed: [string, string][] = [["accept", "application/json"]];
  for (const name of PASSED_HEADERS) {
    const value = headers.get(name);
    if (value !== null) passed.push([name, value]);
  }
  return new HeaderFields(passed);
}
