/**
 * Markdown of a reply as tokens, which the page draws itself: no HTML comes out of here.
 *
 * Owns what is taken for Markdown and what is too much of it. The texts are hostile: raw HTML stays text, depth, size and
 * the number of tokens are bounded, and the parser's time is linear in the text.
 * https://spec.commonmark.org/ with tables and strikethrough
 */
import MarkdownIt from "markdown-it";

export type Token = ReturnType<InstanceType<typeof MarkdownIt>["parse"]>[number];

/** In UTF-16 units; a longer text is shown as it is. */
export const MAX_MARKDOWN_LENGTH = 32 * 1024;
const MAX_NESTING = 20;
const MAX_TOKENS = 12_000;
/** Cells of a table that a text could have, by its widest line and the number of its lines. */
const MAX_CELLS = 6_000;

const parser = new MarkdownIt({ html: false, linkify: false, typographer: false, breaks: true });
// Addresses are judged where they are drawn.
parser.validateLink = () => true;
parser.set({ maxNesting: MAX_NESTING });

const withoutTables = new MarkdownIt({ html: false, linkify: false, typographer: false, breaks: true });
withoutTables.validateLink = () => true;
withoutTables.set({ maxNesting: MAX_NESTING });
withoutTables.disable("table");

/** Null for a text that is to be shown as it is. @param text harmless, see core/recorded_text.ts */
export function parseMarkdown(text: string): readonly Token[] | null {
  if (text.length > MAX_MARKDOWN_LENGTH) return null;
  const tokens = (possibleCells(text) > MAX_CELLS ? withoutTables : parser).parse(text, {});
  let count = 0;
  for (const { children, level } of tokens) {
    count += 1 + (children?.length ?? 0);
    // The parser leaves out what is in the last one.
    if (level >= MAX_NESTING - 1 || count > MAX_TOKENS) return null;
    if (children?.some((child) => child.level >= MAX_NESTING - 1)) return null;
  }
  return tokens;
}

function possibleCells(text: string): number {
  let lines = 1;
  let bars = 0;
  let mostBars = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "|") mostBars = Math.max(mostBars, ++bars);
    else if (text[at] === "\n") {
      lines++;
      bars = 0;
    }
  }
  return mostBars * lines;
}

/** An address that a link may have: of a web page; null for any other. */
export function webAddress(address: string): string | null {
  const url = URL.parse(address);
  return url !== null && (url.protocol === "https:" || url.protocol === "http:") ? url.href : null;
}
