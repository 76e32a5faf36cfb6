/**
 * Anthropic messages: content blocks of text, thinking and tool use.
 *
 * Owns the blocks of one message, whole or in deltas. Results of server tools are content, but not part of what the model
 * said, and are not kept.
 *
 * @see https://docs.anthropic.com/en/docs/build-with-claude/streaming
 */
import type { ReplyDraft, ToolCallDraft } from "../draft.ts";
import { asArray, asCount, asObject, asText, type JsonObject } from "../json.ts";
import { hasSubstance } from "../substance.ts";
import type { ReadableEvent, ReplyReader } from "./reader.ts";

/** A tool call whose block is open, with the input that the block began with. */
interface OpenCall {
  readonly call: ToolCallDraft;
  readonly input: unknown;
}

export class MessagesReader implements ReplyReader {
  readonly endsWithDone = false;
  readonly isOpaque = false;
  readonly isBulk = false;
  readonly #draft: ReplyDraft;
  readonly #openCalls = new Map<number, OpenCall>();

  constructor(draft: ReplyDraft) {
    this.#draft = draft;
  }

  readEvent({ name, json }: ReadableEvent): void {
    if (json === null) return;
    switch (asText(json.type) ?? name) {
      case "message_start":
        this.#readMessage(asObject(json.message));
        break;
      case "content_block_start":
        this.#startBlock(asObject(json.content_block), asCount(json.index) ?? 0);
        break;
      case "content_block_delta":
        this.#readDelta(asObject(json.delta), asCount(json.index) ?? 0);
        break;
      case "content_block_stop":
        this.#stopBlock(asCount(json.index) ?? 0);
        break;
      case "message_delta":
        this.#draft.setFinishReason(asText(asObject(json.delta)?.stop_reason));
        this.#draft.addUsage(json.usage);
        break;
      case "message_stop":
        this.#draft.progress.isTerminal = true;
        break;
    }
  }

  readOversized(name: string): void {
    if (name === "content_block_delta" || name === "content_block_start") this.#draft.markContent();
  }

  readDocument(document: JsonObject): boolean {
    if (!Array.isArray(document.content)) {
      // The answer of count_tokens is a bare usage object.
      this.#draft.addUsage(document);
      return false;
    }
    this.#readMessage(document);
    return true;
  }

  isFinished(): boolean {
    return false;
  }

  #readMessage(message: JsonObject | null): void {
    if (message === null) return;
    this.#draft.setModel(asText(message.model));
    this.#draft.addUsage(message.usage);
    this.#draft.setFinishReason(asText(message.stop_reason));
    asArray(message.content).forEach((item, index) => {
      this.#startBlock(asObject(item), index);
      this.#stopBlock(index);
    });
  }

  #startBlock(block: JsonObject | null, index: number): void {
    if (block === null) return;
    const type = asText(block.type) ?? "";
    if (type === "text") this.#draft.text().append(asText(block.text) ?? "");
    else if (type === "thinking") this.#draft.reasoning().append(asText(block.thinking) ?? "");
    else if (type.endsWith("tool_use")) {
      const call = this.#draft.addToolCall();
      if (call === null) return;
      call.identify(asText(block.id), asText(block.name));
      this.#openCalls.set(index, { call, input: block.input });
    } else if (hasSubstance(block)) {
      // Redacted thinking, results of server tools: nothing more of them may follow.
      this.#draft.markContent();
    }
  }

  #readDelta(delta: JsonObject | null, index: number): void {
    switch (delta?.type) {
      case "text_delta":
        this.#draft.text().append(asText(delta.text) ?? "");
        break;
      case "thinking_delta":
        this.#draft.reasoning().append(asText(delta.thinking) ?? "");
        break;
      case "input_json_delta":
        this.#openCalls.get(index)?.call.arguments.append(asText(delta.partial_json) ?? "");
        break;
      default:
        // A signature alone says nothing.
        if (hasSubstance(delta)) this.#draft.markContent();
    }
  }

  /** A call that came without input deltas has the input that its block began with. */
  #stopBlock(index: number): void {
    const open = this.#openCalls.get(index);
    if (open === undefined) return;
    this.#openCalls.delete(index);
    if (open.call.arguments.isEmpty) open.call.arguments.append(JSON.stringify(open.input ?? {}));
  }
}
