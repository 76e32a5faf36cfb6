/**
 * Output for people and programs: the terminal's streams, tables, JSON.
 *
 * Owns layout and the cleaning of text that people edited by hand. Knows nothing about the commands.
 */
import { cleanText } from "../core/clean_text.ts";
import { nextPiece } from "../observe/pipe_pieces.ts";
import type { Paint } from "./colour.ts";
import { type Prompts, terminalPrompts } from "./prompts.ts";

/** A screen on which text can be replaced. */
export interface Screen {
  /** Without a line break at its end. */
  write(text: string): void;
  columns(): number;
}

/** The standard streams, injected so that tests need no process. */
export interface Terminal {
  /** Writes one line, for the reader of the result. */
  print(line: string): void;
  /** Writes one line beside the result, for the person at the keyboard. */
  note(line: string): void;
  /** All of standard input, as text. */
  readInput(): Promise<string>;
  /** The reader of the result has closed its pipe (`list | head -1`): printing more is pointless. */
  readonly isReaderGone: boolean;
  /** Width in columns; null when the output is not a screen, and nothing needs to fit. */
  readonly columns: number | null;
  /** Standard error, when it is a screen; for progress lines. */
  readonly noteScreen?: Screen;
  /** There is somebody who can be asked. */
  readonly prompts?: Prompts;
}

const DEFAULT_COLUMNS = 80;

/** The process's own streams. */
export function processTerminal(): Terminal {
  let isReaderGone = false;
  const screen = errorScreen();
  const prompts = terminalPrompts();
  return {
    print: (line) => {
      if (!writeLine(Deno.stdout, line)) isReaderGone = true;
    },
    get isReaderGone() {
      return isReaderGone;
    },
    note: (line) => {
      writeLine(Deno.stderr, line);
    },
    readInput: () => new Response(Deno.stdin.readable).text(),
    columns: Deno.stdout.isTerminal() ? screenColumns() : null,
    ...(screen === null ? {} : { noteScreen: screen }),
    ...(prompts === null ? {} : { prompts }),
  };
}

/** Standard error; null when it is not a terminal. */
export function errorScreen(): Screen | null {
  if (!Deno.stderr.isTerminal()) return null;
  return {
    write: (text) => {
      try {
        Deno.stderr.writeSync(new TextEncoder().encode(text));
      } catch (error) {
        // Progress that cannot be shown now is shown later.
        if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      }
    },
    columns: screenColumns,
  };
}

/** Some terminals report a width of 0. */
function screenColumns(): number {
  return Deno.consoleSize().columns || DEFAULT_COLUMNS;
}

/** The part of `Deno.stdout` that is used. */
export interface SyncSink {
  writeSync(bytes: Uint8Array): number;
}

/** Pause before a write is repeated that would have blocked. */
const FULL_MS = 5;
const pauseCell = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes one line. A stream in non-blocking mode, as a parent written in Node hands down, is waited for as any other.
 *
 * @returns false when the reader has closed the stream
 */
export function writeLine(stream: SyncSink, line: string): boolean {
  let rest = new TextEncoder().encode(`${line}\n`);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(stream.writeSync(nextPiece(rest)));
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(pauseCell, 0, 0, FULL_MS);
    }
  }
  return true;
}

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  /** May be cut short, with `…`, when the table is wider than the screen. */
  readonly isFlexible?: boolean;
  /** Its colour; null: none. */
  readonly paint?: (row: Row) => Paint | null;
}

const GAP = "  ";
const MIN_FLEXIBLE_WIDTH = 12;

/**
 * Lines of a table with a title row, aligned by display width.
 *
 * @param width what the lines should fit into, in columns; null: as wide as it gets
 */
export function formatTable<Row>(
  rows: readonly Row[],
  { columns, width }: { readonly columns: readonly Column<Row>[]; readonly width: number | null },
): string[] {
  const titles = columns.map(({ title }) => title);
  const cells = rows.map((row) => columns.map(({ cell }) => cleanText(cell(row))));
  const widths = columns.map((_, at) =>
    Math.max(...[titles, ...cells].map((line) => displayWidth(line[at] ?? "")))
  );
  if (width !== null) shrink(widths, { columns, width });
  const fitted = (line: readonly string[]) => line.map((text, at) => fitText(text, widths[at] ?? 0));
  const painted = rows.map((row, at) =>
    fitted(cells[at] ?? []).map((text, column) => {
      const paint = columns[column]?.paint?.(row) ?? null;
      return paint === null ? text : paint(text);
    })
  );
  return [fitted(titles), ...painted].map((line) => line.join(GAP).trimEnd());
}

function shrink<Row>(
  widths: number[],
  { columns, width }: { readonly columns: readonly Column<Row>[]; readonly width: number },
): void {
  let excess = widths.reduce((sum, each) => sum + each + GAP.length, -GAP.length) - width;
  while (excess > 0) {
    const flexible = columns.flatMap(({ isFlexible }, at) => isFlexible ? [at] : []);
    const widest = Math.max(0, ...flexible.map((at) => widths[at] ?? 0));
    if (widest <= MIN_FLEXIBLE_WIDTH) return;
    widths[widths.findIndex((each, at) => each === widest && flexible.includes(at))] = widest - 1;
    excess--;
  }
}

/** Pads, or cuts with `…`, to exactly `width` columns. */
function fitText(text: string, width: number): string {
  const missing = width - displayWidth(text);
  if (missing >= 0) return text + " ".repeat(missing);
  let kept = "";
  let keptWidth = 0;
  for (const character of text) {
    const characterWidth = displayWidth(character);
    if (keptWidth + characterWidth > width - 1) break;
    kept += character;
    keptWidth += characterWidth;
  }
  return kept + "…" + " ".repeat(Math.max(0, width - 1 - keptWidth));
}

/** East Asian wide and emoji ranges, which take two columns. Source: https://www.unicode.org/reports/tr11/ */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/u;

/** Columns that a cleaned text takes on a screen. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) {
    if (/\p{M}/u.test(character)) continue;
    width += WIDE.test(character) ? 2 : 1;
  }
  return width;
}

/**
 * JSON for programs and people; characters that could control a terminal are escaped.
 * @param indent spaces; 0: all on one line
 */
export function formatJson(value: unknown, indent = 2): string {
  return JSON.stringify(value, null, indent).replace(
    // The line breaks are the layout's: those of texts are escapes already.
    /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (character) =>
      Array.from(
        { length: character.length },
        (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`,
      ).join(""),
  );
}
