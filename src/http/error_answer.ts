/**
 * Errors as answers: a response, or an event of a stream that has begun.
 */
import type { RouterError } from "../core/errors.ts";
import type { FixedHeaders } from "../core/fixed_headers.ts";
import { HeaderFields } from "../core/header_fields.ts";
import type { ErrorForms } from "../proxy/error_forms.ts";

const encoder = new TextEncoder();

/** For the proxy: failures of requests that it has admitted. */
export const errorForms: ErrorForms = {
  answer: (error, headers) => {
    headers.set("content-type", "application/json");
    return { headers, body: encoder.encode(JSON.stringify(error.toEnvelope())) };
  },
  event: (error) => encoder.encode(`data: ${JSON.stringify(error.toEnvelope())}\n\n`),
};

/** `Retry-After` of a 429. */
const RETRY_AFTER_SECONDS = "1";

export function answerError(error: RouterError, fixed: FixedHeaders): Response {
  const { headers, body } = refusal(error, fixed);
  return new Response(Uint8Array.from(body), { status: error.status, headers: [...headers] });
}

/**
 * Headers and body of the answer to a refused request.
 * @param fixed fields of every answer to it, such as who may read it
 */
export function refusal(error: RouterError, fixed: FixedHeaders): ReturnType<ErrorForms["answer"]> {
  const headers = new HeaderFields(fields(fixed));
  if (error.status === 429) headers.set("retry-after", RETRY_AFTER_SECONDS);
  return errorForms.answer(error, headers);
}

export function fields(fixed: FixedHeaders): [name: string, value: string][] {
  return fixed.map(([name, value]) => [name, value]);
}
