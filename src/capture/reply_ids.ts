/**
 * The ids that a reply names and that only its upstream knows: of responses, files, batches, vector stores, threads and
 * what is made of them.
 *
 * Pure and bounded. Ids of chat completions and the like, which nobody can ask for again, are none unless the reply was to
 * be stored. Secrets among them (`ek_…`) are given as they are: whoever takes them keeps hashes only.
 */
import { MAX_REPLY_IDS } from "../core/owned_ids.ts";
import { idOfEncrypted, isId } from "../core/named_ids.ts";
import type { EndpointKind } from "../core/types.ts";
import { asObject, type JsonObject } from "./json.ts";

/** Takes an id; the same one may come again. */
export type IdListener = (id: string) => void;

/** Members that name another thing of the same upstream. */
const REFERENCES = [
  "output_file_id",
  "error_file_id",
  "input_file_id",
  "file_id",
  "thread_id",
  "assistant_id",
  "run_id",
  "vector_store_id",
  "container_id",
  "conversation_id",
  "call_id",
  "eval_id",
] as const;

/** Members that hold another thing as an object with an `id`. */
const NESTED = ["response", "conversation", "session", "container", "file", "video", "thread"] as const;

/** Kinds of calls whose answers can be asked for again. */
const STATEFUL: ReadonlySet<EndpointKind> = new Set<EndpointKind>(["responses", "files", "other"]);

/** Whether ids of such answers are looked for. @param isStored the request said `"store": true` */
export function namesIds(kind: EndpointKind, isStored: boolean): boolean {
  return STATEFUL.has(kind) || kind === "messages" || (kind === "chat" && isStored);
}

/** Events of streams that announce what they are about; all others are text. */
const ANNOUNCING: ReadonlySet<string> = new Set([
  ...["created", "queued", "in_progress", "completed", "incomplete"].map((name) => `response.${name}`),
  ...["response.output_item.added", "response.output_item.done", "message_start", "message_delta"],
]);

function isAnnouncing(type: string): boolean {
  return ANNOUNCING.has(type) || (type.startsWith("thread.") && type.endsWith("created"));
}

/** Reads one event of a stream. Costs a comparison for those that hold none. */
export function readEventIds(type: string, json: JsonObject, kind: EndpointKind, listener: IdListener): void {
  if (kind === "chat") return void new IdReader(listener).take(json.id);
  if (!isAnnouncing(type)) return;
  const ids = new IdReader(listener);
  if (kind === "messages") {
    const said = asObject(json.message) ?? asObject(json.delta);
    return ids.take(asObject(said?.container)?.id);
  }
  const item = asObject(json.item);
  if (item !== null) ids.item(item);
  const response = asObject(json.response);
  if (response !== null) ids.thing(response);
  if (type.startsWith("thread.")) ids.thing(json);
}

/** Reads a whole answer: a thing, or a list of things. */
export function readDocumentIds(json: JsonObject, kind: EndpointKind, listener: IdListener): void {
  if (json.deleted === true) return;
  const ids = new IdReader(listener);
  if (kind === "messages") return ids.take(asObject(json.container)?.id);
  if (kind === "chat") return ids.take(json.id);
  ids.thing(json);
  if (!Array.isArray(json.data)) return;
  for (const each of json.data.slice(0, MAX_REPLY_IDS)) {
    const item = asObject(each);
    if (item !== null) ids.thing(item);
  }
}

class IdReader {
  readonly #listener: IdListener;
  #left = MAX_REPLY_IDS;

  constructor(listener: IdListener) {
    this.#listener = listener;
  }

  take(value: unknown): void {
    if (this.#left === 0 || !isId(value)) return;
    this.#left--;
    this.#listener(value);
  }

  thing(json: JsonObject): void {
    this.take(json.id);
    for (const name of REFERENCES) this.take(json[name]);
    for (const name of NESTED) {
      const nested = json[name];
      if (nested !== undefined) this.take(asObject(nested)?.id ?? nested);
    }
    this.take(asObject(json.client_secret)?.value);
    // A client secret of a realtime session: `{"value": "ek_…", "session": {…}}`.
    if (asObject(json.session) !== null) this.take(json.value);
    if (!Array.isArray(json.output)) return;
    for (const each of json.output.slice(0, MAX_REPLY_IDS)) {
      const item = asObject(each);
      if (item !== null) this.item(item);
    }
  }

  /** Of a response's output. */
  item(item: JsonObject): void {
    this.take(item.id);
    this.take(item.container_id);
    if (typeof item.encrypted_content === "string") this.take(idOfEncrypted(item.encrypted_content));
  }
}
