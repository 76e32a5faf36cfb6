/**
 * Chat completions: OpenAI's, and the variants of Azure, DeepSeek, Groq, xAI, Mistral, Perplexity,
 * OpenRouter and others.
 *
 * Owns the fields of messages and deltas; both have the same, so one path reads them.
 */
import { ChatToolCalls } from "./chat_tool_calls.ts";
import { Choices } from "./choices.ts";
import type { ReplyDraft } from "../draft.ts";
import { asArray, asObject, asText, type JsonObject } from "../json.ts";
import { hasSubstance } from "../substance.ts";
import type { ReadableEvent, ReplyReader } from "./reader.ts";

export class ChatReader implements ReplyReader {
  readonly endsWithDone = true;
  readonly isOpaque = false;
  readonly isBulk = false;
  readonly #draft: ReplyDraft;
  readonly #choices: Choices;
  readonly #toolCalls: ChatToolCalls;

  constructor(draft: ReplyDraft) {
    this.#draft = draft;
    this.#choices = new Choices(draft);
    this.#toolCalls = new ChatToolCalls(draft);
  }

  readEvent({ json }: ReadableEvent): void {
    if (json === null) return;
    this.#choices.read(json, (choice, index) => {
      const delta = asObject(choice.delta);
      if (delta === null) {
        // Some providers send no deltas but the whole message in one chunk.
        if (!this.#choices.isFinished && this.#draft.text(index).isEmpty) this.#readWhole(choice, index);
        return;
      }
      this.#readContent(delta, index);
      this.#toolCalls.readDelta(delta, index);
    });
  }

  readOversized(): void {
    this.#draft.markContent();
  }

  readDocument(document: JsonObject): boolean {
    if (!Array.isArray(document.choices)) return false;
    this.#choices.read(document, (choice, index) => this.#readWhole(choice, index));
    return true;
  }

  isFinished(): boolean {
    return this.#choices.isFinished;
  }

  #readWhole(choice: JsonObject, index: number): void {
    // Some servers answer with the choices of another API, or with those of a stream.
    const message = asObject(choice.message) ?? asObject(choice.delta);
    if (message === null) return this.#addText(asText(choice.text) ?? asText(choice.message), index);
    this.#readContent(message, index);
    this.#toolCalls.readMessage(message);
  }

  /** What deltas and messages have in common: everything but tool calls. */
  #readContent(message: JsonObject, index: number): void {
    this.#addReasoning(reasoningOf(message), index);
    // Encrypted reasoning.
    if (asArray(message.reasoning_details).some((item) => asText(asObject(item)?.data) !== null)) {
      this.#draft.markContent();
    }
    if (typeof message.content === "string") this.#addText(message.content, index);
    else if (Array.isArray(message.content)) this.#readParts(message.content, index);
    else if (hasSubstance(message.content)) this.#addText(JSON.stringify(message.content), index);
    this.#addText(asText(message.refusal), index);
    const audio = asObject(message.audio);
    if (audio !== null) {
      this.#addText(asText(audio.transcript), index);
      if (asText(audio.data) !== null) this.#draft.markContent();
    }
    const images = asArray(message.images);
    if (images.length > 0) {
      const count = images.length === 1 ? "[1 image]" : `[${images.length} images]`;
      this.#addText(this.#draft.text(index).isEmpty ? count : `\n${count}`, index);
    }
  }

  /** Mistral's content is a list of parts: `text`, and `thinking` with parts of its own. */
  #readParts(parts: readonly unknown[], index: number): void {
    for (const item of parts) {
      const part = asObject(item);
      if (part === null) this.#addText(asText(item), index);
      else if (part.type === "thinking") this.#addReasoning(textOfParts(part.thinking), index);
      else {
        const text = asText(part.text) ?? asText(part.refusal);
        if (text === null && hasSubstance(part)) this.#draft.markContent();
        this.#addText(text, index);
      }
    }
  }

  #addText(text: string | null, index: number): void {
    if (text !== null && text !== "") this.#draft.text(index).append(text);
  }

  #addReasoning(text: string | null, index: number): void {
    if (text !== null && text !== "") this.#draft.reasoning(index).append(text);
  }
}

/** DeepSeek, xAI and vLLM write `reasoning_content`; Groq and OpenRouter `reasoning`, often with details. */
function reasoningOf(message: JsonObject): string | null {
  return asText(message.reasoning_content) ?? asText(message.reasoning) ??
    textOfParts(message.reasoning_details);
}

function textOfParts(value: unknown): string | null {
  if (typeof value === "string") return value;
  const texts = asArray(value).map((item) => {
    const part = asObject(item);
    return asText(part?.text) ?? asText(part?.summary) ?? "";
  });
  return texts.length === 0 ? null : texts.join("");
}
