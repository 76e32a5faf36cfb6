/**
 * What a recorded request said, as turns of a conversation.
 *
 * Reads the request text of chat completions, the responses API, Anthropic messages, and of everything that
 * has a prompt or an input. Pure; trusts nothing in the JSON. Media become placeholders, but for pictures that came with
 * the request.
 */
import { asArguments, asArray, asObject, asText, type JsonObject, parseJson } from "../capture/json.ts";
import { base64Of, beginsLikeImage } from "./recorded_images.ts";
import { formatBytes } from "../core/recorded_text.ts";

export type Piece =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  /** Stands for something that is no text: `[image: image/png, 12.3 KB]`. */
  | { readonly type: "placeholder"; readonly text: string }
  /** `text` as of a placeholder; `base64` may be anything, see recorded_images.ts. */
  | { readonly type: "image"; readonly text: string; readonly base64: string }
  | {
    readonly type: "tool_call";
    readonly id: string | null;
    readonly name: string;
    readonly arguments: string;
  }
  | { readonly type: "tool_result"; readonly id: string | null; readonly text: string };

export interface Turn {
  readonly role: string;
  readonly pieces: readonly Piece[];
}

export interface Conversation {
  readonly turns: readonly Turn[];
  /** The request's other fields, each as `temperature=0.7`. */
  readonly settings: readonly string[];
  /** Names of the tools that the request offered. */
  readonly tools: readonly string[];
}

/** Null when the text is not a JSON object. */
export function readConversation(body: string): Conversation | null {
  const request = asObject(parseJson(body));
  if (request === null) return null;
  const turns = [
    ...systemTurns(request),
    ...asArray(request.messages).flatMap(messageTurn),
    ...inputTurns(request),
  ];
  return { turns, settings: readSettings(request), tools: readTools(request) };
}

function systemTurns(request: JsonObject): Turn[] {
  return [request.system, request.instructions]
    .filter((value) => value !== undefined && value !== null && value !== "")
    .map((value) => ({ role: "system", pieces: contentPieces(value) }));
}

/** A message of chat completions or of Anthropic's API. */
function messageTurn(value: unknown): Turn[] {
  const message = asObject(value);
  if (message === null) return [{ role: "?", pieces: [unknownPiece(value)] }];
  const role = asText(message.role) ?? "?";
  const functionCall = asObject(message.function_call);
  const pieces: Piece[] = [
    ...reasoningPieces(message.reasoning_content ?? message.reasoning),
    ...contentPieces(message.content),
    ...textPieces(message.refusal),
    ...asArray(message.tool_calls).map(chatToolCall),
    ...(functionCall === null ? [] : [callPiece(functionCall, null)]),
  ];
  if (role !== "tool" && role !== "function") return [{ role: withName(role, message.name), pieces }];
  const text = pieces.map((piece) => "text" in piece ? piece.text : "").join("\n");
  const id = asText(message.tool_call_id) ?? asText(message.name);
  return [{ role, pieces: [{ type: "tool_result", id, text }] }];
}

function withName(role: string, name: unknown): string {
  return asText(name) === null ? role : `${role} (${name})`;
}

function chatToolCall(value: unknown): Piece {
  const call = asObject(value);
  const called = asObject(call?.function) ?? asObject(call?.custom);
  return called === null ? unknownPiece(value) : callPiece(called, asText(call?.id));
}

function callPiece(call: JsonObject, id: string | null): Piece {
  return {
    type: "tool_call",
    id,
    name: asText(call.name) ?? "?",
    arguments: asArguments(call.arguments ?? call.input),
  };
}

/** `input` of the responses API and of embeddings, `prompt` of completions and images. */
function inputTurns(request: JsonObject): Turn[] {
  const turns: Turn[] = [];
  for (const [role, value] of [["user", request.input], ["prompt", request.prompt]] as const) {
    if (typeof value === "string") turns.push({ role, pieces: [{ type: "text", text: value }] });
    else if (Array.isArray(value)) turns.push(...value.flatMap((item) => inputItem(item, role)));
  }
  return turns;
}

function inputItem(value: unknown, role: string): Turn[] {
  if (typeof value === "string") return [{ role, pieces: [{ type: "text", text: value }] }];
  const item = asObject(value);
  if (item === null) return [{ role, pieces: [unknownPiece(value)] }];
  switch (item.type) {
    case "function_call":
    case "custom_tool_call":
      return [{ role: "assistant", pieces: [callPiece(item, asText(item.call_id))] }];
    case "function_call_output":
    case "custom_tool_call_output":
      return [{
        role: "tool",
        pieces: [{ type: "tool_result", id: asText(item.call_id), text: plainText(item.output) }],
      }];
    case "reasoning": {
      const pieces = [...reasoningPieces(item.summary), ...reasoningPieces(item.content)];
      const hidden: Piece = { type: "placeholder", text: "[reasoning, not shown by the provider]" };
      return [{ role: "assistant", pieces: pieces.length > 0 ? pieces : [hidden] }];
    }
    case "message":
    case undefined:
      return item.role === undefined ? [{ role, pieces: [partPiece(item)] }] : messageTurn(item);
    default:
      return [{ role, pieces: [partPiece(item)] }];
  }
}

function contentPieces(content: unknown): Piece[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return content === "" ? [] : [{ type: "text", text: content }];
  return Array.isArray(content) ? content.map(partPiece) : [partPiece(content)];
}

