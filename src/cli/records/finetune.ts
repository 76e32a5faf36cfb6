/**
 * Records as examples for fine-tuning a chat model. Pure.
 *
 * Owns what makes a record an example, and the shape of one:
 * https://platform.openai.com/docs/api-reference/fine-tuning/chat-input
 */
import { asArray, asObject, asText, type JsonObject, parseJson } from "../../capture/json.ts";
import { endpointKind } from "../../core/api_path.ts";
import type { ToolCall } from "../../core/types.ts";
import type { StoredRecord } from "../../store/store.ts";

/** A line of the training file. */
export interface FinetuneExample {
  readonly messages: readonly JsonObject[];
  readonly tools?: readonly JsonObject[];
  readonly functions?: readonly JsonObject[];
  readonly parallel_tool_calls?: boolean;
}

export type FinetuneResult =
  | { readonly isExample: true; readonly example: FinetuneExample }
  /** `reason` completes "3 records were skipped: ..." */
  | { readonly isExample: false; readonly reason: SkipReason };

export type SkipReason =
  | "not chat completions"
  | "not complete"
  | "not kept whole"
  | "several choices"
  | "no reply"
  | "messages that are no training data";

/** The request's history with the reply as its last message. */
export function toFinetuneExample(record: StoredRecord): FinetuneResult {
  if (record.path === null || endpointKind(record.path) !== "chat") return skipped("not chat completions");
  if (record.outcome !== "complete" || record.status !== 200) return skipped("not complete");
  if (record.isTruncated || !record.body) return skipped("not kept whole");
  const request = asObject(parseJson(record.body));
  if (request === null || !Array.isArray(request.messages) || request.messages.length === 0) {
    return skipped("messages that are no training data");
  }
  if (typeof request.n === "number" && request.n > 1) return skipped("several choices");
  const isOnlyText = asArray(request.modalities).every((modality) => modality === "text");
  const history = request.messages.map(historyMessage);
  if (!isOnlyText || !history.every((message) => message !== null)) {
    return skipped("messages that are no training data");
  }
  const tools = asArray(request.tools).map(asObject).filter(isFunctionTool);
  const functions = tools.length > 0 ? [] : asArray(request.functions).map(asObject).filter(isNamed);
  const reply = replyMessage(record, { history, isLegacy: functions.length > 0 });
  if (reply === null) return skipped("no reply");
  return {
    isExample: true,
    example: {
      messages: [...history, reply],
      ...(tools.length === 0 ? {} : { tools }),
      ...(tools.length === 0 || typeof request.parallel_tool_calls !== "boolean"
        ? {}
        : { parallel_tool_calls: request.parallel_tool_calls }),
      ...(functions.length === 0 ? {} : { functions }),
    },
  };
}

function skipped(reason: SkipReason): FinetuneResult {
  return { isExample: false, reason };
}

/** The reply in OpenAI's shape; null when it said nothing. */
function replyMessage(
  { response, toolCalls }: StoredRecord,
  { history, isLegacy }: { readonly history: readonly JsonObject[]; readonly isLegacy: boolean },
): JsonObject | null {
  const content = response === "" ? null : response;
  const [first] = toolCalls;
  if (toolCalls.some(({ name }) => name === "")) return null;
  if (first === undefined) return content === null ? null : { role: "assistant", content };
  if (isLegacy && first.id === null && toolCalls.length === 1) {
    return { role: "assistant", content, function_call: { name: first.name, arguments: first.arguments } };
  }
  const calls = withIds(toolCalls, history).map(({ id, ...called }) => ({
    id,
    type: "function",
    function: { name: called.name, arguments: called.arguments },
  }));
  return { role: "assistant", content, tool_calls: calls };
}

