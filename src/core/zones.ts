/**
 * Time zones by name: what a clock there shows, and which moment it shows it.
 *
 * Owns the arithmetic over `Intl`, which knows the rules (https://www.iana.org/time-zones). Pure but for the system's zone.
 */

/** A zone of `Intl`. */
export interface Zone {
  /** Such as `Asia/Shanghai`. */
  readonly name: string;
  /** `2026-11-01 12:00:01`; `-` when unknown. */
  format(ms: number | null): string;
  /** `UTC+8`, `UTC-3:30`, at a moment. */
  offset(ms: number): string;
  /** The moment at which a clock there shows what a clock in UTC shows at `wallMs`. */
  fromWall(wallMs: number): number;
}

const MAX_DATE_MS = 8_640_000_000_000_000;
const MINUTE_MS = 60_000;
/** Making a formatter is slow. */
const MAX_KEPT = 32;
const kept = new Map<string, Zone>();

/** Null when there is no such zone. */
export function zoneOf(name: string): Zone | null {
  if (!/^[A-Za-z][\w+/-]{1,63}$/.test(name)) return null;
  const found = kept.get(name);
  if (found !== undefined) return found;
  let clock: Intl.DateTimeFormat;
  try {
    clock = new Intl.DateTimeFormat("en-US", { timeZone: name, ...FIELDS });
  } catch {
    return null;
  }
  const zone = new IntlZone(name, clock);
  const [oldest] = kept.keys();
  if (kept.size >= MAX_KEPT && oldest !== undefined) kept.delete(oldest);
  kept.set(name, zone);
  return zone;
}

/** The zone in which this process runs. */
export function systemZone(): Zone {
  return zoneOf(new Intl.DateTimeFormat().resolvedOptions().timeZone) ?? new UtcZone();
}

const FIELDS = {
  calendar: "gregory",
  numberingSystem: "latn",
  hourCycle: "h23",
  year: "numeric",
  month: "2-digit",
  day: "2-digit",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
} as const satisfies Intl.DateTimeFormatOptions;

/** By the offset alone. */
abstract class OffsetZone implements Zone {
  abstract readonly name: string;
  /** How far its clocks are ahead of UTC. */
  protected abstract offsetMs(ms: number): number;

  format(ms: number | null): string {
    if (ms === null || !(Math.abs(ms) < MAX_DATE_MS - 2 * 86_400_000)) return "-";
    return new Date(ms + this.offsetMs(ms)).toISOString().replace("T", " ").replace(/\.\d+Z$/, "");
  }

  offset(ms: number): string {
    const minutes = Math.round(this.offsetMs(ms) / MINUTE_MS);
    const size = Math.abs(minutes);
    const rest = size % 60 === 0 ? "" : `:${String(size % 60).padStart(2, "0")}`;
    return minutes === 0 ? "UTC" : `UTC${minutes < 0 ? "-" : "+"}${Math.floor(size / 60)}${rest}`;
  }

  fromWall(wallMs: number): number {
    const first = wallMs - this.offsetMs(wallMs);
    return wallMs - this.offsetMs(first);
  }
}

class IntlZone extends OffsetZone {
  constructor(readonly name: string, readonly clock: Intl.DateTimeFormat) {
    super();
  }

  protected offsetMs(ms: number): number {
    if (!(Math.abs(ms) < MAX_DATE_MS)) return 0;
    const fields: Record<string, number> = {};
    for (const { type, value } of this.clock.formatToParts(ms)) fields[type] = Number(value);
    const { year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = fields;
    const wall = Date.UTC(year, month - 1, day, hour, minute, second);
    return wall - Math.floor(ms / 1000) * 1000;
  }
}

class UtcZone extends OffsetZone {
  readonly name = "UTC";

  protected offsetMs(): number {
    return 0;
  }
}
