/**
 * The access log: one line for each request, at the price of joining a few strings.
 *
 * Owns the form of these lines. Method, path, model and the like come again and again, so what each looks like once it is
 * redacted and harmless is remembered; going through the logger and its patterns each time cost more than everything
 * else that happens to a request besides relaying it. Their fields are known to be no credentials.
 */
import type { RequestRecord } from "../core/types.ts";

export interface AccessLogOptions {
  readonly format: "text" | "json";
  /** Known secrets. What was remembered counts as long as this gives the same object. */
  readonly secrets: () => Iterable<string>;
  /** A value as it may be shown, secrets masked. */
  readonly redact: (value: string) => string;
  /** As it appears within a line for people: redacted, quoted where it holds blanks, nothing in it drives a terminal. */
  readonly show: (value: string) => string;
  /** Makes harmless what a terminal acts on; JSON stays JSON. */
  readonly escapeJson: (line: string) => string;
  /** Takes one whole line with its line end. */
  readonly write: (line: string) => void;
}

/** Values that are remembered; clients choose models and paths, so it must be bounded. */
const MAX_REMEMBERED = 1000;
/** Longer ones, which nobody sends twice but to fill the memory, are made anew each time. */
const MAX_REMEMBERED_LENGTH = 256;

interface Remembered {
  readonly shown: string;
  readonly redacted: string;
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
  log(record: RequestRecord, upstreamName: string | null): void {
    const secrets = this.#options.secrets();
    if (secrets !== this.#secrets) {
      this.#remembered.clear();
      this.#secrets = secrets;
    }
    const time = this.#now();
    const attempts = record.attempts.length;
    const ms = Math.round(record.elapsedMs);
    const message =
      `${this.#shown(record.method)} ${this.#shown(record.path)} ${this.#shown(record.model)} ` +
      `${record.status} ${this.#shown(upstreamName)} attempts=${attempts} ${ms}ms ${record.outcome} ` +
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
