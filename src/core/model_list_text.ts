/**
 * Reads one page of a list of models: the names, and each object's own text, so that it can be shown as it came.
 *
 * Pure, linear, and in steps: a list of megabytes must not hold up others. Knows nothing of paging.
 *
 * @see https://platform.openai.com/docs/api-reference/models/list , https://docs.anthropic.com/en/api/models-list
 */

/** One model as an upstream lists it. */
export interface ListedModel {
  readonly id: string;
  /** Its JSON object as it came; null: it was not kept, or has no `id`. */
  readonly raw: string | null;
}

export interface ModelPage {
  /** Each id once, in the list's order. */
  readonly models: readonly ListedModel[];
  readonly hasMore: boolean;
  /** What the next page comes after; null: it does not say. */
  readonly lastId: string | null;
  /** Its objects are Anthropic's. */
  readonly isAnthropic: boolean;
}

/** Longer names are no model's. */
export const MAX_ID_LENGTH = 512;
/** Of a longer object only the name is kept. */
const MAX_OBJECT_LENGTH = 64 * 1024;
/** Characters between two pauses. */
const STEP_LENGTH = 128 * 1024;

const QUOTE = 0x22;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const BACKSLASH = 0x5c;

/** Where names are in lists that are none of OpenAI's form: Ollama, Google, Codex. */
const OTHER_NAMES = ["model", "name", "slug"] as const;

class NotJson extends Error {}

/**
 * Reads a page; yields now and then, so that others get their turn.
 *
 * @returns null: the text is no list of models
 */
export function* readModelPage(text: string): Generator<void, ModelPage | null> {
  try {
    return yield* new PageReader(text).read();
  } catch (error) {
    if (error instanceof NotJson || error instanceof SyntaxError) return null;
    throw error;
  }
}

/** The object with another `id`; everything else stays as it is. null: it has none. */
export function withId(raw: string, id: string): string | null {
  const cursor = new Cursor(raw);
  let found: { readonly start: number; readonly end: number } | null = null;
  try {
    for (const { key, start, end } of cursor.members()) {
      // Of several, parsers take the last one.
      if (key === "id") found = { start, end };
    }
  } catch (error) {
    if (error instanceof NotJson || error instanceof SyntaxError) return null;
    throw error;
  }
  return found === null ? null : raw.slice(0, found.start) + JSON.stringify(id) + raw.slice(found.end);
}

class PageReader {
  readonly #cursor: Cursor;
  readonly #models = new Map<string, ListedModel>();
  #isList = false;
  #isAnthropic = false;
  #hasMore = false;
  #lastId: string | null = null;
  #pausedAt = 0;

  constructor(text: string) {
    this.#cursor = new Cursor(text);
  }

  *read(): Generator<void, ModelPage | null> {
    const cursor = this.#cursor;
    if (cursor.peek() === OPENING_BRACKET) yield* this.#items({ isData: true });
    else {
      for (const key of cursor.keys()) yield* this.#member(key);
    }
    cursor.requireEnd();
    if (!this.#isList) return null;
    return {
      models: [...this.#models.values()],
      hasMore: this.#hasMore,
      lastId: this.#lastId,
      isAnthropic: this.#isAnthropic,
    };
  }

  *#member(key: string): Generator<void> {
    const cursor = this.#cursor;
    if (key === "data" || key === "models") {
      if (cursor.peek() === OPENING_BRACKET) return yield* this.#items({ isData: key === "data" });
      // Some servers write an empty list so.
      if (cursor.value() === "null" && key === "data") this.#isList = true;
      return;
    }
    const start = cursor.at;
    const value = cursor.value();
    if (cursor.at - start > STEP_LENGTH) return;
    if (key === "has_more") this.#hasMore = parsed(value) === true;
    if (key === "last_id") {
      const id = parsed(value);
      this.#lastId = typeof id === "string" && id !== "" && id.length <= MAX_ID_LENGTH ? id : null;
    }
  }

  *#items({ isData }: { readonly isData: boolean }): Generator<void> {
    this.#isList = true;
    const cursor = this.#cursor;
    for (const _item of cursor.items()) {
      this.#add(cursor.value(), isData);
      if (cursor.at - this.#pausedAt < STEP_LENGTH) continue;
      this.#pausedAt = cursor.at;
      yield;
    }
  }

  #add(raw: string, isData: boolean): void {
    // Parsing megabytes, or a million levels, would hold up everybody.
    const item = raw.length > MAX_OBJECT_LENGTH ? namesOf(raw) : parsed(raw);
    if (typeof item !== "object" || item === null) return;
    const fields = item as Readonly<Record<string, unknown>>;
    const own = nameOf(fields["id"]);
    const id = own ?? (isData ? null : OTHER_NAMES.map((name) => nameOf(fields[name])).find((name) => name));
    if (id === null || id === undefined || this.#models.has(id)) return;
    this.#isAnthropic ||= fields["type"] === "model" && fields["object"] === undefined;
    this.#models.set(id, { id, raw: own === null || raw.length > MAX_OBJECT_LENGTH ? null : raw });
  }
}

/** The short texts at the top of a long object. */
function namesOf(raw: string): Readonly<Record<string, unknown>> | null {
  if (!raw.startsWith("{")) return null;
  const names: Record<string, unknown> = Object.create(null);
  for (const { key, start, end } of new Cursor(raw).members()) {
    if (end - start <= 8 * MAX_ID_LENGTH && raw[start] === '"') names[key] = parsed(raw.slice(start, end));
  }
  return names;
}

function nameOf(value: unknown): string | null {
  const isName = typeof value === "string" && value !== "" && value.length <= MAX_ID_LENGTH &&
    value.isWellFormed() && !value.includes("\0");
  return isName ? value : null;
}

/** @throws SyntaxError */
function parsed(json: string): unknown {
  return JSON.parse(json);
}

interface Member {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

/** Walks through the outer levels of a JSON text. Whoever looks at a value parses it, which checks it. */
class Cursor {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next character's code after blanks; NaN at the end. */
  peek(): number {
    for (;;) {
      const code = this.#text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code;
      this.at++;
    }
  }

