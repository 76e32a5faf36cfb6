/**
 * How a client is told of a failure: what the proxy needs of the web layer, which gives errors their form.
 */
import type { RouterError } from "../core/errors.ts";
import type { HeaderFields } from "../core/header_fields.ts";

export interface ErrorForms {
  /** An error as an answer of its own. @param headers what every answer has; may be changed */
  answer(
    error: RouterError,
    headers: HeaderFields,
  ): { readonly headers: HeaderFields; readonly body: Uint8Array };
  /** An error as the last event of a stream that has begun. */
  event(error: RouterError): Uint8Array;
}
