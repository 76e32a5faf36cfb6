/**
 * The Go program's way of writing times: `2023-11-08 12:34:56.789012+08:00`.
 *
 * Owns the text form of every time in the database. Ours is always UTC with six digits, so that our rows
 * sort as text.
 */

const GO_TIME = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?\s*(Z|[+-]\d{2}:?\d{2})?$/;

/** The last second that was written, since the epoch; kept with its text, because times come close together. */
let lastSecond = Number.NaN;
let lastSecondText = "";

/** @param ms milliseconds since the Unix epoch */
export function toGoTime(ms: number): string {
  const second = Math.floor(ms / 1000);
  if (second !== lastSecond) {
    lastSecondText = new Date(ms).toISOString().slice(0, 19).replace("T", " ");
    lastSecond = second;
  }
  const millis = Math.floor(ms) - second * 1000;
  return `${lastSecondText}.${String(millis).padStart(3, "0")}000+00:00`;
}

/** Milliseconds since the Unix epoch; null for anything but a time. No offset means UTC. */
export function fromGoTime(text: string): number | null {
  const match = GO_TIME.exec(text.trim());
  if (match === null) return null;
  const [, date, time, fraction = "", offset = "Z"] = match;
  const millis = fraction.slice(0, 3).padEnd(3, "0");
  const zone = /^[+-]\d{4}$/.test(offset) ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset;
  const ms = Date.parse(`${date}T${time}.${millis}${zone}`);
  return Number.isNaN(ms) ? null : ms;
}
