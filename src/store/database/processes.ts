/**
 * Which processes of this machine are alive, from /proc (proc(5)).
 *
 * Owns how a process is identified: by its pid, its start, and the boot and pid namespace in which the pid is valid. The
 * database thread may not read /proc (src/server/database_worker.ts); the main thread looks for it.
 */

/** Tells a process from every other, also from earlier and later ones with its pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The boot and pid namespace in which the pid is valid; null where there is no /proc. */
  readonly place: string | null;
  /** Clock ticks since boot; null where there is no /proc. */
  readonly startedAt: string | null;
}

/** When processes started. */
export interface Processes {
  /** Null: there is no such process. Undefined: not known. */
  startOf(pid: number): string | null | undefined;
}

/** Of this machine, looked up now. */
export const systemProcesses: Processes = { startOf: processStart };

/** This process. */
export function thisProcess(): ProcessIdentity {
  return { pid: Deno.pid, place: placeOfThisProcess(), startedAt: processStart(Deno.pid) };
}

/** Processes that another thread looks up. */
export class ReportedProcesses implements Processes {
  #starts: ReadonlyMap<number, string | null> = new Map();

  startOf(pid: number): string | null | undefined {
    return this.#starts.get(pid);
  }

  /** Replaces what was set before. */
  set(starts: ReadonlyMap<number, string | null>): void {
    this.#starts = starts;
  }
}

function placeOfThisProcess(): string | null {
  try {
    const boot = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();
    return `${boot} ${Deno.readLinkSync("/proc/self/ns/pid")}`;
  } catch {
    return null;
  }
}

/** Start of a process in clock ticks since boot (stat field 22); null when there is no such process. */
function processStart(pid: number): string | null {
  try {
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fieldsAfterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state] = fieldsAfterName;
    return state === "Z" || state === "X" ? null : fieldsAfterName[19] ?? null;
  } catch {
    return null;
  }
}
