/**
 * A recorded request as a curl command. Pure; the token is a placeholder.
 */
import { isDescription } from "../control/replay_request.ts";
import type { StoredRecord } from "../store/store.ts";

/** Longer bodies are read from a file: shells limit the length of an argument. */
const LONGEST_INLINE = 16_000;

const AUTHORIZATION = `-H "Authorization: Bearer $OPENAI_API_KEY"`;

export interface CurlCommand {
  readonly text: string;
  /** The body is read from `request.json`. */
  readonly isFromFile: boolean;
}

/** `origin` is the router's. Null when only a description of the request was kept. */
export function curlCommand(record: StoredRecord, origin: string): CurlCommand | null {
  const { body } = record;
  const method = record.method ?? "POST";
  const path = record.path ?? "/v1/chat/completions";
  const isPlain = /^[A-Z]+$/.test(method) && /^\/v1[\w\-./~%:@]*$/.test(path);
  if (!isPlain || isDescription(record)) return null;
  const lines = [
    `curl${method === "POST" || method === "GET" ? "" : ` -X ${method}`} ${quoted(origin + path)}`,
    AUTHORIZATION,
  ];
  if (body === null || body === "") return { text: lines.join(" \\\n  "), isFromFile: false };
  const isFromFile = body.length > LONGEST_INLINE;
  lines.push(
    `-H "Content-Type: application/json"`,
    isFromFile ? "--data-binary @request.json" : `--data-raw ${quoted(visible(body))}`,
  );
  return { text: lines.join(" \\\n  "), isFromFile };
}

/** An example request for a new installation. */
export function firstRequest(origin: string): string {
  const body = `{"model":"gpt-4o-mini","messages":[{"role":"user","content":"Say hello"}]}`;
  return [
    `curl ${origin}/v1/chat/completions`,
    AUTHORIZATION,
    `-H "Content-Type: application/json"`,
    `--data-raw '${body}'`,
  ].join(" \\\n  ");
}

/** Quoted for a POSIX shell: within single quotes, only the single quote is special. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Writes characters that could hide or reorder text on a screen as JSON escapes. */
function visible(json: string): string {
  return json.replace(
    /(?![\n\t\r])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) =>
      [...Array(character.length).keys()]
        .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
        .join(""),
  );
}
