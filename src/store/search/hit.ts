/**
 * The passage of a record in which a search was found.
 *
 * Owns how much around a hit is shown. Pure. The index folds accents, so a record may be found without a passage to
 * show.
 */
import type { SearchText } from "./text.ts";

/** A piece of a passage. */
export interface HitPiece {
  readonly text: string;
  readonly isHit: boolean;
}

export interface HitPassage {
  readonly pieces: readonly HitPiece[];
  readonly where: "reply" | "request";
}

const LENGTH_BEFORE = 60;
const LENGTH_AFTER = 160;

/**
 * The passage around the first hit, of the reply if it has one, else of the request; on one line; null: there is none.
 * @param pattern global, see `termPattern`
 */
export function hitPassage({ reply, request }: SearchText, pattern: RegExp): HitPassage | null {
  for (const [where, text] of [["reply", reply], ["request", request]] as const) {
    const at = text.search(pattern);
    if (at >= 0) return { pieces: piecesOf(passage(text, at), pattern), where };
  }
  return null;
}

function passage(text: string, at: number): string {
  const start = Math.max(0, at - LENGTH_BEFORE);
  const end = Math.min(text.length, at + LENGTH_AFTER);
  const cut = text.slice(start, end).toWellFormed().replace(/\s+/g, " ");
  return `${start > 0 ? "…" : ""}${cut}${end < text.length ? "…" : ""}`;
}

function piecesOf(text: string, pattern: RegExp): HitPiece[] {
  const pieces: HitPiece[] = [];
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > end) pieces.push({ text: text.slice(end, match.index), isHit: false });
    pieces.push({ text: match[0], isHit: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) pieces.push({ text: text.slice(end), isHit: false });
  return pieces;
}
