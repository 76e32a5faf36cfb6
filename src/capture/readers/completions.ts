/** Legacy completions: each choice's `text`, in chunks or whole. */
import { Choices } from "./choices.ts";
import type { ReplyDraft } from "../draft.ts";
import { asObject, asText, type JsonObject } from "../json.ts";
import type { ReadableEvent, ReplyReader } from "./reader.ts";

export class CompletionsReader implements ReplyReader {
  readonly endsWithDone = true;
  readonly isOpaque = false;
  readonly isBulk = false;
  readonly #draft: ReplyDraft;
  readonly #choices: Choices;

  constructor(draft: ReplyDraft) {
    this.#draft = draft;
    this.#choices = new Choices(draft);
  }

  readEvent({ json }: ReadableEvent): void {
    if (json !== null) this.#read(json);
  }

  readOversized(): void {
    this.#draft.markContent();
  }

  readDocument(document: JsonObject): boolean {
    if (!Array.isArray(document.choices)) return false;
    this.#read(document);
    return true;
  }

  isFinished(): boolean {
    return this.#choices.isFinished;
  }

  #read(json: JsonObject): void {
    this.#choices.read(json, (choice, index) => {
      // Mistral's fill-in-the-middle API answers with chat deltas and messages.
      const text = asText(choice.text) ?? asText(asObject(choice.delta)?.content) ??
        asText(asObject(choice.message)?.content);
      if (text === null) return;
      this.#draft.text(index).append(text);
    });
  }
}
