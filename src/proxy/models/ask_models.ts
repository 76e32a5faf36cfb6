/**
 * Asks one upstream for all of its models, page by page.
 *
 * Owns the bounds of what is read, and when there is no next page. Must not know who uses the list.
 */
import { isAboutKey } from "../../core/blame.ts";
import { Cancellation } from "../../core/cancellation.ts";
import type { HeaderView } from "../../core/header_fields.ts";
import { type ListedModel, type ModelPage, readModelPage } from "../../core/model_list_text.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import type { Upstream } from "../../core/types.ts";
import { collect } from "../../wire/collect.ts";
import { TimedReader } from "../../wire/timed_reader.ts";
import type { AttemptReply, SendResult, TransportDeps } from "../attempt/transport.ts";
import { guessAuthStyle } from "../attempt/upstream_request.ts";
import { MAX_PAGE_BYTES, sendModelsRequest } from "./models_request.ts";

const MAX_PAGES = 20;
const MAX_MODELS = 50_000;
/** Of the objects of all pages, in characters. */
const MAX_LENGTH = 32 * 1024 * 1024;
/** Anthropic's largest page; its default is 20. */
const ANTHROPIC_PAGE = "limit=1000";

export interface ModelsQuestion {
  readonly upstream: Upstream;
  /** Of each request. */
  readonly limitMs: number;
  readonly cancellation: Cancellation;
  /** With the client's own credential, where that is what the upstream gets. */
  readonly headers?: HeaderView;
  readonly guard?: TokenGuard;
}

export type ModelsAnswer =
  | {
    readonly type: "list";
    readonly models: readonly ListedModel[];
    /** False: there were more than were read. */
    readonly isWhole: boolean;
  }
  /** It has no such path. */
  | { readonly type: "no_endpoint" }
  /** `problem`: for people, one line, without secrets. */
  | {
    readonly type: "failed";
    readonly problem: string;
    /** The key was refused or has reached its limit, so that another one may do better. */
    readonly isAboutKey?: true;
  };

type Page =
  | { readonly type: "page"; readonly page: ModelPage }
  | Exclude<ModelsAnswer, { type: "list" }>;

/** Never throws. */
export async function askModels(deps: TransportDeps, question: ModelsQuestion): Promise<ModelsAnswer> {
  const { authStyle, endpoint } = question.upstream;
  const isAnthropic = (authStyle ?? guessAuthStyle(endpoint)) === "x-api-key";
  const models = new Map<string, ListedModel>();
  const seen = new Set<string>();
  let query = isAnthropic ? ANTHROPIC_PAGE : "";
  let length = 0;
  for (let count = 1;; count++) {
    const result = await askPage(deps, question, query);
    // Of a list whose later pages fail, nothing is known for sure.
    if (result.type !== "page") return result;
    const { page } = result;
    for (const model of page.models) {
      length += model.raw?.length ?? 0;
      if (!models.has(model.id)) models.set(model.id, model);
    }
    const list = { type: "list", models: [...models.values()].slice(0, MAX_MODELS) } as const;
    const after = page.lastId ?? page.models.at(-1)?.id;
    if (!page.hasMore) return { ...list, isWhole: models.size <= MAX_MODELS };
    const isBounded = count >= MAX_PAGES || models.size >= MAX_MODELS || length >= MAX_LENGTH;
    // A cursor that comes again leads round in a circle.
    if (isBounded || after === undefined || seen.has(after)) return { ...list, isWhole: false };
    seen.add(after);
    const cursor = encodeURIComponent(after);
    query = isAnthropic || page.isAnthropic ? `${ANTHROPIC_PAGE}&after_id=${cursor}` : `after=${cursor}`;
  }
}

/** Each request has a cancellation of its own: one that is late is ended by it. */
async function askPage(deps: TransportDeps, question: ModelsQuestion, query: string): Promise<Page> {
  const own = new Cancellation();
  const cancel = () => own.cancel();
  question.cancellation.onCancel(cancel);
  try {
    return await receivePage(deps, { ...question, cancellation: own }, query);
  } finally {
    question.cancellation.offCancel(cancel);
  }
}

async function receivePage(deps: TransportDeps, question: ModelsQuestion, query: string): Promise<Page> {
  const startedMs = deps.clock.monotonic();
  const result = await sendModelsRequest(deps, { ...question, query });
  if (result.type !== "reply") return { type: "failed", problem: problemOf(result) };
  const { status } = result;
  if (status === 404 || status === 405) {
    result.body.cancel();
    return { type: "no_endpoint" };
  }
  if (status !== 200) {
    result.body.cancel();
    const problem = status >= 300 && status < 400 ? "it redirects" : `HTTP ${status}`;
    return { type: "failed", problem, ...(isAboutKey(status, null) ? { isAboutKey: true } : {}) };
  }
  const limitMs = Math.max(1, question.limitMs - (deps.clock.monotonic() - startedMs));
  return await readPage(deps, result, limitMs);
}

async function readPage(deps: TransportDeps, { body }: AttemptReply, limitMs: number): Promise<Page> {
  const { clock } = deps;
  const { bytes, isWhole } = await collect(new TimedReader(body, clock), {
    limitMs,
    limitBytes: MAX_PAGE_BYTES,
  });
  body.cancel();
  if (!isWhole) {
    const isLong = bytes.length >= MAX_PAGE_BYTES;
    return { type: "failed", problem: isLong ? "its list is too long" : "its list broke off" };
  }
  const reading = readModelPage(new TextDecoder().decode(bytes));
  for (;;) {
    const step = reading.next();
    if (step.done) {
      return step.value === null
        ? { type: "failed", problem: "it answered with no list of models" }
        : { type: "page", page: step.value };
    }
    await new Promise<void>((resolve) => clock.setTimer(resolve, 0));
  }
}

function problemOf(result: Exclude<SendResult, AttemptReply>): string {
  switch (result.type) {
    case "connect_error":
    case "bad_reply":
      return result.message;
    case "timeout":
      return `no answer within ${result.limitMs / 1000} s`;
    case "no_credential":
      return "the client has no key for it";
    case "client_gone":
      return "it was not waited for";
    default:
      return result satisfies never;
  }
}