  /** @throws NotJson when something follows */
  requireEnd(): void {
    if (!Number.isNaN(this.peek())) throw new NotJson();
  }

  /** The members of the object here. */
  *members(): Generator<Member> {
    for (const key of this.keys()) {
      this.peek();
      const start = this.at;
      this.value();
      yield { key, start, end: this.at };
    }
  }

  /** The keys of the object here; whoever gets one must take its value. */
  *keys(): Generator<string> {
    this.#take(OPENING_BRACE);
    if (this.#isTaken(CLOSING_BRACE)) return;
    do {
      if (this.peek() !== QUOTE) throw new NotJson();
      const key = String(parsed(this.value()));
      this.#take(0x3a);
      yield key;
    } while (this.#isTaken(0x2c));
    this.#take(CLOSING_BRACE);
  }

  /** The items of the array here; whoever gets one must take its value. */
  *items(): Generator<void> {
    this.#take(OPENING_BRACKET);
    if (this.#isTaken(CLOSING_BRACKET)) return;
    do yield; while (this.#isTaken(0x2c));
    this.#take(CLOSING_BRACKET);
  }

  /** The text of the value here, which is behind afterwards. @throws NotJson when it does not end */
  value(): string {
    const code = this.peek();
    const start = this.at;
    if (code === QUOTE) this.#skipString();
    else if (code === OPENING_BRACE || code === OPENING_BRACKET) this.#skipNested();
    else this.#skipWord();
    return this.#text.slice(start, this.at);
  }

  #skipString(): void {
    for (let at = this.at + 1;;) {
      const end = this.#text.indexOf('"', at);
      if (end < 0) throw new NotJson();
      let first = end;
      while (first > at && this.#text.charCodeAt(first - 1) === BACKSLASH) first--;
      at = end + 1;
      if ((end - first) % 2 === 1) continue;
      this.at = at;
      return;
    }
  }

  #skipNested(): void {
    const text = this.#text;
    for (let depth = 0; this.at < text.length;) {
      const code = text.charCodeAt(this.at);
      if (code === QUOTE) {
        this.#skipString();
        continue;
      }
      this.at++;
      if (code === OPENING_BRACE || code === OPENING_BRACKET) depth++;
      else if ((code === CLOSING_BRACE || code === CLOSING_BRACKET) && --depth === 0) return;
    }
    throw new NotJson();
  }

  #skipWord(): void {
    const start = this.at;
    while (/[\w.+-]/.test(this.#text.charAt(this.at))) this.at++;
    if (this.at === start) throw new NotJson();
  }

  #isTaken(code: number): boolean {
    if (this.peek() !== code) return false;
    this.at++;
    return true;
  }

  #take(code: number): void {
    if (!this.#isTaken(code)) throw new NotJson();
  }
}
