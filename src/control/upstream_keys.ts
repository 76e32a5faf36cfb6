/**
 * Several keys of one upstream: how they are typed, and how some of them are added or removed. Pure; no message holds a
 * key.
 */
import { maskSecret } from "../core/secrets.ts";
import { MAX_KEYS, splitKeys } from "../store/config/upstream_row.ts";
import { invalidValue } from "./errors.ts";

export const MAX_KEY_TEXT_LENGTH = 1024 * 1024;

/**
 * Keys as they are stored, one a line. In several lines, empty ones and those that begin with `#` do not count, and each
 * key counts once.
 *
 * @throws ControlError that says which line is none
 */
export function readKeyText(text: string): string {
  if (text.length > MAX_KEY_TEXT_LENGTH) throw invalidValue("key", "is larger than 1 MiB");
  const lines = text.trim().split(/\r\n|[\r\n]/);
  const spaced = lines.findIndex((line) => !isComment(line) && /\S[ \t]+\S/.test(line));
  if (spaced >= 0) {
    const where = lines.length < 2 ? "" : `, in line ${spaced + 1}`;
    throw invalidValue("key", `must be one word without spaces${where}`);
  }
  if (lines.length < 2) return text.trim();
  const bad = lines.findIndex((line) => !isComment(line) && !/^[\x20-\x7e]*$/.test(line.trim()));
  if (bad >= 0) throw invalidValue("key", `holds characters that no header can carry, in line ${bad + 1}`);
  const keys = splitKeys(lines.filter((line) => !isComment(line)).join("\n"));
  if (keys.length > MAX_KEYS) throw invalidValue("key", `holds more than ${MAX_KEYS} keys`);
  return keys.join("\n");
}

function isComment(line: string): boolean {
  return line.trimStart().startsWith("#");
}

/**
 * The keys after a change.
 *
 * @param change `remove`: by number, from 1, or masked, as lists show them
 * @throws ControlError
 */
export function changedKeys(
  keys: readonly string[],
  { add, remove }: { readonly add: readonly string[]; readonly remove: readonly string[] },
): string[] {
  const gone = new Set(remove.map((which) => keyOf(keys, which.trim())));
  const left = keys.filter((key) => !gone.has(key));
  const all = [...new Set([...left, ...add.flatMap((text) => splitKeys(text))])];
  if (all.length === 0) {
    throw invalidValue("removeKey", "would leave it without a key; add another one first");
  }
  return all;
}

function keyOf(keys: readonly string[], which: string): string {
  const byNumber = /^\d{1,4}$/.test(which) ? keys[Number(which) - 1] : undefined;
  const found = byNumber !== undefined ? [byNumber] : keys.filter((key) => maskSecret(key) === which);
  const [key, ...more] = found;
  if (key === undefined) {
    const count = keys.length === 1 ? "not its only key" : `none of its ${keys.length} keys`;
    throw invalidValue(
      "removeKey",
      `is ${count}: give its number or its masked form, as the list shows them`,
    );
  }
  if (more.length > 0) {
    throw invalidValue("removeKey", "fits several keys; give its number, as the list shows it");
  }
  return key;
}
