/**
 * How errors are written to a client. The web layer implements it, because only that turns failures into responses.
 */
import type { RouterError } from "../core/errors.ts";
import type { HeaderFields } from "../core/header_fields.ts";

export interface ErrorForms {
  /** An error as a complete answer. @param headers those of every answer; changed in place */
  answer(
    error: RouterError,
    headers: HeaderFields,
  ): { readonly headers: HeaderFields; readonly body: Uint8Array };
  /** An error as an event of a stream that has begun. */
  event(error: RouterError): Uint8Array;
}
