/**
 * What the tokenizer of the index does not make words of: pictures (emoji) are no letters, and the middle of an
 * identifier is no beginning of a word.
 *
 * Owns how both become words. Pure. Linear in the text.
 */

/** Pictures, and the letters of which flags are made. */
const PICTURE = /[\p{Extended_Pictographic}\p{Regional_Indicator}]/gu;
const PICTURE_WORD = /^u([0-9a-f]{2,6})$/;

/** The text with each picture as a word of its own: `u1f44d` for a thumb. */
export function withPictureWords(text: string): string {
  return text.replace(PICTURE, (picture) => ` u${(picture.codePointAt(0) ?? 0).toString(16)} `);
}

export function endsWithPicture(text: string): boolean {
  return ([...text.slice(-2)].at(-1) ?? "").search(PICTURE) >= 0;
}

/** The picture for which a word stands; null for any other word. */
export function pictureOf(word: string): string | null {
  const [, hex] = PICTURE_WORD.exec(word) ?? [];
  const picture = hex === undefined ? "" : String.fromCodePoint(Math.min(Number.parseInt(hex, 16), 0x10ffff));
  return picture !== "" && picture.search(PICTURE) === 0 ? picture : null;
}

const MIN_ID_LENGTH = 8;
const MAX_ID_LENGTH = 64;
/** Shorter ends are no use to anybody. */
const MIN_END_LENGTH = 4;
/** Of all ends together. */
const MAX_ENDS_LENGTH = 8 * 1024;
const DIGITS = /[0-9]+/g;

/**
 * The ends of the identifiers in a text, each of which begins one character later than the last: with them, any part is
 * the beginning of a word. An identifier is a run of at least eight letters and digits, of both.
 */
export function endsOfIds(text: string): string[] {
  const ends: string[] = [];
  let room = MAX_ENDS_LENGTH;
  let seenTo = 0;
  for (const { index } of text.matchAll(DIGITS)) {
    if (index < seenTo) continue;
    const [start, end] = runAround(text, index);
    seenTo = end;
    const id = text.slice(start, end);
    if (id.length < MIN_ID_LENGTH || id.length > MAX_ID_LENGTH || !/[A-Za-z]/.test(id)) continue;
    for (let at = 1; at <= id.length - MIN_END_LENGTH; at++) {
      room -= id.length - at;
      if (room < 0) return ends;
      ends.push(id.slice(at));
    }
  }
  return ends;
}

/** Whether it could be a part of an identifier: letters and digits, of both. */
export function isPartOfId(word: string): boolean {
  return word.length >= MIN_END_LENGTH && /^[A-Za-z0-9]+$/.test(word) && /[0-9]/.test(word) &&
    /[A-Za-z]/.test(word);
}

/** The letters and digits on both sides of a place; a little more than an identifier may have. */
function runAround(text: string, at: number): [start: number, end: number] {
  let start = at;
  let end = at + 1;
  while (start > 0 && at - start <= MAX_ID_LENGTH && isAlphanumeric(text.charCodeAt(start - 1))) start--;
  while (end < text.length && end - at <= MAX_ID_LENGTH && isAlphanumeric(text.charCodeAt(end))) end++;
  return [start, end];
}

function isAlphanumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
}
