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
import {
  asArguments,
  asArray,
  asCount,
  asObject,
  asText,
  errorOf,
  type JsonObject,
  readError,
} from "../json.ts";
import type { ReadableEvent, ReplyReader } from "./reader.ts";

const FAILED = errorOfText("the response failed");

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
    if (type.startsWith("response.") && type.endsWith(".delta")) this.#draft.progress.hasContent = true;
    const output = asCount(json.output_index) ?? 0;
    const isCall = type.includes("_call");
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
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
        this.#end(asObject(json.response), type);
        break;
      default:
        if (isCall && type.endsWith(".delta")) {
          this.#callAt(output)?.arguments.append(asText(json.delta) ?? "");
        }
    }
  }

  readOversized(name: string): void {
    if (name === "response.completed" || name === "response.incomplete" || name === "response.failed") {
      this.#end(null, name);
    }
  }

  readDocument(document: JsonObject): boolean {
    if (!Array.isArray(document.output)) return false;
    this.#readOutcome(document);
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
    });
  }

  #readOutcome(response: JsonObject): void {
    this.#draft.setModel(asText(response.model));
    this.#draft.addUsage(response.usage);
    this.#draft.setFinishReason(
      asText(asObject(response.incomplete_details)?.reason) ?? asText(response.status),
    );
    const error = errorOf(response);
    if (error !== null) this.#draft.setError(error);
  }

  #startItem(item: JsonObject | null, output: number): void {
    if (item === null || !isCallItem(item)) return;
    this.#draft.progress.hasContent = true;
    this.#callAt(output)?.identify(asText(item.call_id) ?? asText(item.id), callName(item));
  }

  /** Reads a finished item, except for what its deltas have given. */
  #readItem(item: JsonObject | null, output: number): void {
    if (item === null) return;
    if (isCallItem(item)) {
      this.#startItem(item, output);
      const call = this.#callAt(output);
      if (call?.arguments.isEmpty) call.arguments.append(callArguments(item));
      return;
    }
    const partKind: PartKind = item.type === "reasoning" ? "reasoning" : "text";
    this.#readItemParts(asArray(item.summary), { kind: "summary", output });
    this.#readItemParts(asArray(item.content), { kind: partKind, output });
  }

  #readItemParts(parts: readonly unknown[], place: { kind: PartKind; output: number }): void {
    parts.forEach((value, index) => {
      const part = asObject(value);
      const text = asText(part?.text) ?? asText(part?.refusal) ?? asText(part?.transcript);
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

/** An older form of reasoning deltas wraps the text. */
function deltaText(delta: unknown): string | null {
  return asText(delta) ?? asText(asObject(delta)?.text);
}

/** Calls of functions, custom tools and built-in tools: `function_call`, `web_search_call`, ... */
function isCallItem(item: JsonObject | null): boolean {
  const type = asText(item?.type) ?? "";
  return type.endsWith("_call") || type === "mcp_approval_request";
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