/** Some providers give calls no id; an example needs a unique one for each. */
function withIds(
  toolCalls: readonly ToolCall[],
  history: readonly JsonObject[],
): (ToolCall & { readonly id: string })[] {
  const taken = new Set([
    ...toolCalls.map(({ id }) => id),
    ...history.flatMap((message) => asArray(message.tool_calls)).map((call) => asText(asObject(call)?.id)),
  ]);
  let number = 1;
  return toolCalls.map((call) => {
    if (call.id !== null) return { ...call, id: call.id };
    while (taken.has(`call_${number}`)) number++;
    return { ...call, id: `call_${number++}` };
  });
}

/** A message of the request with the fields that training data may have; null when it cannot be one. */
function historyMessage(value: unknown): JsonObject | null {
  const message = asObject(value);
  if (message === null) return null;
  const name = asText(message.name);
  const named = name === null ? {} : { name };
  switch (message.role) {
    case "system":
    case "developer": {
      const content = joinedText(message.content);
      return content === null ? null : { role: "system", content, ...named };
    }
    case "user": {
      const content = userContent(message.content);
      return content === null ? null : { role: "user", content, ...named };
    }
    case "assistant":
      return assistantMessage(message, named);
    case "tool": {
      const content = joinedText(message.content);
      const id = asText(message.tool_call_id);
      return content === null || id === null ? null : { role: "tool", tool_call_id: id, content };
    }
    case "function": {
      const content = joinedText(message.content);
      return content === null || name === null ? null : { role: "function", name, content };
    }
    default:
      return null;
  }
}

function assistantMessage(message: JsonObject, named: JsonObject): JsonObject | null {
  const content = joinedText(message.content) || asText(message.refusal);
  const hasOtherContent = Array.isArray(message.content) && joinedText(message.content) === null;
  if (hasOtherContent || asObject(message.audio) !== null) return null;
  const legacyCall = asObject(message.function_call);
  if (legacyCall !== null) {
    const called = calledFunction(legacyCall);
    return called === null ? null : { role: "assistant", content, ...named, function_call: called };
  }
  const calls = asArray(message.tool_calls).map(toolCall);
  if (!calls.every((call) => call !== null)) return null;
  if (calls.length > 0) return { role: "assistant", content, ...named, tool_calls: calls };
  return content === null ? null : { role: "assistant", content, ...named };
}

function toolCall(value: unknown): JsonObject | null {
  const call = asObject(value);
  const id = asText(call?.id);
  const called = calledFunction(asObject(call?.function));
  return id === null || called === null ? null : { id, type: "function", function: called };
}

function calledFunction(called: JsonObject | null): JsonObject | null {
  const name = asText(called?.name);
  return name === null || typeof called?.arguments !== "string"
    ? null
    : { name, arguments: called.arguments };
}

/** The text of a string or of a list of text parts; null when there is anything else. */
function joinedText(content: unknown): string | null {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return null;
  const texts = content.map((part) => {
    const { type, text, refusal } = asObject(part) ?? {};
    return type === "text" ? text : type === "refusal" ? refusal : undefined;
  });
  return texts.every((text) => typeof text === "string") ? texts.join("") : null;
}

/** Text, or text and images. */
function userContent(content: unknown): string | JsonObject[] | null {
  const text = joinedText(content);
  if (text !== null || !Array.isArray(content)) return text;
  const parts = content.map((value): JsonObject | null => {
    const part = asObject(value);
    if (part?.type === "text" && typeof part.text === "string") return { type: "text", text: part.text };
    const image = asObject(part?.image_url);
    const url = asText(image?.url);
    if (part?.type !== "image_url" || url === null) return null;
    const detail = asText(image?.detail);
    return { type: "image_url", image_url: { url, ...(detail === null ? {} : { detail }) } };
  });
  return parts.every((part) => part !== null) ? parts : null;
}

function isFunctionTool(tool: JsonObject | null): tool is JsonObject {
  return tool?.type === "function" && isNamed(asObject(tool.function));
}

function isNamed(described: JsonObject | null): described is JsonObject {
  return asText(described?.name) !== null;
}
