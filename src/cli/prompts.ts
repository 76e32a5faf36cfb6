/**
 * Questions to the person at the keyboard, and answers that the screen does not show.
 *
 * Owns reading single lines of a terminal. There is nobody to ask when standard input or standard error is none.
 */
import { CommandError } from "./errors.ts";

/** Asks on standard error; answers come from standard input. */
export interface Prompts {
  /** @returns the line as it was typed; null at the end of input */
  ask(question: string): Promise<string | null>;
  /** The same without showing what is typed. @throws CommandError when it was cancelled with Ctrl-C */
  askSecret(question: string): Promise<string | null>;
}

/** The part of `Deno.stdin` that is used. */
export interface KeyboardSource {
  read(into: Uint8Array): Promise<number | null>;
  setRaw(mode: boolean): void;
}

/** An answer is one line; what is longer was not typed. */
const MAX_ANSWER_BYTES = 16_384;

const [CTRL_C, CTRL_D, BACKSPACE, LINE_FEED, RETURN, CTRL_U, ESCAPE, DELETE] = [3, 4, 8, 10, 13, 21, 27, 127];
const LEFT_BRACKET = 0x5b;
/** The last byte of a control sequence is this or a higher one. */
const FIRST_FINAL = 0x40;

/** null: nobody can be asked. */
export function terminalPrompts(): Prompts | null {
  if (!Deno.stdin.isTerminal() || !Deno.stderr.isTerminal()) return null;
  const write = (text: string) => void Deno.stderr.writeSync(new TextEncoder().encode(text));
  return promptsOn(Deno.stdin, write);
}

export function promptsOn(keyboard: KeyboardSource, write: (text: string) => void): Prompts {
  const lines = new Lines(keyboard);
  return {
    ask: (question) => {
      write(question);
      return lines.next();
    },
    askSecret: async (question) => {
      // Before the question: whoever answers at once must not see the answer.
      keyboard.setRaw(true);
      try {
        write(question);
        return await lines.next();
      } finally {
        keyboard.setRaw(false);
        write("\n");
      }
    },
  };
}

/** Understands what a terminal does for a line by itself, since in raw mode it does not. */
class Lines {
  readonly #keyboard: KeyboardSource;
  /** Typed ahead. */
  #rest: readonly number[] = [];

  constructor(keyboard: KeyboardSource) {
    this.#keyboard = keyboard;
  }

  /** null: the end of input. */
  async next(): Promise<string | null> {
    const line = new Line();
    for (;;) {
      for (const [at, byte] of this.#rest.entries()) {
        if (!line.take(byte)) continue;
        this.#rest = this.#rest.slice(at + 1);
        return line.text;
      }
      const buffer = new Uint8Array(1024);
      const count = await this.#keyboard.read(buffer);
      if (count === null) return line.text;
      this.#rest = [...buffer.subarray(0, count)];
    }
  }
}

class Line {
  #bytes: number[] = [];
  /** Within the code of a key that is no character (ECMA-48 section 5.4). */
  #code: "none" | "begun" | "inside" = "none";
  #isTyped = false;

  /** null: input ended before anything was typed. */
  get text(): string | null {
    return this.#isTyped ? new TextDecoder().decode(new Uint8Array(this.#bytes)) : null;
  }

  /** @returns whether the line is complete */
  take(byte: number): boolean {
    if (this.#isInCode(byte)) return false;
    if (byte === CTRL_C) throw new CommandError("cancelled");
    if (byte === CTRL_D) return this.#bytes.length === 0;
    this.#isTyped = true;
    if (byte === LINE_FEED || byte === RETURN) return true;
    if (byte === CTRL_U) this.#bytes = [];
    else if (byte === BACKSPACE || byte === DELETE) this.#bytes.pop();
    else if (this.#bytes.length < MAX_ANSWER_BYTES) this.#bytes.push(byte);
    return false;
  }

  #isInCode(byte: number): boolean {
    if (this.#code === "none") {
      if (byte !== ESCAPE) return false;
      this.#code = "begun";
    } else if (this.#code === "begun") {
      this.#code = byte === LEFT_BRACKET ? "inside" : "none";
    } else if (byte >= FIRST_FINAL) {
      this.#code = "none";
    }
    return true;
  }
}

/** Only a clear yes is one. */
export function isYes(answer: string | null): boolean {
  return answer !== null && /^\s*y(?:es)?\s*$/i.test(answer);
}
