/**
 * `records export`: every matching record, oldest first, as a stream of lines.
 *
 * Owns the formats' framing and the file that is written. Writing is synchronous: a slow reader of the output
 * slows the reading of the database, and memory stays at one page.
 */
import { CommandError, UsageError } from "../errors.ts";
import { messageOf } from "../../core/errors.ts";
import type { StoredRecord } from "../../store/store.ts";
import type { CommandContext } from "../context.ts";
import { formatJson, type Terminal } from "../output.ts";
import { Progress } from "../progress.ts";
import { withRecords } from "./access.ts";
import { BYTE_ORDER_MARK, CSV_HEADER, csvLine } from "../../control/record_csv.ts";
import { type FilterFlags, parseFilter, resolveFilter } from "./filters.ts";
import { type SkipReason, toFinetuneExample } from "./finetune.ts";
import { oldestFirst } from "./pages.ts";
import { harmless } from "../../core/recorded_text.ts";
import { type NameSource, viewRecord } from "../../control/record_view.ts";

export interface ExportFlags extends FilterFlags {
  readonly format?: string;
  readonly output?: string;
}

export const FORMATS = ["jsonl", "csv", "openai-finetune"] as const;
type Format = typeof FORMATS[number];

export async function exportRecords(context: CommandContext, flags: ExportFlags): Promise<void> {
  const { terminal } = context;
  const format = readFormat(flags.format);
  const parsed = parseFilter(flags, Date.now());
  if (flags.output !== undefined && flags.output.trim() === "") {
    throw new UsageError("--output must be the path of a new file");
  }
  await withRecords({ ...context, flags }, async ({ records, names }) => {
    // Lines that are printed to a screen are progress enough.
    const screen = flags.output === undefined && terminal.columns !== null
      ? null
      : terminal.noteScreen ?? null;
    const progress = new Progress({ screen, now: () => performance.now() });
    const found = counting(oldestFirst(records, resolveFilter(parsed, names)), progress);
    const formatter = FORMATTERS[format](names);
    if (flags.output === undefined) {
      await writeLines(found, { formatter, output: terminalOutput(terminal, format) });
    } else {
      const file = new NewFile(flags.output);
      try {
        await writeLines(found, { formatter, output: file });
        file.close();
      } catch (error) {
        file.discard();
        throw error;
      }
    }
    const report = formatter.report?.();
    if (report !== undefined) terminal.note(report);
    else if (flags.output !== undefined) terminal.note(`wrote ${flags.output}`);
  });
}

/** The same records; shows how many have passed. */
async function* counting(
  records: AsyncIterable<StoredRecord>,
  progress: Progress,
): AsyncGenerator<StoredRecord> {
  let count = 0;
  try {
    for await (const record of records) {
      yield record;
      count++;
      progress.step((seconds) => `${count.toLocaleString("en")} records, ${seconds} s`);
    }
  } finally {
    progress.clear();
  }
}

function readFormat(text: string | undefined): Format {
  const format = FORMATS.find((each) => each === text);
  if (format !== undefined) return format;
  if (text === undefined) throw new UsageError(`export needs a format: --format ${FORMATS.join("|")}`);
  throw new UsageError(`--format cannot be ${JSON.stringify(text)}: expected one of ${FORMATS.join(", ")}`);
}

/** Where lines go; each comes without its end. */
interface LineOutput {
  line(text: string): void;
  /** Nobody reads any more. */
  isOver(): boolean;
}

/** Makes the lines of one format. */
interface Formatter {
  readonly header?: string;
  /** null: the record has no line. */
  line(record: StoredRecord): string | null;
  /** What to say at the end. */
  report?(): string;
}

const FORMATTERS: Readonly<Record<Format, (names: NameSource) => Formatter>> = {
  "jsonl": (names) => ({ line: (record) => formatJson(viewRecord(record, names), 0) }),
  // RFC 4180: every line ends with CRLF, of which the output adds the LF.
  "csv": (names) => ({
    header: `${BYTE_ORDER_MARK}${CSV_HEADER}\r`,
    line: (record) => `${csvLine(viewRecord(record, names))}\r`,
  }),
  "openai-finetune": finetuneFormatter,
};

function finetuneFormatter(): Formatter {
  const skipped = new Map<SkipReason, number>();
  let written = 0;
  return {
    line: (record) => {
      const result = toFinetuneExample(record);
      if (result.isExample) {
        written++;
        return formatJson(result.example, 0);
      }
      skipped.set(result.reason, (skipped.get(result.reason) ?? 0) + 1);
      return null;
    },
    report: () => {
      const reasons = [...skipped].map(([reason, count]) => `${count} ${reason}`).join(", ");
      const total = [...skipped.values()].reduce((sum, count) => sum + count, 0);
      return `${counted(written, "example")}; skipped ${counted(total, "record")}` +
        `${reasons === "" ? "" : `: ${reasons}`}`;
    },
  };
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

async function writeLines(
  records: AsyncIterable<StoredRecord>,
  { formatter, output }: { readonly formatter: Formatter; readonly output: LineOutput },
): Promise<void> {
  if (formatter.header !== undefined) output.line(formatter.header);
  for await (const record of records) {
    if (output.isOver()) return;
    const line = formatter.line(record);
    if (line !== null) output.line(line);
  }
}

/** JSON escapes control characters; CSV cannot, so a screen gets a cleaned copy. */
function terminalOutput(terminal: Terminal, format: Format): LineOutput {
  const isTaming = format === "csv" && terminal.columns !== null;
  return {
    line: (text) =>
      terminal.print(isTaming ? harmless(text.replace(BYTE_ORDER_MARK, "").slice(0, -1)) : text),
    isOver: () => terminal.isReaderGone,
  };
}

const BUFFER_LENGTH = 64 * 1024;

/** A file that did not exist before, for its owner only. */
class NewFile implements LineOutput {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #encoder = new TextEncoder();
  #waiting: string[] = [];
  #waitingLength = 0;

  /** @throws CommandError when it exists, or cannot be made */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#file = Deno.openSync(path, { write: true, createNew: true, mode: 0o600 });
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) {
        throw new CommandError(`${path} exists already and stays as it is: name a new file`);
      }
      throw this.#failure(error);
    }
  }

  line(text: string): void {
    this.#waiting.push(text, "\n");
    this.#waitingLength += text.length + 1;
    if (this.#waitingLength >= BUFFER_LENGTH) this.#flush();
  }

  isOver(): boolean {
    return false;
  }

  close(): void {
    this.#flush();
    this.#file.close();
  }

  /** Removes what was written: half an export could be mistaken for a whole one. */
  discard(): void {
    try {
      this.#file.close();
    } catch {
      // It is closed already.
    }
    Deno.removeSync(this.#path);
  }

  #flush(): void {
    let rest = this.#encoder.encode(this.#waiting.join(""));
    this.#waiting = [];
    this.#waitingLength = 0;
    try {
      while (rest.length > 0) rest = rest.subarray(this.#file.writeSync(rest));
    } catch (error) {
      throw this.#failure(error);
    }
  }

  #failure(error: unknown): CommandError {
    const reason = error instanceof Deno.errors.NotFound
      ? "its directory does not exist"
      : error instanceof Deno.errors.PermissionDenied
      ? "permission denied"
      : messageOf(error);
    return new CommandError(`cannot write ${this.#path}: ${reason}`);
  }
}
