/**
 * What a record keeps of a request's body: its text, or a description when it is large or not text.
 */
import { multipartBoundary, readFormParts } from "../../core/multipart.ts";

export interface RequestText {
  readonly text: string;
  /** The text is a description, not the body itself. */
  readonly isTruncated: boolean;
  /** Size of the body that it is the text of; absent: as it came, without content codings. */
  readonly bytes?: number;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** Seven times slower. */
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** What a decoder writes for bytes that are not UTF-8. */
const REPLACEMENT = "\ufffd";
const EMPTY: RequestText = { text: "", isTruncated: false };

/** The body's text up to `limitBytes`; larger, binary and multipart bodies are described in one JSON object. */
export function requestText(
  body: Uint8Array | null,
  contentType: string | null,
  limitBytes: number,
): RequestText {
  if (body === null || body.length === 0) return EMPTY;
  const boundary = multipartBoundary(contentType);
  if (boundary !== null) return describeForm(body, boundary);
  if (body.length > limitBytes) return describe(body, contentType);
  try {
    return { text: decode(body), isTruncated: false };
  } catch {
    return describe(body, contentType);
  }
}

/** @throws TypeError when the bytes are not UTF-8 */
function decode(body: Uint8Array): string {
  const text = decoder.decode(body);
  // The client may have sent the character itself.
  return text.includes(REPLACEMENT) ? strictDecoder.decode(body) : text;
}

function describe(body: Uint8Array, contentType: string | null): RequestText {
  const description = { content_type: contentType, bytes: body.length };
  return { text: JSON.stringify(description), isTruncated: true };
}

function describeForm(body: Uint8Array, boundary: string): RequestText {
  const parts = readFormParts(body, boundary);
  const fields: Record<string, string> = {};
  const files: unknown[] = [];
  for (const part of parts) {
    if (part.text !== null) fields[part.name] = part.text;
    else {
      files.push({
        field: part.name,
        file_name: part.fileName,
        content_type: part.contentType,
        bytes: part.sizeBytes,
      });
    }
  }
  const description = { content_type: "multipart/form-data", bytes: body.length, fields, files };
  return { text: JSON.stringify(description), isTruncated: true };
}
