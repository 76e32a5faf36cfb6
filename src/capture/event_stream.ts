/**
 * The capture of an event stream: a parser finds the events, a reader reads them.
 *
 * Owns what the streams of all APIs have in common: neutral events, `[DONE]`, error events, the count of events
 * that could not be parsed, and the length of the neutral prefix.
 */
import { errorOfText } from "../core/reported_error.ts";
import type { CapturedReply, EndpointKind } from "../core/types.ts";
import type { Capture, CaptureProgress, TextLengths } from "./capture.ts";
import type { ReplyDraft, TextDraft } from "./draft.ts";
import { bytewise, EventTemplate } from "./event_template.ts";
import { isCostlyJson } from "./json_cost.ts";
import { judgeEvent, onlyErrorIn } from "./judge.ts";
import { asObject, asText, parseJson, readError } from "./json.ts";
import type { ReadableEvent, ReplyReader } from "./readers/reader.ts";
import { type IdListener, readEventIds } from "./reply_ids.ts";
import { EventStreamParser, type StreamEvent } from "./sse.ts";

/** After this many misses in a row, stop using templates for this stream. */
const MAX_MISFITS = 16; // docs/tuning.md#event-streams
/** Longer data is no ping and is not examined, which keeps the hot path short. */
const MAX_PING_LENGTH = 64; // docs/tuning.md#event-streams

const TOO_LARGE = errorOfText("the upstream sent an error event that is too large to be read");
const NO_DATA = errorOfText("the upstream sent an error event without data");

/** What may come before a document: white space, and the bytes of a byte order mark. */
const BLANKS: ReadonlySet<number> = new Set([0x20, 0x0a, 0x0d, 0x09, 0xef, 0xbb, 0xbf]);

export interface EventStreamOptions {
  readonly draft: ReplyDraft;
  readonly reader: ReplyReader;
  readonly kind: EndpointKind;
  /** See {@link CaptureOptions.isLookUp}. */
  readonly isLookUp: boolean;
  /** Takes over when the stream turns out to be one JSON document. */
  readonly asDocument?: () => Capture;
  /** See {@link CaptureOptions.onId}. */
  readonly onId?: IdListener | null;
}

export class EventStreamCapture implements Capture {
  readonly progress: CaptureProgress;
  readonly #draft: ReplyDraft;
  readonly #reader: ReplyReader;
  readonly #kind: EndpointKind;
  readonly #isLookUp: boolean;
  readonly #onId: IdListener | null;
  readonly #parser: EventStreamParser;
  readonly #asDocument: (() => Capture) | undefined;
  #document: Capture | null = null;
  #isFormSettled: boolean;
  #isPastNeutral = false;
  /** Made from the last parsed event that did nothing but add one text. */
  #template: EventTemplate | null = null;
  /** Where that event's text went. */
  #addTo: TextDraft | null = null;
  /** Consecutive events that added one text but did not fit the template. */
  #misfits = 0;

  constructor(options: EventStreamOptions) {
    this.#draft = options.draft;
    this.#reader = options.reader;
    this.#kind = options.kind;
    this.#isLookUp = options.isLookUp;
    this.#onId = options.onId ?? null;
    this.#asDocument = options.asDocument;
    this.#isFormSettled = options.asDocument === undefined;
    this.progress = options.draft.progress;
    this.#parser = new EventStreamParser({ onEvent: (event) => this.#take(event) });
  }

