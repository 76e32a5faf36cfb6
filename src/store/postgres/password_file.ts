/**
 * The password file of libpq, `~/.pgpass`: https://www.postgresql.org/docs/current/libpq-pgpass.html
 *
 * Owns its form. Each line is `hostname:port:database:username:password`; `*` stands for anything, `\` escapes.
 */
import type { PgEnvironment } from "./environment.ts";

const MAX_LENGTH = 1024 * 1024;

export interface PasswordQuestion {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
}

/**
 * The password of the first line that fits; null when there is none. As with libpq, a file that others may read is not
 * used, and a socket in the default folder counts as `localhost`.
 */
export function passwordOf(
  question: PasswordQuestion,
  path: string | null,
  env: Pick<PgEnvironment, "readText" | "isPrivate">,
): string | null {
  if (path === null) return null;
  const text = readable(path, env);
  if (text === null || text.length > MAX_LENGTH) return null;
  const names = [question.host, ...(DEFAULT_FOLDERS.includes(question.host) ? ["localhost"] : [])];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith("#")) continue;
    const [host, port, database, user, password] = fieldsOf(line);
    if (
      host !== undefined && password !== undefined && names.some((name) => fits(host, name)) &&
      fits(port, String(question.port)) && fits(database, question.database) && fits(user, question.user)
    ) return password.text;
  }
  return null;
}

const DEFAULT_FOLDERS = ["/tmp", "/run/postgresql", "/var/run/postgresql"];

function readable(path: string, env: Pick<PgEnvironment, "readText" | "isPrivate">): string | null {
  try {
    const text = env.readText(path);
    return text !== null && env.isPrivate(path) ? text : null;
  } catch {
    return null;
  }
}

interface Field {
  readonly text: string;
  /** Not escaped: `*`. */
  readonly isAny: boolean;
}

function fits(field: Field | undefined, value: string): boolean {
  return field !== undefined && (field.isAny || field.text === value);
}

/** At most five; the password may hold colons without a backslash. */
function fieldsOf(line: string): Field[] {
  const fields: Field[] = [];
  let text = "";
  let start = 0;
  for (let at = 0; at <= line.length; at++) {
    const char = line[at];
    if (char === undefined || (char === ":" && fields.length < 4)) {
      fields.push({ text, isAny: line.slice(start, at) === "*" });
      text = "";
      start = at + 1;
    } else if (char === "\\" && at + 1 < line.length) {
      text += line[++at];
    } else {
      text += char;
    }
  }
  return fields;
}
