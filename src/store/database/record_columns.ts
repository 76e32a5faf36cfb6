/**
 * The columns of `records` that this program writes and reads, all but `id`.
 *
 * Owns their names and what kind of value they hold; the table itself is made by migrations.ts. A column that is added
 * here does not compile until it has a value to write (write/record_statements.ts).
 */

/** By name, in the order of the statement that writes a record. Text is read as {@link asBlobs} has it. */
export const RECORD_COLUMNS = {
  request_id: "text",
  created_at: "text",
  ip: "text",
  body: "text",
  model: "text",
  response: "text",
  elapsed_time: "number",
  status: "number",
  upstream_id: "number",
  authorization: "text",
  method: "text",
  path: "text",
  is_stream: "number",
  outcome: "text",
  attempts: "number",
  first_byte_ms: "number",
  first_token_ms: "number",
  input_tokens: "number",
  output_tokens: "number",
  cached_tokens: "number",
  reasoning_tokens: "number",
  finish_reason: "text",
  reasoning: "text",
  tool_calls: "text",
  response_model: "text",
  request_bytes: "number",
  response_bytes: "number",
  user_agent: "text",
  client: "text",
  error: "text",
  is_truncated: "number",
  instance: "text",
  affinity: "text",
  queued_ms: "number",
  usage_details: "text",
  tokens_are_estimated: "number",
  cost_nano: "number",
} as const satisfies Record<string, "text" | "number">;

export type RecordColumn = keyof typeof RECORD_COLUMNS;
