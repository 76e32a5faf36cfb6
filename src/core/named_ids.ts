/**
 * The ids that a request names and that may belong to one upstream: in its path, its query, and its JSON body.
 *
 * Pure; linear in what is looked at, which is bounded. Whether an id is known to anybody is not decided here, so no list of
 * prefixes is needed.
 */
import type { JsonBody } from "./json_body.ts";
import { percentDecoded } from "./percent_text.ts";

/** Members at the top of a body that hold ids; the first two say more than all others. */
export const ID_MEMBERS = [
  "previous_response_id",
  "conversation",
  "thread_id",
  "input_file_id",
  "training_file",
  "validation_file",
  "vector_store_ids",
  "vector_store_id",
  "file_ids",
  "file_id",
  "container",
  "assistant_id",
] as const;

/** No id is longer, in UTF-16 units; a longer one is none. */
export const MAX_ID_LENGTH = 256;
/** Of one request. */
const MAX_IDS = 64;
/** Of one of the places in a body. */
const MAX_FOUND = 16;
const MAX_SEGMENTS = 12;
/** Of a member: sixty-four ids and what is between them. */
const MAX_LITERAL = MAX_IDS * (MAX_ID_LENGTH + 8);
/** What is searched of a body: its end, which names the latest ids. */
const MAX_SEARCHED_LENGTH = 1024 * 1024; // docs/tuning.md#affinity
/** Enough to tell items apart. */
const ENCRYPTED_LENGTH = 128;

/** Anywhere in a body, a member whose name begins like this holds one id, or several. */
const NEEDLES = ["file_id", "vector_store_id", "container_id"] as const;
const ENCRYPTED = "encrypted_content";
const REFERENCE = "item_reference";
/** What output items are called to which later requests refer. */
const ITEMS = ["rs_", "msg_", "fc_"] as const;

const QUERY_IDS = /(?:^|&)(?:after|before|call_id|conversation_id|response_id)=([^&]{1,256})/g;

const NONE: readonly string[] = [];

/** Whether it can be one. */
export function isId(value: unknown): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= MAX_ID_LENGTH;
}

/** What names ids in a request. */
export interface NamingRequest {
  /** Raw, without `?`. */
  readonly query: string;
  /** null: it has no JSON body. */
  readonly json: JsonBody | null;
  /** Its kind of call may refer to output of earlier ones. */
  readonly isResponse: boolean;
}

/** The ids in the path: `/v1/threads/ID/runs/ID`; in the order in which they stand. */
export function idsOfPath(path: string): readonly string[] {
  let ids: string[] | null = null;
  let start = path.indexOf("/", 4) + 1;
  for (let count = 0; start > 0 && count < MAX_SEGMENTS; count++) {
    const end = path.indexOf("/", start);
    const segment = path.slice(start, end < 0 ? path.length : end);
    if (segment !== "" && segment.length <= 3 * MAX_ID_LENGTH) {
      const id = percentDecoded(segment);
      if (isId(id)) (ids ??= []).push(id);
    }
    start = end < 0 ? 0 : end + 1;
  }
  return ids ?? NONE;
}

/** Other ids, the most telling first; at most {@link MAX_IDS}. */
export function idsOfRequest({ query, json, isResponse }: NamingRequest): readonly string[] {
  const ids: string[] = [];
  if (json !== null) {
    for (const name of ID_MEMBERS) addMember(ids, json, name);
    addSearched(ids, json, isResponse);
  }
  if (query !== "") {
    for (const [, value = ""] of query.slice(0, 4096).matchAll(QUERY_IDS)) addId(ids, percentDecoded(value));
  }
  return ids.length === 0 ? NONE : ids.slice(0, MAX_IDS);
}

/** What stands for an encrypted item, which only those can read who made it; null: it is too short. */
export function idOfEncrypted(content: string): string | null {
  return content.length < ENCRYPTED_LENGTH ? null : `encrypted:${content.slice(0, ENCRYPTED_LENGTH)}`;
}

