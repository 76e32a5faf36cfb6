/**
 * Text that PostgreSQL can store: it takes no U+0000 and nothing but well-formed UTF-8
 * (https://www.postgresql.org/docs/current/datatype-character.html).
 *
 * Pure. What cannot be stored becomes U+FFFD.
 */

export interface CleanText {
  readonly text: string;
  /** Something was replaced. */
  readonly isChanged: boolean;
}

const REPLACEMENT = "\ufffd";

const options = { ignoreBOM: true };
const strict = new TextDecoder("utf-8", { ...options, fatal: true });
const lossy = new TextDecoder("utf-8", options);

/** @param bytes of a text of SQLite, which may hold anything */
export function cleanText(bytes: Uint8Array): CleanText {
  const { text, isChanged } = decoded(bytes);
  return text.includes("\0")
    ? { text: text.replaceAll("\0", REPLACEMENT), isChanged: true }
    : { text, isChanged };
}

function decoded(bytes: Uint8Array): CleanText {
  try {
    return { text: strict.decode(bytes), isChanged: false };
  } catch {
    // Lone surrogates are among them: no UTF-8 has them.
    return { text: lossy.decode(bytes), isChanged: true };
  }
}

/** @param text that may hold lone surrogates */
export function cleanString(text: string): string {
  return text.toWellFormed().replaceAll("\0", REPLACEMENT);
}
