/**
 * The parameters of a header field's value, as in `form-data; name="a"; filename*=UTF-8''b`.
 *
 * Reads what anybody writes: quoted or not, in any order, with blanks around `;` and `=`. Pure, linear, never throws.
 *
 * @see https://www.rfc-editor.org/rfc/rfc2183#section-2 , https://www.rfc-editor.org/rfc/rfc8187
 */

export interface Parameter {
  /** In lower case. */
  readonly name: string;
  /** Without quotes and their escapes. */
  readonly value: string;
  readonly isQuoted: boolean;
}

/** Those after the first semicolon, in their order; malformed ones are left out. */
export function headerParameters(value: string): Parameter[] {
  const parameters: Parameter[] = [];
  let equals = -1;
  for (let at = value.indexOf(";"); at >= 0 && at < value.length;) {
    const start = at + 1;
    const semicolon = endOr(value.indexOf(";", start), value);
    // Searched again only once it is passed: every character is searched once.
    if (equals < start) equals = endOr(value.indexOf("=", start), value);
    if (equals > semicolon || equals === value.length) {
      at = semicolon;
      continue;
    }
    const name = value.slice(start, equals).trim().toLowerCase();
    const quote = /[^ \t]/g;
    quote.lastIndex = equals + 1;
    const first = quote.exec(value);
    if (first?.[0] === '"') {
      const end = endOfQuoted(value, first.index + 1);
      parameters.push({ name, value: unescaped(value.slice(first.index + 1, end)), isQuoted: true });
      at = endOr(value.indexOf(";", end), value);
    } else {
      parameters.push({ name, value: value.slice(equals + 1, semicolon).trim(), isQuoted: false });
      at = semicolon;
    }
  }
  return parameters;
}

function endOr(at: number, text: string): number {
  return at < 0 ? text.length : at;
}

/** Index of the closing quote, or the text's length. */
function endOfQuoted(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '"') return at;
    if (text[at] === "\\" && isEscaped(text[at + 1])) at++;
  }
  return text.length;
}

/** Browsers write the backslashes of a path as they are, so only these count. */
function isEscaped(character: string | undefined): boolean {
  return character === '"' || character === "\\";
}

function unescaped(text: string): string {
  return text.includes("\\") ? text.replace(/\\(["\\])/g, "$1") : text;
}

/** The text of an extended value, `UTF-8''na%C3%AFve`; as it is when it is none, or in another charset. */
export function extendedText(value: string): string {
  const text = /^utf-8'[^']*'([^]*)$/i.exec(value)?.[1];
  if (text === undefined) return value;
  try {
    return decodeURIComponent(text);
  } catch {
    return value;
  }
}