function addMember(ids: string[], json: JsonBody, name: string): void {
  const value = json.value(name, MAX_LITERAL);
  if (value === undefined) return;
  if (Array.isArray(value)) { for (const item of value.slice(0, MAX_IDS)) addId(ids, item); }
  else if (typeof value === "object" && value !== null && "id" in value) addId(ids, value.id);
  else addId(ids, value);
}

function addId(ids: string[], value: unknown): void {
  if (isId(value) && !ids.includes(value)) ids.push(value);
}

function addSearched(ids: string[], json: JsonBody, isResponse: boolean): void {
  const { text, start } = json.end(MAX_SEARCHED_LENGTH);
  if (isResponse) {
    const encrypted = lastPlaces(text, ENCRYPTED, start);
    for (const at of encrypted) addId(ids, encryptedAt(text, afterColon(text, at + ENCRYPTED.length)));
    if (encrypted.length > 0 || text.includes(REFERENCE, start)) {
      for (const prefix of ITEMS) {
        for (const at of lastPlaces(text, prefix, start)) addId(ids, stringAt(text, at - 1));
      }
    }
  }
  for (const needle of isResponse ? NEEDLES : NEEDLES.slice(0, 1)) {
    for (const at of lastPlaces(text, needle, start)) {
      addValues(ids, text, afterColon(text, at + needle.length));
    }
  }
}

/** The last places of a text, the last one first; at most {@link MAX_FOUND}. */
function lastPlaces(text: string, needle: string, start: number): readonly number[] {
  let at = text.indexOf(needle, start);
  if (at < 0) return NOWHERE;
  // Searching backwards takes many times as long.
  const places: number[] = [];
  for (let count = 0; at >= 0; count++) {
    places[count % MAX_FOUND] = at;
    at = text.indexOf(needle, at + needle.length);
  }
  return places.sort((a, b) => b - a);
}

const NOWHERE: readonly number[] = [];

/** The string, or the strings of the array, that stands here. */
function addValues(ids: string[], text: string, start: number): void {
  if (text[start] !== "[") return addId(ids, stringAt(text, start));
  let at = start;
  for (let count = 0; count < MAX_FOUND; count++) {
    at = skipBlanks(text, at + 1);
    const id = stringAt(text, at);
    if (id === null) return;
    addId(ids, id);
    at = skipBlanks(text, at + id.length + 2);
    if (text[at] !== ",") return;
  }
}

function encryptedAt(text: string, at: number): string | null {
  if (text[at] !== '"') return null;
  const content = text.slice(at + 1, at + 1 + ENCRYPTED_LENGTH);
  return content.includes('"') ? null : idOfEncrypted(content);
}

/** People indent JSON, but not by so much. */
const MAX_BLANKS = 64;

/** Where the value of a member begins, whose name ends here, perhaps with an `s`; -1: it is no member's name. */
function afterColon(text: string, from: number): number {
  const quote = text[from] === "s" ? from + 1 : from;
  if (text[quote] !== '"') return -1;
  const at = skipBlanks(text, quote + 1);
  return text[at] === ":" ? skipBlanks(text, at + 1) : -1;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < from + MAX_BLANKS && BLANKS.has(text[at] ?? "")) at++;
  return at;
}

const BLANKS: ReadonlySet<string> = new Set([" ", "\n", "\r", "\t"]);

/** The string that begins here, if it is as plain as ids are; null: it is not. */
function stringAt(text: string, at: number): string | null {
  if (text[at] !== '"') return null;
  const part = text.slice(at + 1, at + 2 + MAX_ID_LENGTH);
  const id = part.slice(0, Math.max(0, part.indexOf('"')));
  return PLAIN.test(id) ? id : null;
}

const PLAIN = /^[\x21-\x5b\x5d-\x7e]+$/;
