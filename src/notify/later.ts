/**
 * Whether a channel's refusal means "later", and when. Pure.
 *
 * Owns what the services say when they get too many messages.
 */

/** A refusal as it came. */
export interface Refusal {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** The beginning of the body. */
  readonly body: string;
  /** Now, in milliseconds since the Unix epoch. */
  readonly nowMs: number;
}

/** Codes in the body that mean "too many messages". */
const CODES: ReadonlySet<number> = new Set([
  // Feishu: https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot and .../server-docs/api-call-guide/generic-error-code
  11232,
  11233,
  230020,
  99991400,
  // DingTalk: https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages
  130101,
  410100,
  // DingTalk: the system is busy.
  -1,
]);

/** Feishu's for too many requests, and for requests that are malformed: its text tells which. */
const AMBIGUOUS_CODE = 9499;
const MALFORMED = /bad request|param|invalid|format/i;
const WORDS =
  /too many request|too frequent|frequency limit|rate.?limit|too fast|http error 429|try again later|限流|频率|频繁/i;

/** Whether the message was refused only because there are too many. */
export function isLater({ status, body }: Pick<Refusal, "status" | "body">): boolean {
  if (status === 429) return true;
  const value = parsed(body);
  const codes = [value["code"], value["errcode"], value["StatusCode"]];
  if (WORDS.test(body) || codes.some((code) => typeof code === "number" && CODES.has(code))) return true;
  return codes.includes(AMBIGUOUS_CODE) && !MALFORMED.test(body);
}

/**
 * How long the channel asks to wait, in milliseconds; null: it does not say.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 ,
 * https://spec.matrix.org/latest/client-server-api/#rate-limiting ,
 * https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit ,
 * https://open.feishu.cn/document/server-docs/api-call-guide/frequency-control
 */
export function namedWaitMs({ headers, body, nowMs }: Refusal): number | null {
  const value = parsed(body);
  const ms = numberOf(value["retry_after_ms"]);
  if (ms !== null) return ms;
  const seconds = numberOf(value["retry_after"]) ?? secondsOf(headers.get("retry-after")) ??
    secondsOf(headers.get("x-ogw-ratelimit-reset")) ?? secondsOf(headers.get("x-ratelimit-reset-after"));
  if (seconds !== null) return seconds * 1000;
  const date = headers.get("retry-after") ?? "";
  // Of a number, too, the parser makes a date.
  const at = date.endsWith(" GMT") ? Date.parse(date) : NaN;
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}

function secondsOf(text: string | null): number | null {
  const trimmed = text?.trim() ?? "";
  return /^\d{1,9}(?:\.\d{1,9})?$/.test(trimmed) ? Number(trimmed) : null;
}

function numberOf(value: unknown): number | null {
  if (typeof value === "string") return secondsOf(value);
  return typeof value === "number" && value >= 0 && Number.isFinite(value) ? value : null;
}

function parsed(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
