/**
 * Tool calls and errors in a form that people read: `get_weather({"city":"Paris"})`, "Rate limit reached (429)".
 *
 * Pure; takes texts that are cut, and trusts nothing in them.
 */

const MAX_PARSED_LENGTH = 64 * 1024;

/** The call as code; arguments that are no JSON stay as they are. */
export function callText(name: string, args: string): string {
  const value = args.length > MAX_PARSED_LENGTH ? undefined : parsed(args);
  return `${name}(${value === undefined ? args.trim() : JSON.stringify(value)})`;
}

/** The calls in the beginning of a JSON array of them, as it is stored; the text itself when there is none. */
export function callsText(json: string): string {
  const value = parsed(json);
  if (Array.isArray(value)) {
    return value.flatMap((call) => {
      const { name, arguments: args } = asObject(call) ?? {};
      return typeof name === "string" && typeof args === "string" ? [callText(name, args)] : [];
    }).join(" ");
  }
  const name = stringAfter(json, /"name":"/);
  const args = stringAfter(json, /"arguments":"/);
  return name === null ? json : `${name}(${args ?? ""}`;
}

/**
 * What an error document says, with its code: of the forms `{"error": {"message", "code", "type"}}`,
 * `{"error": "..."}`, `{"message": "..."}` and `{"detail": "..."}`, also within an array.
 *
 * @returns null when the text is no such document
 */
export function errorSentence(text: string): string | null {
  if (!/^\s*[[{]/.test(text)) return null;
  const value = text.length > MAX_PARSED_LENGTH ? undefined : parsed(text);
  if (value === undefined) {
    const message = stringAfter(text, /"(?:message|detail)"\s*:\s*"/);
    return message === null || message === "" ? null : message;
  }
  const document = asObject(Array.isArray(value) ? value[0] : value);
  if (document === null) return null;
  const error = asObject(document["error"]) ?? document;
  const message = [error["message"], document["error"], error["detail"], document["message"]]
    .find((each) => typeof each === "string" && each !== "");
  if (typeof message !== "string") return null;
  const code = [error["code"], error["type"], error["status"]]
    .find((each) =>
      (typeof each === "string" && each !== "" && each !== "error") || typeof each === "number"
    );
  return code === undefined || message.includes(String(code)) ? message : `${message} (${code})`;
}

const MAX_STRING_LENGTH = 4_000;

/** The JSON string that begins behind the first match, as far as it is there; null without a match. */
export function stringAfter(text: string, beginning: RegExp): string | null {
  const match = beginning.exec(text);
  return match === null ? null : stringAt(text, match.index + match[0].length);
}

/** The JSON string whose quote is before `start`; cut after some thousand characters, or where the text ends. */
export function stringAt(text: string, start: number): string {
  const raw = text.slice(start, start + MAX_STRING_LENGTH);
  let end = 0;
  while (end < raw.length && raw[end] !== '"') end += raw[end] === "\\" ? 2 : 1;
  for (let cut = Math.min(end, raw.length); cut >= 0 && cut > end - 16; cut--) {
    const value = parsed(`"${raw.slice(0, cut)}"`);
    if (typeof value === "string") return value;
  }
  return "";
}

/** undefined when it is no JSON. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? value as Readonly<Record<string, unknown>>
    : null;
}
