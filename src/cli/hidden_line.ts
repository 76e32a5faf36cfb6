/**
 * A line typed at a terminal that does not show it.
 *
 * Owns the terminal's mode while it reads, and gives it back in any case. Must not keep or print what was typed.
 */

/** Bytes that end or change the line: https://man7.org/linux/man-pages/man3/termios.3.html */
const KEYS = {
  interrupt: 0x03,
  endOfFile: 0x04,
  backspace: 0x08,
  lineFeed: 0x0a,
  carriageReturn: 0x0d,
  eraseLine: 0x15,
  delete: 0x7f,
} as const;

/** A key is shorter; what comes beyond it is no line of a person. */
const MAX_BYTES = 64 * 1024;

/** Tells of one piece of input what became of the line. */
export class HiddenLine {
  #bytes: number[] = [];

  /** @returns the line once it has ended; null: broken off; undefined: there is more to come */
  take(piece: Uint8Array): string | null | undefined {
    for (const byte of piece) {
      switch (byte) {
        case KEYS.interrupt:
          return null;
        case KEYS.endOfFile:
        case KEYS.lineFeed:
        case KEYS.carriageReturn:
          return this.#text();
        case KEYS.backspace:
        case KEYS.delete:
          this.#bytes.pop();
          break;
        case KEYS.eraseLine:
          this.#bytes = [];
          break;
        default:
          this.#bytes.push(byte);
      }
      if (this.#bytes.length > MAX_BYTES) return null;
    }
    return undefined;
  }

  #text(): string {
    return new TextDecoder().decode(Uint8Array.from(this.#bytes));
  }
}

/** Asks on standard error, and reads one line of standard input without an echo; null: Ctrl-C. */
export function promptSecret(prompt: string): string | null {
  const encoder = new TextEncoder();
  // Before the prompt, which programs wait for. Signals, too, arrive as bytes: no Ctrl-C leaves a terminal that shows nothing.
  Deno.stdin.setRaw(true);
  try {
    Deno.stderr.writeSync(encoder.encode(prompt));
    const line = new HiddenLine();
    const buffer = new Uint8Array(1024);
    for (;;) {
      const count = Deno.stdin.readSync(buffer);
      if (count === null) return null;
      const ended = line.take(buffer.subarray(0, count));
      if (ended !== undefined) return ended;
    }
  } finally {
    Deno.stdin.setRaw(false);
    Deno.stderr.writeSync(encoder.encode("\n"));
  }
}
