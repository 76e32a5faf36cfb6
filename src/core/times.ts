/**
 * Moments as people type them (`24h`, `2026-11-01`, ISO 8601), and as tables show them.
 *
 * Pure except for the system's time zone: a moment without a zone is local time, unless another zone is given.
 */
import type { Zone } from "./zones.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/;
const TIME =
  /^(?<date>\d{4}-\d{2}-\d{2})[T ](?<time>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?)(?<zone>Z|[+-]\d{2}:?\d{2})?$/i;

export interface MomentOptions {
  /** Durations count back from here; milliseconds since the Unix epoch. */
  readonly nowMs: number;
  /** A date alone means the last millisecond of its day; otherwise the first. */
  readonly isEnd: boolean;
  /** Whose clock a moment without a zone is read from; default the system's. */
  readonly zone?: Pick<Zone, "fromWall">;
}

/** Milliseconds since the Unix epoch; undefined for anything but a duration, a date or a time. */
export function parseMoment(
  text: string,
  { nowMs, isEnd, zone = LOCAL }: MomentOptions,
): number | undefined {
  const trimmed = text.trim();
  const duration = /^(\d{1,9}(?:\.\d{1,3})?)([smhdw])$/.exec(trimmed);
  if (duration !== null) return nowMs - Number(duration[1]) * (UNIT_MS[duration[2] ?? ""] ?? 0);
  const day = parseDay(trimmed);
  if (day !== undefined) {
    const [year, month, date] = day;
    return isEnd
      ? zone.fromWall(Date.UTC(year, month, date + 1)) - 1
      : zone.fromWall(Date.UTC(year, month, date));
  }
  const { date = "", time = "", zone: offset = "" } = TIME.exec(trimmed)?.groups ?? {};
  if (parseDay(date) === undefined) return undefined;
  const ms = Date.parse(
    `${date}T${time}${offset === "" ? "Z" : offset.toUpperCase().replace(/^([+-]\d\d)(\d\d)$/, "$1:$2")}`,
  );
  if (Number.isNaN(ms)) return undefined;
  return offset === "" ? zone.fromWall(ms) : ms;
}

/** As the runtime knows it, which follows `TZ` while the program runs. */
const LOCAL: Pick<Zone, "fromWall"> = {
  fromWall: (wallMs) => {
    const wall = new Date(wallMs);
    const day = [wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate()] as const;
    const clock = [wall.getUTCHours(), wall.getUTCMinutes(), wall.getUTCSeconds()] as const;
    return new Date(...day, ...clock, wall.getUTCMilliseconds()).getTime();
  },
};

/** Year, month from 0, day; undefined when the calendar has no such day. */
function parseDay(text: string): [number, number, number] | undefined {
  const [, year, month, day] = DATE.exec(text) ?? [];
  if (year === undefined || month === undefined || day === undefined) return undefined;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const exists = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  return exists ? [Number(year), Number(month) - 1, Number(day)] : undefined;
}

/** `2026-11-01 12:00:01` in local time; `-` when unknown. */
export function formatTime(ms: number | null): string {
  if (ms === null) return "-";
  const at = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${date} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/** `85 ms`, `1.23 s`, `2 min 5 s`; `-` when unknown. */
export function formatDuration(ms: number | null): string {
  if (ms === null) return "-";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_995) return `${(ms / 1000).toFixed(2)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
