/**
 * The words behind a status code, which no program reads and people like to see.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-15
 */
import { STATUS_CODES } from "node:http";

/** Empty for a code that has none. */
export function reasonPhrase(status: number): string {
  return STATUS_CODES[status] ?? "";
}
