/**
 * Chunked bodies (RFC 9112 section 7.1), valid and odd. Pure.
 */
import type { Random } from "./random.ts";

/** Odd replacements of valid parts. */
export interface ChunkOddities {
  /** A chunk's size line, from its size in hexadecimal. */
  readonly sizeLines: readonly ((hex: string) => string)[];
  /** After a chunk's data. */
  readonly lineEnds: readonly string[];
  /** The last chunk and what follows it. */
  readonly lastChunks: readonly string[];
}

/** The content in chunks of random sizes; without oddities every chunk is valid. */
export function chunked(content: string, random: Random, oddities: ChunkOddities | null): string {
  let text = "";
  for (let at = 0; at < content.length;) {
    const size = Math.min(content.length - at, 1 + random.below(content.length));
    const hex = size.toString(16);
    const odd = oddities !== null && random.isLucky(0.5) ? oddities : null;
    text += odd === null ? `${hex}\r\n` : random.pick(odd.sizeLines)(hex);
    text += content.slice(at, at + size);
    text += odd !== null && random.isLucky(0.3) ? random.pick(odd.lineEnds) : "\r\n";
    at += size;
  }
  const isLastOdd = oddities !== null && random.isLucky(0.5);
  return text + (isLastOdd ? random.pick(oddities.lastChunks) : "0\r\n\r\n");
}
