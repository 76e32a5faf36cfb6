/**
 * The sessions of the admin page that somebody ended before their time, as `config_kvs` keeps them under
 * `admin_ended_sessions`: a JSON object from id to the second of their end. A signed session is valid by itself, so what
 * ended it must outlast a restart, and be known to every server on the database.
 */
import type { ConfigStore } from "../store.ts";

const ENDED_KEY = "admin_ended_sessions";
/** Beyond this, the ones that would end soonest are forgotten. */
const MAX_ENDED = 1024;

export interface EndedSession {
  readonly id: string;
  /** When it would have ended anyway, in seconds since the Unix epoch. */
  readonly endsSeconds: number;
}

/** What is not of this form counts as nothing. */
export function endedSessions(config: Pick<ConfigStore, "getConfig">): ReadonlyMap<string, number> {
  try {
    const value: unknown = JSON.parse(config.getConfig(ENDED_KEY) ?? "{}");
    if (typeof value !== "object" || value === null) return new Map();
    return new Map(
      Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === "number"),
    );
  } catch (error) {
    if (error instanceof SyntaxError) return new Map();
    throw error;
  }
}

/** Call it in a transaction. @param nowSeconds since the Unix epoch: what has ended by then is forgotten */
export function addEndedSession(
  config: Pick<ConfigStore, "getConfig" | "setConfig">,
  { id, endsSeconds }: EndedSession,
  nowSeconds: number,
): void {
  const lasting = new Map(endedSessions(config)).set(id, endsSeconds).entries()
    .filter(([, ends]) => ends > nowSeconds).toArray()
    .sort(([, a], [, b]) => b - a).slice(0, MAX_ENDED);
  config.setConfig(ENDED_KEY, JSON.stringify(Object.fromEntries(lasting)));
}
