/**
 * Runs the real program on a terminal of its own (a pseudo-terminal, by Python), and types on it.
 */
import { programCommand } from "./router.ts";
import { within } from "./within.ts";

const LIMIT_SECONDS = 60;

/** Relays what the terminal shows, answers prompts, and passes SIGTERM on. */
const RELAY = `
import fcntl, json, os, pty, signal, struct, sys, termios
spec = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 40, spec["columns"], 0, 0))
    os.chdir(spec["cwd"])
    os.execvpe(spec["command"][0], spec["command"], {**os.environ, **spec["env"]})
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
answers, seen = spec["answers"], b""
while True:
    try: piece = os.read(terminal, 65536)
    except OSError: break
    if not piece: break
    os.write(1, piece)
    seen += piece
    while answers and answers[0][0].encode() in seen:
        seen = seen.split(answers[0][0].encode(), 1)[1]
        os.write(terminal, answers.pop(0)[1].encode())
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status))
`;

export async function hasPython(): Promise<boolean> {
  try {
    return (await new Deno.Command("python3", { args: ["--version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

export interface TerminalOptions {
  readonly cwd: string;
  readonly env?: Record<string, string>;
  /** Its width. */
  readonly columns?: number;
  /** What to type when the terminal shows a text; each once, in this order. */
  readonly answers?: readonly (readonly [shown: string, typed: string])[];
}

/** A program on a terminal. Disposing sends SIGTERM. */
export class OnTerminal implements AsyncDisposable {
  /** What the terminal has shown. */
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #reading: Promise<void>;
  #seen: (() => void)[] = [];
  #isOver = false;

  constructor(args: readonly string[], { cwd, env = {}, columns = 100, answers = [] }: TerminalOptions) {
    const program = programCommand();
    const command = [program.command, ...program.args, ...args];
    const spec = { command, cwd, columns, env: { NO_COLOR: "1", ...env }, answers };
    this.#child = new Deno.Command("python3", {
      args: ["-c", RELAY, JSON.stringify(spec)],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#reading = this.#read();
  }

  /** Resolves with the match as soon as the terminal shows it; rejects when the program ends before. */
  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) return match;
      if (this.#isOver) throw new Error(`the terminal never showed ${pattern}:\n${this.text}`);
      const more = new Promise<void>((resolve) => this.#seen.push(resolve));
      await within(LIMIT_SECONDS, () => `waiting for ${pattern} in:\n${this.text}`, more);
    }
  }

  /** Resolves with the exit code. */
  async exited(): Promise<number> {
    const hanging = () => `a program on a terminal, which shows:\n${this.text}`;
    const { code } = await within(LIMIT_SECONDS, hanging, this.#child.status);
    await this.#reading;
    return code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isOver) this.#child.kill("SIGTERM");
    await this.exited();
  }

  async #read(): Promise<void> {
    for await (const piece of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      this.text += piece;
      this.#wake();
    }
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    for (const each of this.#seen.splice(0)) each();
  }
}
