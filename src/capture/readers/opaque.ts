/**
 * Everything that is not a conversation: embeddings, images, audio, moderations, models, files, unknown.
 *
 * Owns what is recorded of them. Bulk data (vectors, base64) is described in one line; text that a person may
 * want to read (transcriptions, revised prompts) is kept, and what is unknown is kept verbatim.
 */
import type { EndpointKind } from "../../core/types.ts";
import type { ReplyDraft } from "../draft.ts";
import { asArray, asObject, asText, type JsonObject } from "../json.ts";
import { hasSubstance } from "../substance.ts";
import type { ReadableEvent, ReplyReader } from "./reader.ts";

const BYTES_PER_FLOAT = 4;

/** The final events of streams without `[DONE]`. */
const LAST_EVENTS: ReadonlySet<string> = new Set([
  "transcript.text.done",
  "speech.audio.done",
  "image_generation.completed",
  "image_edit.completed",
]);

const RUN_ENDS: ReadonlySet<string> = new Set([
  "thread.run.cancelled",
  "thread.run.completed",
  "thread.run.expired",
  "thread.run.incomplete",
]);

export class OpaqueReader implements ReplyReader {
  readonly endsWithDone = true;
  readonly isOpaque = true;
  readonly isBulk: boolean;
  readonly #draft: ReplyDraft;
  readonly #kind: EndpointKind;

  constructor(draft: ReplyDraft, kind: EndpointKind) {
    this.#draft = draft;
    this.#kind = kind;
    this.isBulk = kind === "embeddings" || kind === "images";
  }

  readEvent({ name, data, json }: ReadableEvent): void {
    this.#draft.setModel(asText(json?.model));
    this.#draft.addUsage(json?.usage);
    const type = asText(json?.type) ?? name;
    if (LAST_EVENTS.has(type)) this.#draft.progress.isTerminal = true;
    if (type.startsWith("thread.")) this.#readRun(type, json);
    else if (this.#isContent(type, { data, json })) this.#draft.markContent();
    switch (type) {
      case "transcript.text.delta":
        this.#draft.text().append(asText(json?.delta) ?? "");
        break;
      case "transcript.text.segment":
      case "image_generation.partial_image":
      case "image_edit.partial_image":
        break;
      case "transcript.text.done":
        if (!this.#draft.hasText) this.#draft.text().append(asText(json?.text) ?? "");
        break;
      case "speech.audio.delta":
      case "speech.audio.done":
        if (!this.#draft.hasText) this.#draft.text().describe("speech audio");
        break;
      case "image_generation.completed":
      case "image_edit.completed":
        this.#addLine(describeImages([json]));
        break;
      default:
        this.#addLine(data);
    }
  }

  readOversized(name: string): void {
    this.#draft.markContent();
    if (!LAST_EVENTS.has(name)) return;
    this.#draft.progress.isTerminal = true;
    if (name.startsWith("image_")) this.#addLine(describeImages([null]));
  }

  readDocument(document: JsonObject): boolean {
    this.#draft.setModel(asText(document.model));
    this.#readUsage(document);
    const description = this.#describe(document);
    if (description === null) return false;
    this.#draft.text().describe(description);
    // A recording without a word has an empty text.
    if (this.#kind === "audio" || hasSubstance(document.data)) this.#draft.markContent();
    return true;
  }

  isFinished(): boolean {
    return false;
  }

  /** Of a known event, what it brings; of an unknown one, anything. */
  #isContent(type: string, { data, json }: { data: string; json: JsonObject | null }): boolean {
    switch (type) {
      case "transcript.text.done":
        // A recording without a word has an empty text.
        return true;
      case "transcript.text.delta":
        return hasSubstance(json?.delta);
      case "speech.audio.delta":
      case "speech.audio.done":
        return hasSubstance(json?.audio) || hasSubstance(json?.delta);
      case "image_generation.partial_image":
      case "image_generation.completed":
      case "image_edit.partial_image":
      case "image_edit.completed":
        return hasSubstance(json?.b64_json) || hasSubstance(json?.url);
      default:
        if (json === null) return data.trim() !== "";
        return this.#kind === "other" ? Object.keys(json).length > 0 : hasSubstance(json);
    }
  }

  /**
   * Runs of assistants: messages and calls are content, the shells before them are not.
   *
   * @see https://platform.openai.com/docs/api-reference/assistants-streaming/events
   */
  #readRun(type: string, json: JsonObject | null): void {
    if (type.startsWith("thread.message.")) {
      const said = asObject(json?.delta)?.content ?? json?.content;
      if (hasSubstance(said)) this.#draft.markContent();
    } else if (type.startsWith("thread.run.step.")) {
      const details = asObject(json?.delta)?.step_details ?? json?.step_details;
      if (hasSubstance(asObject(details)?.tool_calls)) this.#draft.markContent();
    } else if (type === "thread.run.requires_action") {
      this.#draft.markContent();
    } else if (RUN_ENDS.has(type)) {
      this.#draft.setFinishReason(type.slice("thread.run.".length));
    }
  }

  /** With what the reply itself is measured by: images, and seconds of sound where no usage names them. */
  #readUsage(document: JsonObject): void {
    const { usage } = document;
    this.#draft.addUsage(usage);
    if (this.#kind === "images" && Array.isArray(document.data)) {
      this.#draft.addUsageDetails({ images: document.data.length });
    }
    const { duration } = document;
    if (this.#kind === "audio" && usage === undefined && typeof duration === "number" && duration > 0) {
      this.#draft.addUsageDetails({ audioSeconds: Math.min(duration, Number.MAX_SAFE_INTEGER) });
    }
  }

  #describe(document: JsonObject): string | null {
    switch (this.#kind) {
      case "embeddings":
        return Array.isArray(document.data) ? describeEmbeddings(document.data) : null;
      case "images":
        return Array.isArray(document.data) ? describeImages(document.data) : null;
      case "audio":
        return typeof document.text === "string" ? document.text : null;
      default:
        return null;
    }
  }

  #addLine(line: string): void {
    const text = this.#draft.text();
    text.describe(text.isEmpty ? line : `\n${line}`);
  }
}

function describeEmbeddings(items: readonly unknown[]): string {
  const embedding = asObject(items[0])?.embedding;
  const dimensions = typeof embedding === "string" ? floatsInBase64(embedding) : asArray(embedding).length;
  const count = counted(items.length, "embedding");
  return items.length === 0 ? count : `${count} of ${counted(dimensions, "dimension")}`;
}

/** A count, then the URL and the revised prompt of each image that has them. */
function describeImages(items: readonly unknown[]): string {
  const lines = [counted(items.length, "image")];
  for (const item of items) {
    const image = asObject(item);
    const url = asText(image?.url);
    if (url !== null && !url.startsWith("data:")) lines.push(url);
    const prompt = asText(image?.revised_prompt);
    if (prompt !== null) lines.push(`revised prompt: ${prompt}`);
  }
  return lines.join("\n");
}

function floatsInBase64(base64: string): number {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return Math.floor((base64.length * 3 / 4 - padding) / BYTES_PER_FLOAT);
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
