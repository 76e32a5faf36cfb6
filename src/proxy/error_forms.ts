/**
 * How errors are written to a client. The web layer implements it, because only that turns failures into responses.
 */
import type { RouterError } from "../core/errors.ts";
import type { HeaderFields } from "../core/header_fields.ts";
import type { EndpointKind } from "../core/types.ts";

/** What failed, as far as the form of its error depends on it. */
export interface FailedCall {
  readonly kind: EndpointKind;
  readonly path: string;
  readonly model: string | null;
  readonly requestId: string;
  /** Wall clock. */
  readonly startedAtMs: number;
}

export interface ErrorForms {
  /** The body of {@link answer} as text. */
  document(error: RouterError, call: FailedCall): string;
  /** An error as a complete answer. @param headers those of every answer; changed in place */
  answer(
    error: RouterError,
    headers: HeaderFields,
    call: FailedCall,
  ): { readonly headers: HeaderFields; readonly body: Uint8Array };
  /** An error as an event of a stream that has begun. */
  event(error: RouterError, call: FailedCall): Uint8Array<ArrayBuffer>;
}
