/**
 * The router's own answer to `GET /v1/models`: the union of what several upstreams list.
 *
 * Owns which models a client sees, under which names, and the two forms of the list. Objects are those of the upstreams, as
 * they came. Pure.
 *
 * @see https://platform.openai.com/docs/api-reference/models/list , https://docs.anthropic.com/en/api/models-list
 */
import { sha256 } from "../../core/digest.ts";
import { type ListedModel, withId } from "../../core/model_list_text.ts";
import { comparableModel } from "../../core/model_order.ts";
import { isPathPattern, matchesRules, type ModelRules } from "../../core/policy.ts";
import type { Upstream } from "../../core/types.ts";
import { guessAuthStyle } from "../attempt/upstream_request.ts";

export type ModelsForm = "openai" | "anthropic";

/** What an upstream has. */
export interface Contribution {
  readonly upstream: Upstream;
  /** null: not known; then it has what its `allow` and its aliases name. */
  readonly models: readonly ListedModel[] | null;
}

export interface ModelUnion {
  /** Each model's object by its name, in the order of the upstreams, which have the order of trial. */
  readonly objects: ReadonlyMap<string, string>;
  /** Names of the upstreams that are known to have any. */
  readonly upstreams: readonly string[];
}

/** Anthropic's clients see only upstreams of their kind, if there are any. */
export function upstreamsFor(form: ModelsForm, upstreams: readonly Upstream[]): readonly Upstream[] {
  if (form === "openai") return upstreams;
  const own = upstreams.filter(({ authStyle, endpoint }) =>
    (authStyle ?? guessAuthStyle(endpoint)) === "x-api-key"
  );
  return own.length === 0 ? upstreams : own;
}

/** The first upstream that has a name wins. */
export function unionOf(form: ModelsForm, contributions: readonly Contribution[]): ModelUnion {
  const objects = new Map<string, string>();
  const upstreams: string[] = [];
  const merged = new Set<readonly ListedModel[]>();
  for (const contribution of contributions) {
    const { upstream, models } = contribution;
    const isPlain = models !== null && hasNoRules(upstream);
    // A thousand upstreams of one provider have one list.
    if (!isPlain || !merged.has(models)) {
      const before = objects.size;
      for (const [id, object] of objectsOf(form, contribution)) {
        if (!objects.has(id)) objects.set(id, object);
      }
      if (models === null && objects.size === before) continue;
    }
    if (isPlain) merged.add(models);
    upstreams.push(upstream.name);
  }
  return { objects, upstreams };
}

/** What a token's rules admit of it. */
export function unionWithin({ objects, upstreams }: ModelUnion, rules: ModelRules): ModelUnion {
  const isShown = ([id]: [string, string]) => matchesRules(rules, id);
  return { objects: new Map([...objects].filter(isShown)), upstreams };
}

function hasNoRules({ allow, deny, modelMap }: Upstream): boolean {
  return allow.length === 0 && deny.length === 0 && Object.keys(modelMap).length === 0;
}

function* objectsOf(form: ModelsForm, { upstream, models }: Contribution): Generator<[string, string]> {
  const { modelMap, allow } = upstream;
  const make = (id: string) => minimalObject(form, id, upstream.name);
  const isShown = (id: string) => matchesRules(upstream, id);
  if (models === null) {
    const named = allow.filter((pattern) => !/[*?]/.test(pattern) && !isPathPattern(pattern));
    for (const id of [...named, ...Object.keys(modelMap)]) {
      if (isShown(id)) yield [id, make(id)];
    }
    return;
  }
  for (const { id, raw } of models) {
    // Under this name the client gets another model of this upstream.
    if (isShown(id) && !Object.hasOwn(modelMap, id)) yield [id, raw ?? make(id)];
  }
  const aliases = Object.entries(modelMap);
  if (aliases.length === 0) return;
  const listed = new Map(models.map((model) => [comparableModel(model.id), model]));
  for (const [alias, target] of aliases) {
    const model = listed.get(comparableModel(target));
    if (model === undefined || !isShown(alias)) continue;
    yield [alias, (model.raw === null ? null : withId(model.raw, alias)) ?? make(alias)];
  }
}

function minimalObject(form: ModelsForm, id: string, ownedBy: string): string {
  return JSON.stringify(
    form === "openai"
      ? { id, object: "model", created: 0, owned_by: ownedBy.toWellFormed() }
      : { type: "model", id, display_name: id, created_at: "1970-01-01T00:00:00Z" },
  );
}

/** The whole list in OpenAI's form. */
export function openAiList({ objects }: ModelUnion): string {
  return `{"object":"list","data":[${[...objects.values()].join(",")}]}`;
}

/** Which part of the list is asked for; null: all of it. */
export interface ModelsPage {
  readonly limit: number | null;
  readonly afterId: string | null;
  readonly beforeId: string | null;
}

const MAX_LIMIT = 1000;

/** Anthropic's parameters. @returns the parameter that is wrong, and what it should be */
export function readPage(query: string): ModelsPage | { readonly problem: string } {
  const parameters = new URLSearchParams(query);
  const text = parameters.get("limit");
  const limit = text === null ? null : Number(text);
  if (limit !== null && !(Number.isInteger(limit) && limit >= 1 && limit <= MAX_LIMIT)) {
    return { problem: `limit: expected a whole number from 1 to ${MAX_LIMIT}` };
  }
  return { limit, afterId: parameters.get("after_id"), beforeId: parameters.get("before_id") };
}

/** A page in Anthropic's form. Without a limit it holds everything. A cursor that names no model counts as none. */
export function anthropicList({ objects }: ModelUnion, { limit, afterId, beforeId }: ModelsPage): string {
  let entries = [...objects];
  const placeOf = (id: string | null) => entries.findIndex(([each]) => each === id);
  entries = entries.slice(placeOf(afterId) + 1);
  const end = placeOf(beforeId);
  if (end >= 0) entries = entries.slice(0, end);
  const count = limit ?? entries.length;
  const isBackward = end >= 0 && afterId === null;
  const page = isBackward ? entries.slice(Math.max(0, end - count)) : entries.slice(0, count);
  const rest = {
    has_more: page.length < entries.length,
    first_id: page[0]?.[0] ?? null,
    last_id: page.at(-1)?.[0] ?? null,
  };
  return `{"data":[${page.map(([, object]) => object).join(",")}],${JSON.stringify(rest).slice(1)}`;
}

/** The object of one model; null: there is none. */
export function objectOf({ objects }: ModelUnion, id: string): string | null {
  const object = objects.get(id);
  if (object !== undefined) return object;
  const name = comparableModel(id);
  for (const [each, other] of objects) {
    if (comparableModel(each) === name) return other;
  }
  return null;
}

/** A weak one: the same list may come in another form. */
export function entityTag(body: string): string {
  return `W/"${sha256(body).toString("base64url").slice(0, 22)}"`;
}

/** RFC 9110 section 13.1.2, by weak comparison. */
export function matchesTag(condition: string | null, tag: string): boolean {
  if (condition === null) return false;
  const opaque = tag.slice(2);
  return condition.split(",").some((each) => {
    const candidate = each.trim();
    return candidate === "*" || candidate.replace(/^W\//, "") === opaque;
  });
}
