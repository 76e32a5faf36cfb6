/**
 * What chat and legacy completions share: a list of choices, each with its finish reason, and the usage.
 *
 * Owns which choices were seen and which have ended; the caller reads what a choice says.
 */
import { errorOfText } from "../../core/reported_error.ts";
import { MAX_PIECES, type ReplyDraft } from "../draft.ts";
import { asArray, asCount, asObject, asText, type JsonObject } from "../json.ts";
import { errorOf } from "../judge.ts";

/** Finish reasons that mean a failure: OpenRouter's, Zhipu's, DeepSeek's. */
const FAILURES: ReadonlySet<string> = new Set(["error", "network_error", "insufficient_system_resource"]);

export class Choices {
  readonly #draft: ReplyDraft;
  readonly #seen = new Set<number>();
  readonly #finished = new Set<number>();
  /** The choice whose finish reason is the reply's: the lowest index. */
  #firstFinished: number | null = null;

  constructor(draft: ReplyDraft) {
    this.#draft = draft;
  }

  /** Every choice that was seen has its finish reason. */
  get isFinished(): boolean {
    return this.#finished.size > 0 && this.#finished.size === this.#seen.size;
  }

  /** Reads a chunk or a whole reply, and hands each choice with its index to `readChoice`. */
  read(json: JsonObject, readChoice: (choice: JsonObject, index: number) => void): void {
    const draft = this.#draft;
    draft.setModel(asText(json.model));
    draft.addUsage(json.usage, json.service_tier);
    const groq = asObject(json.x_groq);
    draft.addUsage(groq?.usage, json.service_tier);
    this.#readError(groq);
    asArray(json.choices).forEach((item, position) => {
      const choice = asObject(item);
      if (choice === null) return;
      const index = asCount(choice.index) ?? position;
      if (index >= MAX_PIECES) {
        draft.isCut = true;
        return;
      }
      this.#seen.add(index);
      readChoice(choice, index);
      draft.addUsage(choice.usage);
      this.#readError(choice);
      const reason = asText(choice.finish_reason);
      if (reason !== null) this.#finish(index, reason);
    });
  }

  #readError(json: JsonObject | null): void {
    const error = json === null ? null : errorOf(json);
    if (error !== null) this.#draft.setError(error);
  }

  #finish(index: number, reason: string): void {
    this.#finished.add(index);
    if (this.#firstFinished === null || index <= this.#firstFinished) {
      this.#firstFinished = index;
      this.#draft.setFinishReason(reason);
    }
    if (FAILURES.has(reason)) {
      this.#draft.setError(errorOfText(`the upstream ended its reply with finish_reason "${reason}"`));
    }
  }
}
