/**
 * The ids that a request names and that may belong to one upstream: in its path, its query, and its JSON body.
 *
 * Pure; linear in what is looked at, which is bounded. Whether an id is known to anybody is not decided here, so no list of
 * prefixes is needed.
 */
import { Buffer } from "node:buffer";
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
const MAX_SEARCHED_BYTES = 4 * 1024 * 1024; // docs/tuning.md#affinity
/** Enough to tell items apart. */
const ENCRYPTED_LENGTH = 128;

/** Anywhere in a body, a member of this name holds one id, or several. */
const NEEDLES = ['"file_id"', '"file_ids"', '"vector_store_ids"', '"container_id"'].map((text) =>
  Buffer.from(text)
);
const ENCRYPTED = Buffer.from('"encrypted_content"');
const REASONING = Buffer.from('"rs_');
const REFERENCE = Buffer.from('"item_reference"');
const REFERRED = [Buffer.from('"msg_'), Buffer.from('"fc_')];

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
    addSearched(ids, json.bytes, isResponse);
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

function addSearched(ids: string[], bytes: Uint8Array, isResponse: boolean): void {
  const start = Math.max(0, bytes.length - MAX_SEARCHED_BYTES);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  if (isResponse) {
    eachFromEnd(text, ENCRYPTED, (at) => addId(ids, encryptedAt(text, at + ENCRYPTED.length)));
    eachFromEnd(text, REASONING, (at) => addId(ids, stringAt(text, at)));
    if (text.includes(REFERENCE)) {
      for (const needle of REFERRED) eachFromEnd(text, needle, (at) => addId(ids, stringAt(text, at)));
    }
  }
  for (const needle of NEEDLES) eachFromEnd(text, needle, (at) => addValues(ids, text, at + needle.length));
}

function eachFromEnd(text: Buffer, needle: Buffer, use: (at: number) => void): void {
  let at = text.lastIndexOf(needle);
  for (let count = 0; at >= 0 && count < MAX_FOUND; count++) {
    use(at);
    at = at === 0 ? -1 : text.lastIndexOf(needle, at - 1);
  }
}

/** The string, or the strings of the array, that follows a member's name. */
function addValues(ids: string[], text: Buffer, after: number): void {
  let at = afterColon(text, after);
  if (at < 0) return;
  if (text[at] !== OPENING_BRACKET) return addId(ids, stringAt(text, at));
  for (let count = 0; count < MAX_FOUND; count++) {
    at = skipBlanks(text, at + 1);
    const id = stringAt(text, at);
    if (id === null) return;
    addId(ids, id);
    at = skipBlanks(text, at + id.length + 2);
    if (text[at] !== COMMA) return;
  }
}

function encryptedAt(text: Buffer, after: number): string | null {
  const at = afterColon(text, after);
  if (at < 0 || text[at] !== QUOTE) return null;
  const content = text.toString("latin1", at + 1, at + 1 + ENCRYPTED_LENGTH);
  return content.includes('"') ? null : idOfEncrypted(content);
}

const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
/** People indent JSON, but not by so much. */
const MAX_BLANKS = 64;

function afterColon(text: Buffer, from: number): number {
  const at = skipBlanks(text, from);
  return text[at] === COLON ? skipBlanks(text, at + 1) : -1;
}

function skipBlanks(text: Buffer, from: number): number {
  let at = from;
  while (
    at < from + MAX_BLANKS &&
    (text[at] === 0x20 || text[at] === 0x0a || text[at] === 0x0d || text[at] === 0x09)
  ) at++;
  return at;
}

/** The string that begins here, if it is as plain as ids are; null: it is not. */
function stringAt(text: Buffer, at: number): string | null {
  if (text[at] !== QUOTE) return null;
  const part = text.subarray(at + 1, at + 2 + MAX_ID_LENGTH);
  const end = part.indexOf(QUOTE);
  if (end <= 0) return null;
  const id = part.toString("latin1", 0, end);
  return /^[\x21-\x5b\x5d-\x7e]+$/.test(id) ? id : null;
}
