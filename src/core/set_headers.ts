/**
 * Header fields that an upstream's row sets or removes: which names it may have, and applying them.
 */
import type { HeaderFields } from "./header_fields.ts";
import { HOP_BY_HOP } from "./hop_by_hop.ts";

/** By name in lower case; null: the field is left out. */
export type SetHeaders = Readonly<Record<string, string | null>>;

export const MAX_SET_HEADERS = 50;
export const MAX_HEADER_NAME_LENGTH = 128;
export const MAX_HEADER_VALUE_LENGTH = 4_096;

/** Of the message itself, of its connection, or the credential, which is the key's business. */
const REFUSED: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  "accept-encoding",
  "api-key",
  "authorization",
  "content-encoding",
  "content-length",
  "cookie",
  "expect",
  "host",
  "x-api-key",
]);

/** Why there can be no such field; null: there can. Names the field, never its value. */
export function setHeaderProblem(name: string, value: unknown): string | null {
  const shown = name.length > MAX_HEADER_NAME_LENGTH ? `${name.slice(0, 20)}…` : name;
  if (name.length > MAX_HEADER_NAME_LENGTH || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
    return `${JSON.stringify(shown)} is no name of a header`;
  }
  if (REFUSED.has(name.toLowerCase())) {
    return `${name} cannot be set or removed: the router sets it itself, or it is the key's`;
  }
  if (value === null) return null;
  const isGood = typeof value === "string" && value.length <= MAX_HEADER_VALUE_LENGTH &&
    /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
  return isGood
    ? null
    : `the value of ${name} must be one line of at most ${MAX_HEADER_VALUE_LENGTH} Latin characters, or null`;
}

/** @returns whether that changed anything */
export function applySetHeaders(headers: HeaderFields, set: SetHeaders): boolean {
  let isChanged = false;
  for (const [name, value] of Object.entries(set)) {
    if (headers.get(name) === value) continue;
    isChanged = true;
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  return isChanged;
}
