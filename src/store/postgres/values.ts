/**
 * How columns are read: one function for each type that does not come as text. Pure.
 */
import { PgError } from "./errors.ts";

/** https://github.com/postgres/postgres/blob/master/src/include/catalog/pg_type.dat */
const OID = { bool: 16, int8: 20, int2: 21, int4: 23, float4: 700, float8: 701, timestamptz: 1184 } as const;

type Parser = (text: string) => unknown;

const PARSERS: ReadonlyMap<number, Parser> = new Map<number, Parser>([
  [OID.bool, (text) => text === "t"],
  [OID.int2, Number],
  [OID.int4, Number],
  [OID.int8, safeInteger],
  [OID.float4, Number],
  [OID.float8, Number],
  [OID.timestamptz, timeMs],
]);

const asText: Parser = (text) => text;

/** In the form that `pg` asks for. */
export const TYPES = { getTypeParser: (oid: number): Parser => PARSERS.get(oid) ?? asText };

function safeInteger(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  throw unreadable(`the number ${text.slice(0, 24)} is beyond 2^53`);
}

/** As a session with `datestyle` ISO and `timezone` UTC writes it. */
const TIME = /^(\d{4,6})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?\+00$/;

function timeMs(text: string): number {
  const match = TIME.exec(text);
  if (match === null) throw unreadable("a time is infinite or before the year 1");
  const [, year, month, day, hours, minutes, seconds, fraction = ""] = match;
  const at = new Date(0);
  // Date.UTC() takes the years 0 to 99 for those after 1900.
  at.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  at.setUTCHours(
    Number(hours),
    Number(minutes),
    Number(seconds),
    Number(fraction.slice(0, 3).padEnd(3, "0")),
  );
  return at.getTime();
}

function unreadable(problem: string): PgError {
  return new PgError(`Cannot read a column: ${problem}`, {
    kind: "poison",
    code: null,
    isConnectionLost: false,
  });
}