/** One part of a content list, of any of the APIs. */
function partPiece(value: unknown): Piece {
  const part = asObject(value);
  if (part === null) return typeof value === "string" ? { type: "text", text: value } : unknownPiece(value);
  switch (part.type) {
    case "text":
    case "input_text":
    case "output_text":
      return { type: "text", text: asText(part.text) ?? "" };
    case "refusal":
      return { type: "text", text: asText(part.refusal) ?? "" };
    case "thinking":
      return { type: "reasoning", text: plainText(part.thinking) };
    case "redacted_thinking":
      return { type: "placeholder", text: "[thinking, redacted by the provider]" };
    case "image_url":
      return imagePiece(asObject(part.image_url)?.url ?? part.image_url);
    case "input_image":
      return imagePiece(part.image_url ?? part.file_id);
    case "image":
      return withImage(
        sourcePiece("image", asObject(part.source), asText(part.title)),
        base64Of(part.source),
      );
    case "document":
      return sourcePiece(part.type, asObject(part.source), asText(part.title));
    case "input_audio": {
      const audio = asObject(part.input_audio) ?? part;
      return mediaPiece(`audio${asText(audio.format) === null ? "" : `, ${audio.format}`}`, audio.data);
    }
    case "file":
    case "input_file": {
      const file = asObject(part.file) ?? part;
      const name = asText(file.filename) ?? asText(file.file_id);
      return mediaPiece(`file${name === null ? "" : ` ${name}`}`, file.file_data ?? file.file_url);
    }
    case "tool_use":
    case "server_tool_use":
      return callPiece(part, asText(part.id));
    case "tool_result":
      return { type: "tool_result", id: asText(part.tool_use_id), text: plainText(part.content) };
    default:
      return unknownPiece(part);
  }
}

function sourcePiece(what: string, source: JsonObject | null, title: string | null): Piece {
  const named = title === null ? what : `${what} ${title}`;
  if (source?.type === "text") return { type: "text", text: `[${named}]\n${asText(source.data) ?? ""}` };
  const mediaType = asText(source?.media_type);
  const label = mediaType === null ? named : `${named}, ${mediaType}`;
  return mediaPiece(label, source?.data ?? source?.url ?? source?.file_id);
}

function imagePiece(data: unknown): Piece {
  return withImage(mediaPiece("image", data), base64Of(data));
}

function withImage(piece: Piece, base64: string | null): Piece {
  const isImage = base64 !== null && piece.type === "placeholder" && beginsLikeImage(base64);
  return isImage ? { type: "image", text: piece.text, base64 } : piece;
}

const DATA_SCHEME = "data:";
/** Of a data URL before its comma. */
const LONGEST_DATA_HEAD = 300;
const LONGEST_ADDRESS = 300;

/** Says what it is, and its size or address; never the data itself. */
function mediaPiece(what: string, data: unknown): Piece {
  const text = asText(data);
  if (text === null) return { type: "placeholder", text: `[${what}]` };
  const head = dataHead(text);
  const mediaType = head === null ? "" : /^[\w.+/-]*/.exec(head.slice(DATA_SCHEME.length))?.[0];
  if (head === null && /^(https?:\/\/|file[-_])/.test(text)) {
    return { type: "placeholder", text: `[${what}: ${text.slice(0, LONGEST_ADDRESS)}]` };
  }
  const size = formatBytes(Math.floor((text.length - (head?.length ?? 0)) * 3 / 4));
  return { type: "placeholder", text: `[${what}: ${mediaType ? `${mediaType}, ` : ""}${size}]` };
}

/** `data:image/png;base64,`; null for what is no data URL. */
function dataHead(text: string): string | null {
  if (!text.startsWith(DATA_SCHEME)) return null;
  const comma = text.slice(0, LONGEST_DATA_HEAD).indexOf(",");
  return comma < 0 ? null : text.slice(0, comma + 1);
}

function reasoningPieces(value: unknown): Piece[] {
  const text = plainText(value);
  return text === "" ? [] : [{ type: "reasoning", text }];
}

function textPieces(value: unknown): Piece[] {
  const text = asText(value);
  return text === null ? [] : [{ type: "text", text }];
}

/** The text of a string or of a list of parts; parts that are no text by their placeholders. */
function plainText(value: unknown): string {
  if (typeof value === "string") return value;
  if (!Array.isArray(value)) return value === undefined || value === null ? "" : JSON.stringify(value);
  return value.map((item) => {
    const part = asObject(item);
    if (part !== null && typeof part.text === "string") return part.text;
    // A result within a result is shown as JSON: no conversation needs deeper nesting.
    const piece = part?.type === "tool_result" ? unknownPiece(item) : partPiece(item);
    return "text" in piece ? piece.text : JSON.stringify(item);
  }).join("\n");
}

const LONGEST_UNKNOWN = 2000;

function unknownPiece(value: unknown): Piece {
  const json = JSON.stringify(value) ?? "?";
  const isLong = json.length > LONGEST_UNKNOWN;
  return { type: "placeholder", text: isLong ? `${json.slice(0, LONGEST_UNKNOWN)}…` : json };
}

const SHOWN_ELSEWHERE: ReadonlySet<string> = new Set([
  "functions",
  "input",
  "instructions",
  "messages",
  "model",
  "prompt",
  "stream",
  "system",
  "tools",
]);
const LONGEST_SETTING = 200;

function readSettings(request: JsonObject): string[] {
  return Object.entries(request)
    .filter(([name, value]) => !SHOWN_ELSEWHERE.has(name) && value !== null)
    .map(([name, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return `${name}=${text.length > LONGEST_SETTING ? `${text.slice(0, LONGEST_SETTING)}…` : text}`;
    });
}

function readTools(request: JsonObject): string[] {
  return [...asArray(request.tools), ...asArray(request.functions)].map((value) => {
    const tool = asObject(value);
    const named = asObject(tool?.function) ?? asObject(tool?.custom) ?? tool;
    return asText(named?.name) ?? asText(tool?.type) ?? "?";
  });
}
