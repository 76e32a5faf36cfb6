/**
 * Errors as answers: a response, or an event of a stream that has begun, in the form of the API that was called.
 */
import { toAnthropicEnvelope } from "../core/anthropic_error.ts";
import { isMessagesPath } from "../core/api_path.ts";
import type { RouterError } from "../core/errors.ts";
import type { FixedHeaders } from "../core/fixed_headers.ts";
import { HeaderFields } from "../core/header_fields.ts";
import type { ErrorForms, FailedCall } from "../proxy/error_forms.ts";

const encoder = new TextEncoder();

const document: ErrorForms["document"] = (error, { path, requestId }) =>
  JSON.stringify(envelope(error, { path, requestId }));

/** For the proxy: failures of requests that it has admitted. */
export const errorForms: ErrorForms = {
  document,
  answer: (error, headers, call) => {
    headers.set("content-type", "application/json");
    if (error.retryAfterSeconds !== null) {
      headers.set("retry-after", String(error.retryAfterSeconds));
      // The SDKs of OpenAI and Anthropic obey it before they look at the status.
      headers.set("x-should-retry", "true");
    }
    return { headers, body: encoder.encode(document(error, call)) };
  },
  event: (error, call) => encoder.encode(eventText(error, call)),
};

function envelope(
  error: RouterError,
  { path, requestId }: { readonly path: string | null; readonly requestId: string | null },
): unknown {
  const isMessages = path !== null && isMessagesPath(path);
  return isMessages ? toAnthropicEnvelope(error, requestId) : error.toEnvelope();
}

function eventText(error: RouterError, call: FailedCall): string {
  switch (call.kind) {
    case "messages":
      return `event: error\ndata: ${JSON.stringify(toAnthropicEnvelope(error, call.requestId))}\n\n`;
    case "responses":
      return `event: response.failed\ndata: ${JSON.stringify(failedResponse(error, call))}\n\n`;
    default:
      return `data: ${JSON.stringify(error.toEnvelope())}\n\n`;
  }
}

/** https://platform.openai.com/docs/api-reference/responses-streaming/response/failed */
function failedResponse(error: RouterError, { requestId, model, startedAtMs }: FailedCall): unknown {
  const { code, type, message } = error.toEnvelope().error;
  return {
    type: "response.failed",
    sequence_number: 0,
    response: {
      id: `resp_${requestId}`,
      object: "response",
      created_at: Math.floor(startedAtMs / 1000),
      status: "failed",
      error: { code: code ?? type, message },
      incomplete_details: null,
      instructions: null,
      metadata: {},
      model: model ?? "",
      output: [],
      parallel_tool_calls: true,
      temperature: null,
      tool_choice: "auto",
      tools: [],
      top_p: null,
      usage: null,
    },
  };
}

/** `Retry-After` of a 429. */
const RETRY_AFTER_SECONDS = "1";

/** @param path of the refused request, as it was sent */
export function answerError(error: RouterError, fixed: FixedHeaders, path: string): Response {
  const { headers, body } = refusal(error, fixed, path);
  return new Response(Uint8Array.from(body), { status: error.status, headers: [...headers] });
}

/**
 * Headers and body of the answer to a refused request.
 * @param fixed fields of every answer to it, such as who may read it
 * @param path of the request; null: it could not be read
 */
export function refusal(
  error: RouterError,
  fixed: FixedHeaders,
  path: string | null,
): { readonly headers: HeaderFields; readonly body: Uint8Array } {
  const headers = new HeaderFields(fields(fixed));
  if (error.status === 429 && error.limit === null) headers.set("retry-after", RETRY_AFTER_SECONDS);
  for (const [name, value] of error.limit?.headers ?? []) headers.set(name, value);
  headers.set("content-type", "application/json");
  return { headers, body: encoder.encode(JSON.stringify(envelope(error, { path, requestId: null }))) };
}

export function fields(fixed: FixedHeaders): [name: string, value: string][] {
  return fixed.map(([name, value]) => [name, value]);
}
