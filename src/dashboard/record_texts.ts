/**
 * The texts of one record, each under a key by which the page can request it whole. Pure.
 */
import { type Conversation, type Piece, readConversation } from "../control/conversation.ts";
import { base64Of, decodeImage, imageInText, type RecordedImage } from "../control/recorded_images.ts";
import { prettyJson } from "../core/recorded_text.ts";
import type { StoredRecord } from "../store/store.ts";

/** Larger JSON is not indented: that makes it larger, and nobody reads it. */
const LONGEST_PRETTY = 500_000;

export function pretty(json: string): string {
  return json.length > LONGEST_PRETTY ? json : prettyJson(json);
}

/** Key of a piece of a turn; both are counted from 0. */
export function pieceKey(turn: number, piece: number): string {
  return `t${turn}p${piece}`;
}

/** The reply as pieces, rendered like those of a turn. */
export function replyPieces({ reasoning, response, toolCalls }: {
  readonly reasoning: string | null;
  readonly response: string | null;
  readonly toolCalls: StoredRecord["toolCalls"];
}): { readonly key: string; readonly piece: Piece }[] {
  return [
    ...(reasoning ? [{ key: "reasoning", piece: { type: "reasoning", text: reasoning } as const }] : []),
    ...(response ? [{ key: "reply", piece: { type: "text", text: response } as const }] : []),
    ...toolCalls.map((call, index) => ({
      key: `call${index}`,
      piece: { type: "tool_call", ...call } as const,
    })),
  ];
}

/** The displayed text of a piece. */
export function pieceText(piece: Piece): string {
  if (piece.type === "tool_call") return pretty(piece.arguments);
  return piece.type === "tool_result" && /^\s*[[{]/.test(piece.text) ? pretty(piece.text) : piece.text;
}

/** Where the page gets a picture of a record from: that of a piece, or one within its text. */
export function imagePath(recordId: number, key: string, number: number | null = null): string {
  return `/admin/records/${recordId}/image/${encodeURIComponent(key)}${number === null ? "" : `/${number}`}`;
}

/** Null when there is no such picture. */
export function findImage(record: StoredRecord, key: string, number: number | null): RecordedImage | null {
  const piece = findPiece(record, key);
  if (piece === null) return null;
  const data = number === null
    ? piece.type === "image" ? piece.base64 : null
    : base64Of("text" in piece ? imageInText(piece.text, number) : null);
  return data === null ? null : decodeImage(data);
}

/** The request as turns; null when it is not a conversation (not JSON, or described instead of kept). */
export function conversationOf({ body }: StoredRecord): Conversation | null {
  const conversation = body === null ? null : readConversation(body);
  return conversation === null || conversation.turns.length === 0 ? null : conversation;
}

/** The whole text under a key; null when the record has none. */
export function findText(record: StoredRecord, key: string): string | null {
  if (key === "raw-request") return record.body === null ? null : pretty(record.body);
  if (key === "raw-reply") return record.response;
  const found = findPiece(record, key);
  return found === null ? null : pieceText(found);
}

function findPiece(record: StoredRecord, key: string): Piece | null {
  const reply = replyPieces(record).find((each) => each.key === key);
  if (reply !== undefined) return reply.piece;
  const [, turn, piece] = /^t(\d{1,6})p(\d{1,6})$/.exec(key) ?? [];
  return conversationOf(record)?.turns[Number(turn)]?.pieces[Number(piece)] ?? null;
}

/** The beginning of a text, never cut within a character. */
export function beginning(text: string, length: number): string {
  if (text.length <= length) return text;
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length);
}

/**
 * Splits a long text into parts that a browser can lay out one by one, after a line break where possible.
 * Joined, they are the text.
 */
export function inParts(text: string, length: number): string[] {
  const parts: string[] = [];
  for (let at = 0; at < text.length;) {
    const part = beginning(text.slice(at, at + length + 1), length);
    const lineEnd = at + part.length < text.length ? part.lastIndexOf("\n") + 1 : 0;
    const end = at + (lineEnd > length / 2 ? lineEnd : part.length);
    parts.push(text.slice(at, end));
    at = end;
  }
  return parts;
}
