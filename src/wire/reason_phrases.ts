/**
 * Reason phrases by status code.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-15
 */
import { STATUS_CODES } from "node:http";

/** Empty for an unknown code. */
export function reasonPhrase(status: number): string {
  return STATUS_CODES[status] ?? "";
}
