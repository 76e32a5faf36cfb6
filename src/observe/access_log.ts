/**
 * The access log: one line per request, at the cost of joining a few strings.
 *
 * Owns the form of these lines. Method, path, model and the like repeat, so their redacted and escaped forms are
 * cached; passing each line through the logger and its patterns cost more than everything else done for a request
 * besides relaying it. None of the fields is a credential by its name.
 */
import type { Attempt, RequestRecord } from "../core/types.ts";

export interface AccessLogOptions {
  readonly format: "text" | "json";
  /** Known secrets. The cache is valid as long as this returns the same object. */
  readonly secrets: () => Iterable<string>;
  /** Masks secrets in a value. */
  readonly redact: (value: string) => string;
  /** The value within a line for people: redacted, quoted if it holds blanks, harmless to a terminal. */
  readonly show: (value: string) => string;
  /** Escapes what a terminal acts on; JSON stays JSON. */
  readonly escapeJson: (line: string) => string;
  /** Takes one whole line with its line end. */
  readonly write: (line: string) => void;
}

/** Bounds the cache, since clients choose models and paths. */
const MAX_REMEMBERED = 1000; // docs/tuning.md#observe
/** Longer values, which would repeat only in an attack on the memory, are not cached. */
const MAX_REMEMBERED_LENGTH = 256; // docs/tuning.md#observe

interface Remembered {
  readonly shown: string;
  readonly redacted: string;
}

/** What a line says of a request. */
export interface LoggedRequest
  extends
    Pick<RequestRecord, "method" | "path" | "model" | "status" | "elapsedMs" | "outcome" | "requestId"> {
  readonly upstreamId: number | null;
  readonly attempts: readonly Pick<Attempt, "keyN">[];
}

export class AccessLog {
  readonly #options: AccessLogOptions;
  readonly #remembered = new Map<string, Remembered>();
  #secrets: Iterable<string> | null = null;
  #time = { ms: NaN, text: "" };

  constructor(options: AccessLogOptions) {
    this.#options = options;
  }

  /** One line about a settled request; never its body. */
  log(record: LoggedRequest, upstreamName: string | null): void {
    const secrets = this.#options.secrets();
    if (secrets !== this.#secrets) {
      this.#remembered.clear();
      this.#secrets = secrets;
    }
    const time = this.#now();
    const attempts = record.attempts.length;
    const keyN = record.upstreamId === null ? null : record.attempts.at(-1)?.keyN ?? null;
    const ms = Math.round(record.elapsedMs);
    const message =
      `${this.#shown(record.method)} ${this.#shown(record.path)} ${this.#shown(record.model)} ` +
      `${record.status} ${this.#shown(upstreamName)}${
        keyN === null ? "" : ` key=${keyN}`
      } attempts=${attempts} ${ms}ms ${record.outcome} ` +
      record.requestId;
    if (this.#options.format === "text") return this.#options.write(`${time} INFO    request: ${message}\n`);
    const line = JSON.stringify({
      time,
      level: "info",
      logger: "request",
      message,
      method: this.#redacted(record.method),
      path: this.#redacted(record.path),
      model: this.#redacted(record.model),
      status: record.status,
      upstream: this.#redacted(upstreamName),
      ...(keyN === null ? {} : { key: keyN }),
      attempts,
      ms,
      outcome: record.outcome,
      request_id: record.requestId,
    });
    this.#options.write(`${this.#options.escapeJson(line)}\n`);
  }

  /** Under load, several requests end in the same millisecond. */
  #now(): string {
    const ms = Date.now();
    if (ms !== this.#time.ms) this.#time = { ms, text: new Date(ms).toISOString() };
    return this.#time.text;
  }

  #shown(value: string | null): string {
    return value === null ? "-" : this.#remember(value).shown;
  }

  #redacted(value: string | null): string | null {
    return value === null ? null : this.#remember(value).redacted;
  }

  #remember(value: string): Remembered {
    let remembered = this.#remembered.get(value);
    if (remembered === undefined) {
      remembered = { shown: this.#options.show(value), redacted: this.#options.redact(value) };
      if (value.length > MAX_REMEMBERED_LENGTH) return remembered;
      if (this.#remembered.size >= MAX_REMEMBERED) this.#remembered.clear();
      this.#remembered.set(value, remembered);
    }
    return remembered;
  }
}
