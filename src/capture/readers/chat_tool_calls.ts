/**
 * Tool calls of chat completions, assembled from deltas.
 *
 * Owns the decision which call a delta belongs to. OpenAI tells by `index`; some providers omit the index, give
 * every call the index 0, or resend id and name with each delta.
 */
import type { ReplyDraft, ToolCallDraft } from "../draft.ts";
import { asArguments, asArray, asCount, asObject, asText, type JsonObject } from "../json.ts";

interface Fragment {
  readonly index: number | null;
  readonly id: string | null;
  readonly name: string | null;
  readonly arguments: string;
}

/** The calls of one choice. */
interface ChoiceCalls {
  readonly byIndex: Map<number, ToolCallDraft>;
  readonly inOrder: ToolCallDraft[];
  last: ToolCallDraft | null;
  /** The one call of the legacy `function_call` field. */
  legacy: ToolCallDraft | null;
}

export class ChatToolCalls {
  readonly #draft: ReplyDraft;
  readonly #choices = new Map<number, ChoiceCalls>();

  constructor(draft: ReplyDraft) {
    this.#draft = draft;
  }

  /** Reads a delta's `tool_calls` and `function_call`. */
  readDelta(delta: JsonObject, choice: number): void {
    for (const item of asArray(delta.tool_calls)) {
      const fragment = toFragment(item);
      if (fragment === null) continue;
      const calls = this.#callsOf(choice);
      const call = this.#find(calls, fragment);
      if (call !== null) addFragment(call, fragment);
    }
    const legacy = toLegacyFragment(delta);
    if (legacy === null) return;
    const calls = this.#callsOf(choice);
    calls.legacy ??= this.#draft.addToolCall();
    if (calls.legacy !== null) addFragment(calls.legacy, legacy);
  }

  /** Reads a whole message, in which each entry is a call of its own. */
  readMessage(message: JsonObject): void {
    const fragments = asArray(message.tool_calls).map(toFragment);
    fragments.push(toLegacyFragment(message));
    for (const fragment of fragments) {
      if (fragment === null) continue;
      const call = this.#draft.addToolCall();
      if (call !== null) addFragment(call, fragment);
    }
  }

  #callsOf(choice: number): ChoiceCalls {
    let calls = this.#choices.get(choice);
    if (calls === undefined) {
      calls = { byIndex: new Map(), inOrder: [], last: null, legacy: null };
      this.#choices.set(choice, calls);
    }
    return calls;
  }

  /** The call that a fragment belongs to, made when it starts one; null when there are too many. */
  #find(calls: ChoiceCalls, fragment: Fragment): ToolCallDraft | null {
    const known = candidate(calls, fragment);
    if (known !== null && continues(known, fragment)) {
      calls.last = known;
      return known;
    }
    const call = this.#draft.addToolCall();
    if (call === null) return null;
    calls.inOrder.push(call);
    calls.last = call;
    if (fragment.index !== null) calls.byIndex.set(fragment.index, call);
    return call;
  }
}

function candidate(calls: ChoiceCalls, { index, id, name }: Fragment): ToolCallDraft | null {
  if (index !== null) return calls.byIndex.get(index) ?? null;
  if (id === null) return calls.last;
  const known = calls.inOrder.find((call) => call.id === id) ?? null;
  return known ?? (name === null ? calls.last : null);
}

function addFragment(call: ToolCallDraft, fragment: Fragment): void {
  call.identify(fragment.id, fragment.name);
  call.arguments.append(fragment.arguments);
}

/** Null when there is no `function_call`, or an empty one. */
function toLegacyFragment(message: JsonObject): Fragment | null {
  const legacy = asObject(message.function_call);
  if (legacy === null) return null;
  const name = asText(legacy.name);
  const args = asArguments(legacy.arguments);
  return name === null && args === "" ? null : { index: null, id: null, name, arguments: args };
}

/** Null for an empty entry. */
function toFragment(item: unknown): Fragment | null {
  const entry = asObject(item);
  if (entry === null) return null;
  const said = asObject(entry.function) ?? asObject(entry.custom);
  const fragment: Fragment = {
    index: asCount(entry.index),
    id: asText(entry.id),
    name: asText(said?.name),
    arguments: asArguments(said?.arguments ?? said?.input),
  };
  return fragment.id === null && fragment.name === null && fragment.arguments === "" ? null : fragment;
}

/**
 * Whether a fragment continues the call that its index, id or position points to. One with a name, and with
 * another id or neither id nor index, starts a new call when the name differs, or when the arguments so far
 * look complete and it begins new ones.
 */
function continues(call: ToolCallDraft, fragment: Fragment): boolean {
  if (fragment.name === null || call.name === "") return true;
  if (fragment.id !== null && fragment.id === call.id) return true;
  if (fragment.id === null && fragment.index !== null) return true;
  if (fragment.name !== call.name) return false;
  return !(call.arguments.lastPiece.endsWith("}") && fragment.arguments.startsWith("{"));
}
