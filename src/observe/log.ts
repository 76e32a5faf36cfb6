/**
 * The program's log: LogTape, with redaction and escaping on every line.
 *
 * Owns the form of log lines. They go to standard error, access lines included, so that standard output holds
 * only a command's result and can be piped. Must not log a body or a secret, and nothing logged may control a
 * terminal or forge a line.
 */
import { configureSync, getLogger, type Logger, type LogRecord, type Sink } from "@logtape/logtape";
import { redactByField, redactByPattern } from "@logtape/redaction";
import { redactedStart } from "../core/cut_text.ts";
import { redactSecrets } from "../core/secrets.ts";
import { AccessLog, type LoggedRequest } from "./access_log.ts";
import { LogWriter } from "./log_writer.ts";
import { escapeControls, statement } from "./statement.ts";
import { CREDENTIAL_FIELDS, CREDENTIAL_PATTERNS, redactor } from "./redact.ts";

const ROOT = "openai-api-route";
const MAX_MESSAGE_LENGTH = 8192;
const MAX_VALUE_LENGTH = 500;

export interface LoggingOptions {
  /** `text` for people, `json` for one JSON object a line. */
  readonly format: "text" | "json";
  readonly level: "debug" | "info" | "warning" | "error";
  /** The secrets known now; called for every line because they change at run time. */
  readonly secrets: () => Iterable<string>;
  /** Takes one whole line with its line end. Default: standard error, without waiting for it. */
  readonly write?: (line: string) => void;
}

const standardError = new LogWriter(Deno.stderr);
const standardOutput = new LogWriter(Deno.stdout);

/** Null while access lines are off. */
let accessLog: AccessLog | null = null;

/** Sets up logging for the whole process; may be called again. Until then nothing is logged. */
export function configureLogging(options: LoggingOptions): void {
  const write = options.write ?? ((line: string) => standardError.write(line));
  const known = (text: string) => redactSecrets(text, options.secrets());
  const isJson = options.format === "json";
  standardError.describeDropped = (count) => {
    const message = `${count} log lines were dropped: the log's reader is too slow`;
    return isJson ? statement({ format: "json", level: "warning", message }) : `(${message})`;
  };
  const format = redactByPattern(
    (record: LogRecord) => isJson ? jsonLine(record, known) : textLine(record, known),
    CREDENTIAL_PATTERNS,
  );
  const sink: Sink = (record) => {
    try {
      write(`${escapeControls(format(record), isJson)}\n`);
    } catch {
      // A line that cannot be redacted must not be shown, and logging must not fail its caller.
    }
  };
  accessLog = options.level === "info" || options.level === "debug" ? makeAccessLog(options, write) : null;
  configureSync({
    reset: true,
    sinks: { main: redactByField(sink, { fieldPatterns: CREDENTIAL_FIELDS, action: () => "…" }) },
    loggers: [
      { category: ROOT, lowestLevel: options.level, sinks: ["main"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["main"] },
    ],
  });
}

/** Resolves when everything logged and announced has been written; for the end of the process. */
export async function flushLogging(): Promise<void> {
  await Promise.all([standardError.flush(), standardOutput.flush()]);
}

/**
 * Says something on standard output that is not part of the log: where the server listens, and the token of a new
 * database, which is therefore not masked. Never throws.
 */
export function announce(message: string, format: LoggingOptions["format"]): void {
  standardOutput.writeNow(`${statement({ format, level: "info", message })}\n`);
}

/** The logger of one part of the program, for example `getLog("registry")`. */
export function getLog(category: string): Logger {
  return getLogger([ROOT, category]);
}

/** One line about a settled request, at `info`; never its body. */
export function logRequest(record: LoggedRequest, upstreamName: string | null): void {
  accessLog?.log(record, upstreamName);
}

function makeAccessLog(options: LoggingOptions, write: (line: string) => void): AccessLog {
  const redact = redactor(options.secrets);
  return new AccessLog({
    format: options.format,
    secrets: options.secrets,
    redact: (value) => redactedStart(value, MAX_MESSAGE_LENGTH, redact),
    show: (value) => escapeControls(redact(shown(value, redact)), options.format === "json"),
    escapeJson: (line) => escapeControls(line, true),
    write,
  });
}

function textLine(record: LogRecord, redact: (text: string) => string): string {
  const time = new Date(record.timestamp).toISOString();
  const level = record.level.toUpperCase().padEnd(7);
  return `${time} ${level} ${categoryOf(record)}: ${messageOf(record, redact)}`;
}

function jsonLine(record: LogRecord, redact: (text: string) => string): string {
  const own = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    logger: categoryOf(record),
    message: messageOf(record, redact),
  };
  return json({ ...own, ...record.properties, ...own }, redact) ?? JSON.stringify(own);
}

/** JSON with every string masked before it is escaped; null for values that JSON cannot hold, such as cycles. */
function json(value: unknown, redact: (text: string) => string): string | null {
  try {
    return JSON.stringify(value, (_key, each: unknown) => jsonValue(each, redact)) ?? null;
  } catch {
    return null;
  }
}

/** The category without the program's name. */
function categoryOf(record: LogRecord): string {
  const category = record.category[0] === ROOT ? record.category.slice(1) : record.category;
  return category.join(".");
}

function messageOf(record: LogRecord, redact: (text: string) => string): string {
  let message = "";
  record.message.forEach((part, index) => {
    message += index % 2 === 0 ? String(part) : shown(part, redact);
  });
  return redactedStart(message, MAX_MESSAGE_LENGTH, redact);
}

/** A value inside a message. One with blanks or quotes is quoted, so that it cannot be mistaken for several. */
function shown(value: unknown, redact: (text: string) => string): string {
  if (value === null || value === undefined) return "-";
  if (value instanceof Error) return errorChain(value);
  if (typeof value !== "string") return json(value, redact) ?? Object.prototype.toString.call(value);
  // The whole message is redacted later; a value that is cut or quoted here must be redacted first.
  if (value.length <= MAX_VALUE_LENGTH && /^[^\s"]+$/.test(value)) return value;
  return JSON.stringify(redactedStart(value, MAX_VALUE_LENGTH, redact));
}

function errorChain(error: Error): string {
  let text = error.message;
  let cause = error.cause;
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    text += `: ${cause.message}`;
    cause = cause.cause;
  }
  return text;
}

function jsonValue(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === "string") return redactedStart(value, MAX_MESSAGE_LENGTH, redact);
  if (typeof value === "bigint") return String(value);
  if (value instanceof Error) return redactedStart(value.stack ?? value.message, MAX_MESSAGE_LENGTH, redact);
  return value;
}
