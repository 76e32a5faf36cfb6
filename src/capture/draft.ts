/**
 * The reply under construction: readers write into it, and a capture returns it.
 *
 * Owns the bound on kept text: one budget for text, reasoning and tool calls together. Past it no more text is
 * kept and the reply is marked as truncated; model, finish reason and usage are still read.
 */
import type { ReportedError } from "../core/reported_error.ts";
import type { CapturedReply, ToolCall, Usage } from "../core/types.ts";
import type { UsageDetails } from "../core/usage.ts";
import type { CaptureProgress, TextLengths } from "./capture.ts";
import { mergeUsage, readUsage } from "./readers/usage.ts";
import { isRefusal } from "./refusals.ts";

/** More choices, parts or calls than this in one reply are not kept. */
export const MAX_PIECES = 4096;
const MAX_LABEL_LENGTH = 256;
/** V8 slices keep their parent string alive; joining early frees the event. */
const PIECES_PER_BLOCK = 16; // docs/tuning.md#event-streams

const NO_COUNTS: Usage = { inputTokens: null, outputTokens: null, cachedTokens: null, reasoningTokens: null };

/** Longer texts are measured by the encoder, which is many times faster than counting here. */
const LONG_LENGTH = 512; // docs/tuning.md#event-streams
const encoder = new TextEncoder();

export type MutableProgress = { -readonly [Key in keyof CaptureProgress]: CaptureProgress[Key] };

/** A budget of UTF-8 bytes. The first text that does not fit is cut, and everything after it is dropped. */
class TextBudget {
  #leftBytes: number;
  isExceeded = false;
  /** Number of calls of {@link take}. */
  takenCount = 0;
  /** The draft that was appended to last. */
  lastDraft: TextDraft | null = null;
  readonly #progress: MutableProgress;

  constructor(limitBytes: number, progress: MutableProgress) {
    this.#leftBytes = limitBytes;
    this.#progress = progress;
  }

  /** What comes after an error is no content any more. */
  markContent(): void {
    if (this.#progress.error === null) this.#progress.hasContent = true;
  }

  take(text: string): string {
    this.takenCount++;
    if (this.isExceeded) return "";
    if (text.length > LONG_LENGTH) {
      const bytes = encoder.encode(text).length;
      if (bytes <= this.#leftBytes) {
        this.#leftBytes -= bytes;
        return text;
      }
    }
    let used = 0;
    for (let at = 0; at < text.length;) {
      const code = text.codePointAt(at) ?? 0;
      used += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (used > this.#leftBytes) {
        this.isExceeded = true;
        return text.slice(0, at);
      }
      at += code < 0x10000 ? 1 : 2;
    }
    this.#leftBytes -= used;
    return text;
  }
}

/** Text that grows by many small pieces, joined in blocks to bound both time and memory. */
export class TextDraft {
  readonly #budget: TextBudget;
  #blocks: string[] = [];
  #pieces: string[] = [];
  #lastPiece = "";
  #length = 0;

  constructor(budget: TextBudget) {
    this.#budget = budget;
  }

  get isEmpty(): boolean {
    return this.#lastPiece === "";
  }

  /** The piece appended last; empty when there is none. */
  get lastPiece(): string {
    return this.#lastPiece;
  }

  /** Appends what was said. */
  append(text: string): void {
    if (text === "") return;
    this.#budget.markContent();
    this.describe(text);
  }

