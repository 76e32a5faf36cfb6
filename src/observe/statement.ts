/**
 * Lines that are not logged, such as why a server did not start: for people, or as JSON with the fields of a log line.
 *
 * Owns what is escaped in every line. Pure.
 */

export interface Statement {
  readonly format: "text" | "json";
  readonly level: "info" | "warning" | "error" | "fatal";
  readonly message: string;
  /** For JSON only. */
  readonly stack?: string;
}

/** One line that is not logged: the message, or JSON with the fields of a log line. Without its line end. */
export function statement({ format, level, message, ...more }: Statement): string {
  if (format === "text") return message;
  const time = new Date().toISOString();
  return escapeControls(JSON.stringify({ time, level, logger: "server", message, ...more }), true);
}

/**
 * Escapes everything that a terminal acts on or that hides text: controls (C0, C1, DEL), line and paragraph
 * separators, and the marks that reorder text. JSON allows only the `\u` form.
 */
export function escapeControls(line: string, isJson: boolean): string {
  return line.replaceAll(/[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/gu, (character) => {
    if (character === "\n") return "\\n";
    if (character === "\r") return "\\r";
    if (character === "\t") return "\\t";
    const code = character.charCodeAt(0);
    if (!isJson && code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return `\\u${code.toString(16).padStart(4, "0")}`;
  });
}
