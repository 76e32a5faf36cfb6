/**
 * Makes the capture for one reply: by its encoding, its form and the kind of API call.
 *
 * Owns this choice only; must not look at the bytes of a reply.
 */
import { isEncoded } from "../core/content_coding.ts";
import type { EndpointKind } from "../core/types.ts";
import { type Capture, type CaptureOptions, DEFAULT_CAPTURE_LIMIT_BYTES } from "./capture.ts";
import { DocumentCapture } from "./document.ts";
import { ReplyDraft } from "./draft.ts";
import { EncodedCapture } from "./encoded.ts";
import { EventStreamCapture } from "./event_stream.ts";
import { ChatReader } from "./readers/chat.ts";
import { CompletionsReader } from "./readers/completions.ts";
import { MessagesReader } from "./readers/messages.ts";
import { OpaqueReader } from "./readers/opaque.ts";
import type { ReplyReader } from "./readers/reader.ts";
import { ResponsesReader } from "./readers/responses.ts";

/** Makes the capture for one reply. */
export function createCapture(options: CaptureOptions): Capture {
  const makePlain = () => createPlainCapture(options);
  return isEncoded(options.contentEncoding ?? null) ? new EncodedCapture(options, makePlain) : makePlain();
}

function createPlainCapture(options: CaptureOptions): Capture {
  const { kind, contentType, status, isLookUp = false, limitBytes = DEFAULT_CAPTURE_LIMIT_BYTES } = options;
  const onId = status < 300 ? options.onId ?? null : null;
  const draft = new ReplyDraft(limitBytes);
  const reader = createReader(kind, draft);
  const asDocument = () =>
    new DocumentCapture({ draft, reader, kind, contentType, status, isLookUp, limitBytes, onId });
  return options.isEventStream
    ? new EventStreamCapture({ draft, reader, kind, isLookUp, asDocument, onId })
    : asDocument();
}

function createReader(kind: EndpointKind, draft: ReplyDraft): ReplyReader {
  switch (kind) {
    case "chat":
      return new ChatReader(draft);
    case "completions":
      return new CompletionsReader(draft);
    case "responses":
      return new ResponsesReader(draft);
    case "messages":
      return new MessagesReader(draft);
    default:
      return new OpaqueReader(draft, kind);
  }
}