  /** Appends what is kept of a reply without being said in it: a description, a body that no reader understands. */
  describe(text: string): void {
    const kept = this.#budget.take(text);
    if (kept === "") return;
    this.#pieces.push(kept);
    this.#length += kept.length;
    this.#budget.lastDraft = this;
    this.#lastPiece = text;
    if (this.#pieces.length === PIECES_PER_BLOCK) this.#closeBlock();
  }

  toString(): string {
    this.#closeBlock();
    if (this.#blocks.length > 1) this.#blocks = [this.#blocks.join("")];
    return this.#blocks[0] ?? "";
  }

  /** What follows that many UTF-16 units; costs what is new. */
  from(start: number): string {
    this.#closeBlock();
    const blocks: string[] = [];
    let at = this.#length;
    for (let place = this.#blocks.length - 1; place >= 0 && at > start; place--) {
      const block = this.#blocks[place] ?? "";
      at -= block.length;
      blocks.push(at < start ? block.slice(start - at) : block);
    }
    return blocks.reverse().join("");
  }

  #closeBlock(): void {
    if (this.#pieces.length === 0) return;
    this.#blocks.push(this.#pieces.join(""));
    this.#pieces = [];
  }
}

/** A tool call under construction. */
export class ToolCallDraft {
  readonly arguments: TextDraft;
  readonly #budget: TextBudget;
  #id: string | null = null;
  #name = "";

  constructor(budget: TextBudget) {
    this.#budget = budget;
    this.arguments = new TextDraft(budget);
  }

  get id(): string | null {
    return this.#id;
  }

  get name(): string {
    return this.#name;
  }

  /** Sets what is given. Some providers resend both with every delta, so a new value replaces the old one. */
  identify(id: string | null, name: string | null): void {
    if (id !== null && id !== this.#id) this.#id = this.#budget.take(id);
    if (name !== null && name !== this.#name) this.#name = this.#budget.take(name);
  }

  toToolCall(): ToolCall {
    return { id: this.#id, name: this.#name, arguments: this.arguments.toString() };
  }
}

export class ReplyDraft {
  readonly progress: MutableProgress = {
    hasContent: false,
    hasEvents: false,
    isTerminal: false,
    error: null,
    defect: null,
    isDocument: false,
    neutralBytes: 0,
  };
  bytes = 0;
  parseErrors = 0;
  /** Something other than text was dropped: an oversized event or document. */
  isCut = false;

  readonly #budget: TextBudget;
  readonly #texts = new Map<number, TextDraft>();
  readonly #reasonings = new Map<number, TextDraft>();
  readonly #toolCalls: ToolCallDraft[] = [];
  #model: string | null = null;
  #finishReason: string | null = null;
  #usage: Usage | null = null;

  /** @param limitBytes how much text, reasoning and tool calls are kept, in UTF-8 bytes. */
  constructor(limitBytes: number) {
    this.#budget = new TextBudget(limitBytes, this.progress);
  }

  /** The draft that `read` appended to, when one piece is all that it took from the budget; null otherwise. */
  onlyDraftAddedTo(read: () => void): TextDraft | null {
    const before = this.#budget.takenCount;
    this.#budget.lastDraft = null;
    read();
    return this.#budget.takenCount === before + 1 ? this.#budget.lastDraft : null;
  }

  get hasText(): boolean {
    return hasSome(this.#texts);
  }

  get hasReasoning(): boolean {
    return hasSome(this.#reasonings);
  }

  get hasToolCalls(): boolean {
    return this.#toolCalls.length > 0;
  }

  /** Nothing is kept of what was said. */
  get isEmpty(): boolean {
    return !this.hasText && !this.hasReasoning && !this.hasToolCalls;
  }

  /** The text of a choice, by its index. */
  text(choice = 0): TextDraft {
    return this.#piece(this.#texts, choice);
  }

  reasoning(choice = 0): TextDraft {
    return this.#piece(this.#reasonings, choice);
  }

  /** Something was said that is not kept: an image, a sound, an encrypted item. */
  markContent(): void {
    this.#budget.markContent();
  }

  /** Adds a call, which is content; null when there are too many. */
  addToolCall(): ToolCallDraft | null {
    this.markContent();
    if (this.#toolCalls.length >= MAX_PIECES) {
      this.isCut = true;
      return null;
    }
    const call = new ToolCallDraft(this.#budget);
    this.#toolCalls.push(call);
    return call;
  }

  /** The first model named wins. */
  setModel(model: string | null): void {
    if (model !== null) this.#model ??= model.slice(0, MAX_LABEL_LENGTH);
  }

  setFinishReason(reason: string | null): void {
    if (reason === null) return;
    this.#finishReason = reason.slice(0, MAX_LABEL_LENGTH);
    if (isRefusal(this.#finishReason)) this.markContent();
  }

  get finishReason(): string | null {
    return this.#finishReason;
  }

  /** Takes a `usage` object in any provider's shape. @param tier what stands beside it as `service_tier` */
  addUsage(usage: unknown, tier: unknown = null): void {
    if (usage !== undefined && usage !== null) this.#usage = mergeUsage(this.#usage, readUsage(usage, tier));
  }

  /** What a reply says of its use outside of any report. */
  addUsageDetails(details: UsageDetails): void {
    this.#usage = mergeUsage(this.#usage, { ...NO_COUNTS, details });
  }

  /** The first error wins. */
  setError(error: ReportedError): void {
    this.progress.error ??= error;
  }

  toReply(isComplete: boolean): CapturedReply {
    const texts = { text: joinChoices(this.#texts), reasoning: joinChoices(this.#reasonings) };
    return this.#replyWith(texts, isComplete);
  }

  /** With what follows these lengths; null with several choices, which do not only grow at the end. */
  toReplyFrom(from: TextLengths): CapturedReply | null {
    const text = firstChoiceFrom(this.#texts, from.text);
    const reasoning = firstChoiceFrom(this.#reasonings, from.reasoning);
    return text === null || reasoning === null ? null : this.#replyWith({ text, reasoning }, false);
  }

  #replyWith(texts: Pick<CapturedReply, "text" | "reasoning">, isComplete: boolean): CapturedReply {
    return {
      ...texts,
      toolCalls: this.#toolCalls.map((call) => call.toToolCall()),
      model: this.#model,
      finishReason: this.#finishReason,
      usage: this.#usage,
      bytes: this.bytes,
      isComplete,
      isTruncated: this.isCut || this.#budget.isExceeded,
      parseErrors: this.parseErrors,
    };
  }

  #piece(pieces: Map<number, TextDraft>, choice: number): TextDraft {
    let piece = pieces.get(choice);
    if (piece === undefined) {
      piece = new TextDraft(this.#budget);
      if (pieces.size < MAX_PIECES) pieces.set(choice, piece);
      else this.isCut = true;
    }
    return piece;
  }
}

function hasSome(pieces: ReadonlyMap<number, TextDraft>): boolean {
  for (const piece of pieces.values()) if (!piece.isEmpty) return true;
  return false;
}

function firstChoiceFrom(pieces: ReadonlyMap<number, TextDraft>, start: number): string | null {
  for (const [choice, piece] of pieces) if (choice !== 0 && !piece.isEmpty) return null;
  return pieces.get(0)?.from(start) ?? "";
}

/** The first choice plain, further ones after a line `[choice N]`, N counting from 1. */
function joinChoices(pieces: ReadonlyMap<number, TextDraft>): string {
  const said = [...pieces].filter(([, piece]) => !piece.isEmpty).sort(([a], [b]) => a - b);
  return said
    .map(([choice, piece]) => choice === 0 ? piece.toString() : `[choice ${choice + 1}]\n${piece}`)
    .join("\n\n");
}