  push(chunk: Uint8Array, isLent = false): void {
    if (!this.#isFormSettled) this.#settleForm(chunk);
    if (this.#document !== null) {
      this.#document.push(chunk, isLent);
      return;
    }
    this.#draft.bytes += chunk.length;
    try {
      this.#readChunk(chunk);
    } catch {
      this.#draft.parseErrors++;
    }
    if (!this.#isPastNeutral) this.#draft.progress.neutralBytes = this.#parser.settledBytes;
  }

  partial(): CapturedReply {
    return this.#document?.partial() ?? this.#draft.toReply(false);
  }

  partialFrom(from: TextLengths): CapturedReply | null {
    return this.#document === null ? this.#draft.toReplyFrom(from) : null;
  }

  finish(isCleanEnd: boolean): CapturedReply {
    if (this.#document !== null) return this.#document.finish(isCleanEnd);
    this.#parser.end();
    const { isTerminal, error } = this.#draft.progress;
    if (this.#isLookUp) return this.#draft.toReply(isCleanEnd || isTerminal);
    const hasEnded = isTerminal || this.#reader.isFinished() || (this.#reader.isOpaque && isCleanEnd);
    return this.#draft.toReply(hasEnded && error === null);
  }

  /** A body that begins with a brace is a document, whatever its label says. */
  #settleForm(chunk: Uint8Array): void {
    const first = chunk.find((byte) => !BLANKS.has(byte));
    if (first === undefined) return;
    this.#isFormSettled = true;
    if (first !== 0x7b && first !== 0x5b) return;
    this.#document = this.#asDocument?.() ?? null;
    this.#draft.progress.isDocument = this.#document !== null;
  }

  /** Reads event by event: with the template those that fit it, the others with the parser. */
  #readChunk(chunk: Uint8Array): void {
    const stream = this.#misfits > MAX_MISFITS ? null : bytewise(chunk);
    let start = 0;
    while (stream !== null && start < chunk.length) {
      const isAtEvent = this.#parser.isBetweenEvents;
      if (isAtEvent && this.#template !== null) {
        start = this.#readFitting(this.#template, stream, { bytes: chunk, start });
        if (start === chunk.length) return;
      }
      const end = stream.indexOf("\n\n", start) + 2;
      if (end < 2) break;
      const event = chunk.subarray(start, end);
      const draft = this.#draft.onlyDraftAddedTo(() => this.#parser.push(event));
      if (isAtEvent && draft !== null) this.#learn(stream.slice(start, end), draft);
      start = end;
    }
    if (start < chunk.length) this.#parser.push(start === 0 ? chunk : chunk.subarray(start));
  }

  /** Appends, as one, the texts of all events from `start` on that fit; returns where the last of them ends. */
  #readFitting(
    template: EventTemplate,
    stream: string,
    { bytes, start }: { readonly bytes: Uint8Array; readonly start: number },
  ): number {
    const texts: string[] = [];
    let end = start;
    for (
      let event = template.read(stream, { bytes, start });
      event !== null;
      event = template.read(stream, { bytes, start: end })
    ) {
      texts.push(event.text);
      end = event.end;
    }
    if (texts.length > 0) {
      this.#addTo?.append(texts.join(""));
      this.#misfits = 0;
    }
    return end;
  }

  #learn(event: string, draft: TextDraft): void {
    this.#misfits++;
    this.#template = EventTemplate.of(event, draft.lastPiece);
    this.#addTo = draft;
  }

  #take(event: StreamEvent): void {
    if (isPing(event)) return;
    if (!this.#isPastNeutral) {
      this.#isPastNeutral = true;
      this.#draft.progress.neutralBytes = event.startByte;
    }
    const isNamed = event.name !== "" && event.isTerminated;
    if (!event.hasData && !event.isOversized && !isNamed) return;
    this.#draft.progress.hasEvents = true;
    try {
      this.#read(event);
    } catch {
      this.#draft.parseErrors++;
    }
  }

  #read(event: StreamEvent): void {
    const { name, data } = event;
    if (event.isOversized || isCostlyJson(data)) {
      this.#draft.isCut = true;
      if (name === "error") this.#draft.setError(TOO_LARGE);
      else this.#reader.readOversized(name);
      return;
    }
    if (!event.hasData) {
      if (name === "error") this.#draft.setError(NO_DATA);
      return;
    }
    if (data.length < MAX_PING_LENGTH && data.trim() === "[DONE]") {
      if (this.#reader.endsWithDone) this.#draft.progress.isTerminal = true;
      return;
    }
    const parsed = parseJson(data);
    const json = asObject(parsed) ?? onlyErrorIn(parsed);
    // What is left of a cut stream is not the upstream's mistake.
    if (parsed === undefined && event.isTerminated && !this.#reader.isOpaque) this.#draft.parseErrors++;
    this.#readData({ name, data, json });
  }

  /** An event that is an error is no content, whatever else it says. */
  #readData(event: ReadableEvent): void {
    const { name, data, json } = event;
    const { progress } = this.#draft;
    const hadContent = progress.hasContent;
    if (json !== null) {
      const isError = name === "error";
      const error = judgeEvent(json, { kind: this.#kind, name: isError ? name : asText(json.type) ?? name });
      if (error !== null) this.#draft.setError(error);
      else if (this.#onId !== null) {
        readEventIds(asText(json.type) ?? name, json, this.#kind, this.#onId);
      }
    } else if (name === "error") this.#draft.setError(readError(data));
    this.#reader.readEvent(event);
    if (progress.error !== null) progress.hasContent = hadContent;
  }
}

function isPing({ name, data }: StreamEvent): boolean {
  if (name === "ping") return true;
  if (data.length > MAX_PING_LENGTH || !data.includes('"ping"')) return false;
  return asObject(parseJson(data))?.type === "ping";
}
