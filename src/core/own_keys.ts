/**
 * Masks a client's own keys in its record, and counts what it masked.
 *
 * The client chooses what it sends as a key, and must not be able to blank out its record: only what looks like a
 * key is masked, only as a whole word, and the record says how often. Pure.
 */
import { maskSecret, MIN_MASKABLE_LENGTH } from "./secrets.ts";

/** Of a key that is masked; see the pattern. */
export const MAX_OWN_KEY_LENGTH = 256;

/** The characters of bearer tokens (RFC 6750 section 2.1) and a colon; no quotes, brackets or blanks. */
const KEY = /^[A-Za-z0-9._~+/=:-]{16,256}$/;
const PREFIX = "sk-";

/** Whether a credential looks like a key, not like words: it has letters and digits, or the usual prefix. */
export function looksLikeKey(credential: string): boolean {
  if (!KEY.test(credential)) return false;
  return credential.startsWith(PREFIX) || (/[0-9]/.test(credential) && /[A-Za-z]/.test(credential));
}

/** The keys of one client in one request. */
export class OwnKeys {
  readonly #keys: readonly string[];
  /** How often one was masked; who masks a text again resets it. */
  count = 0;

  constructor(credentials: readonly string[]) {
    this.#keys = [...new Set(credentials.filter(looksLikeKey))];
  }

  /** Masks every occurrence that is not part of a longer word, and one cut off by the end of the text. */
  mask(text: string): string {
    let result = text;
    for (const key of this.#keys) result = this.#maskOne(result, key);
    return result;
  }

  /** The remark beside the client's token; null when nothing was masked. */
  note(): string | null {
    if (this.count === 0) return null;
    const keys = this.#keys.map(maskSecret).join(", ");
    return `its own key ${keys} masked ${this.count === 1 ? "once" : `${this.count} times`} in this record`;
  }

  #maskOne(text: string, key: string): string {
    let result = "";
    let done = 0;
    for (let at = text.indexOf(key); at >= 0; at = text.indexOf(key, at + key.length)) {
      if (isInWord(text, at, at + key.length)) continue;
      result += text.slice(done, at) + maskSecret(key);
      done = at + key.length;
      this.count++;
    }
    const cut = text.indexOf(key.slice(0, MIN_MASKABLE_LENGTH), Math.max(done, text.length - key.length + 1));
    if (cut < 0 || !key.startsWith(text.slice(cut))) return result + text.slice(done);
    this.count++;
    return `${result}${text.slice(done, cut + PREFIX.length)}…`;
  }
}

function isInWord(text: string, start: number, end: number): boolean {
  return isWordCharacter(text.charCodeAt(start - 1)) || isWordCharacter(text.charCodeAt(end));
}

/** Whether a code is an ASCII letter or digit; NaN, from beyond the text, is not. */
function isWordCharacter(code: number): boolean {
  const lower = code | 0x20;
  return (code >= 0x30 && code <= 0x39) || (lower >= 0x61 && lower <= 0x7a);
}
