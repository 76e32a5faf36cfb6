/**
 * The responses API: output items of text, refusals, reasoning, and calls of functions and built-in tools.
 *
 * Owns which parts of which item were read, so that each is kept once although the stream repeats it: in
 * deltas, in its `done` events, and in the final `response`.
 *
 * @see https://platform.openai.com/docs/api-reference/responses-streaming
 */
import { errorOfText } from "../../core/reported_error.ts";
import { MAX_PIECES, type ReplyDraft, type ToolCallDraft } from "../draft.ts";
import { asArguments, asArray, asCount, asObject, asText, type JsonObject, readError } from "../json.ts";
import { errorOf } from "../judge.ts";
import { hasSubstance } from "../substance.ts";
import type { ReadableEvent, ReplyReader } from "./reader.ts";

const FAILED = errorOfText("the response failed");

/** Events that only announce a response; they repeat the request, which may be large. */
const BEGINNINGS: ReadonlySet<string> = new Set([
  "response.created",
  "response.queued",
  "response.in_progress",
]);
const ENDS: ReadonlySet<string> = new Set([
  "response.completed",
  "response.incomplete",
  "response.failed",
  "response.cancelled",
]);

type PartKind = "text" | "reasoning" | "summary";

export class ResponsesReader implements ReplyReader {
  readonly endsWithDone = false;
  readonly isOpaque = false;
  readonly isBulk = false;
  readonly #draft: ReplyDraft;
  /** Parts that were read, as `output/kind/part`. */
  readonly #readParts = new Set<string>();
  readonly #calls = new Map<number, ToolCallDraft>();

  constructor(draft: ReplyDraft) {
    this.#draft = draft;
  }

  readEvent({ name, json }: ReadableEvent): void {
    if (json === null) return;
    const type = asText(json.type) ?? name;
    const output = asCount(json.output_index) ?? 0;
    switch (type) {
      case "response.created":
      case "response.queued":
      case "response.in_progress":
        this.#draft.setModel(asText(asObject(json.response)?.model));
        break;
      case "response.output_text.delta":
      case "response.refusal.delta":
      case "response.audio.transcript.delta":
        this.#addPart({ kind: "text", output, json, text: asText(json.delta), isDelta: true });
        break;
      case "response.output_text.done":
      case "response.refusal.done":
        this.#addPart({ kind: "text", output, json, text: asText(json.text) ?? asText(json.refusal) });
        break;
      case "response.reasoning_text.delta":
      case "response.reasoning.delta":
        this.#addPart({ kind: "reasoning", output, json, text: deltaText(json.delta), isDelta: true });
        break;
      case "response.reasoning_text.done":
        this.#addPart({ kind: "reasoning", output, json, text: asText(json.text) });
        break;
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_summary.delta":
        this.#addPart({ kind: "summary", output, json, text: deltaText(json.delta), isDelta: true });
        break;
      case "response.reasoning_summary_text.done":
        this.#addPart({ kind: "summary", output, json, text: asText(json.text) });
        break;
      case "response.output_item.added":
        this.#startItem(asObject(json.item), output);
        break;
      case "response.output_item.done":
        this.#readItem(asObject(json.item), output);
        break;
      case "response.content_part.added":
        // Its text comes again.
        if (hasSubstance(json.part)) this.#draft.markContent();
        break;
      case "response.content_part.done":
      case "response.reasoning_summary_part.done":
        this.#readPart(json, output);
        break;
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
      case "response.cancelled":
        this.#end(asObject(json.response), type);
        break;
      default:
        if (type.startsWith("response.")) this.#readOther(type, json, output);
    }
  }

  /** Calls, sound, images, and whatever is yet to come. */
  #readOther(type: string, json: JsonObject, output: number): void {
    if (type.includes("_call")) {
      if (type.endsWith(".delta")) {
        const delta = asText(json.delta);
        if (delta !== null) this.#callAt(output)?.arguments.append(delta);
      } else if (type.endsWith(".done")) {
        const given = asText(json.arguments) ?? asText(json.input) ?? asText(json.code);
        if (given !== null) this.#fillCall(output, given);
      } else if (asText(json.partial_image_b64) !== null) {
        this.#draft.markContent();
      }
    } else if (type.endsWith(".delta") && hasSubstance(json.delta)) {
      this.#draft.markContent();
    }
  }

  /** A part that is whole. */
  #readPart(json: JsonObject, output: number): void {
    const part = asObject(json.part);
    const type = asText(part?.type) ?? "";
    const kind = type.startsWith("summary") ? "summary" : type.startsWith("reasoning") ? "reasoning" : "text";
    const text = partText(part);
    if (text === null && hasSubstance(part)) this.#draft.markContent();
    this.#addPart({ kind, output, json, text });
  }

  readOversized(name: string): void {
    if (ENDS.has(name)) this.#end(null, name);
    if (name !== "response.failed" && !BEGINNINGS.has(name)) this.#draft.markContent();
  }

  readDocument(document: JsonObject): boolean {
    if (!Array.isArray(document.output)) return false;
    this.#readOutcome(document);
    if (document.status === "failed") this.#draft.setError(FAILED);
    document.output.forEach((item, output) => this.#readItem(asObject(item), output));
    return true;
  }

  isFinished(): boolean {
    return false;
  }

  #end(response: JsonObject | null, type: string): void {
    this.#draft.progress.isTerminal = true;
    this.#draft.setFinishReason(type.slice("response.".length));
    if (response !== null) {
      this.#readOutcome(response);
      this.#fillFrom(asArray(response.output));
    }
    if (type === "response.failed") {
      this.#draft.setError(response?.error ? readError(response.error) : FAILED);
    }
  }

  /** Reads from the final response what no event has sent; some providers send little else. */
  #fillFrom(items: readonly unknown[]): void {
    const { hasText, hasReasoning, hasToolCalls } = this.#draft;
    items.forEach((value, output) => {
      const item = asObject(value);
      const isKnown = isCallItem(item) ? hasToolCalls : item?.type === "reasoning" ? hasReasoning : hasText;
      if (!isKnown) this.#readItem(item, output);
      else this.#markItem(item);
    });
  }

  #readOutcome(response: JsonObject): void {
    this.#draft.setModel(asText(response.model));
    this.#draft.addUsage(response.usage, response.service_tier);
    const webSearches = asArray(response.output).filter(isWebSearch).length;
    if (webSearches > 0) this.#draft.addUsageDetails({ webSearches });
    this.#draft.setFinishReason(
      asText(asObject(response.incomplete_details)?.reason) ?? asText(response.status),
    );
    const error = errorOf(response);
    if (error !== null) this.#draft.setError(error);
  }

  #startItem(item: JsonObject | null, output: number): void {
    if (item === null) return;
    if (!isCallItem(item)) return this.#markItem(item);
    this.#callAt(output)?.identify(asText(item.call_id) ?? asText(item.id), callName(item));
  }

  /** An item that is no empty shell is content, whatever is in it: a compacted conversation, encrypted reasoning. */
  #markItem(item: JsonObject | null): void {
    if (item !== null && !this.#draft.progress.hasContent && isSaid(item)) this.#draft.markContent();
  }

  #fillCall(output: number, given: string): void {
    const call = this.#callAt(output);
    if (call?.arguments.isEmpty) call.arguments.append(given);
  }

  /** Reads a finished item, except for what its deltas have given. */
  #readItem(item: JsonObject | null, output: number): void {
    if (item === null) return;
    if (isCallItem(item)) {
      this.#startItem(item, output);
      this.#fillCall(output, callArguments(item));
      return;
    }
    this.#markItem(item);
    const partKind: PartKind = item.type === "reasoning" ? "reasoning" : "text";
    this.#readItemParts(asArray(item.summary), { kind: "summary", output });
    this.#readItemParts(asArray(item.content), { kind: partKind, output });
  }

  #readItemParts(parts: readonly unknown[], place: { kind: PartKind; output: number }): void {
    parts.forEach((value, index) => {
      const text = partText(asObject(value));
      this.#addPart({ ...place, json: { content_index: index, summary_index: index }, text });
    });
  }

  /** Appends a delta; anything else only when its part has not been read. */
  #addPart(part: {
    readonly kind: PartKind;
    readonly output: number;
    /** Holds the index of the part within its item. */
    readonly json: JsonObject;
    readonly text: string | null;
    readonly isDelta?: boolean;
  }): void {
    if (part.text === null) return;
    const index = asCount(part.kind === "summary" ? part.json.summary_index : part.json.content_index) ?? 0;
    const key = `${part.output}/${part.kind}/${index}`;
    if (part.isDelta !== true && this.#readParts.has(key)) return;
    if (this.#readParts.size < MAX_PIECES) this.#readParts.add(key);
    if (part.kind === "text") this.#draft.text().append(part.text);
    else this.#draft.reasoning().append(part.text);
  }

  #callAt(output: number): ToolCallDraft | null {
    const known = this.#calls.get(output);
    if (known !== undefined) return known;
    const call = this.#draft.addToolCall();
    if (call !== null) this.#calls.set(output, call);
    return call;
  }
}

/** Not the shell of an item whose content is yet to come. */
function isSaid(item: JsonObject): boolean {
  if (item.type === "message") return hasSubstance(item.content);
  if (item.type !== "reasoning") return hasSubstance(item);
  return hasSubstance(item.summary) || hasSubstance(item.content) || hasSubstance(item.encrypted_content);
}

function partText(part: JsonObject | null): string | null {
  return asText(part?.text) ?? asText(part?.refusal) ?? asText(part?.transcript);
}

/** An older form of reasoning deltas wraps the text. */
function deltaText(delta: unknown): string | null {
  return asText(delta) ?? asText(asObject(delta)?.text);
}

/** Calls of functions, custom tools and built-in tools: `function_call`, `web_search_call`, ... */
function isCallItem(item: JsonObject | null): boolean {
  const type = asText(item?.type) ?? "";
  return type.endsWith("_call") || type === "mcp_approval_request";
}

/** Opening a page that was found is free: https://platform.openai.com/docs/guides/tools-web-search */
function isWebSearch(value: unknown): boolean {
  const item = asObject(value);
  if (item?.type !== "web_search_call") return false;
  const action = asText(asObject(item.action)?.type);
  return action === null || action === "search";
}

/** A call of a built-in tool has no name: its type implies it (`web_search_call` calls `web_search`). */
function callName(item: JsonObject): string | null {
  return asText(item.name) ?? asText(item.type)?.replace(/_call$/, "") ?? null;
}

function callArguments(item: JsonObject): string {
  const given = item.arguments ?? item.input ?? item.code ?? item.action ?? item.operation;
  if (given !== undefined && given !== null) return asArguments(given);
  if (Array.isArray(item.queries)) return JSON.stringify({ queries: item.queries });
  const prompt = asText(item.revised_prompt);
  return prompt === null ? "" : JSON.stringify({ revised_prompt: prompt });
}
