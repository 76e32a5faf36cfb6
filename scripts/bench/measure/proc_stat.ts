/**
 * What the kernel says about a process: its CPU time, its memory, and the processes that it started. Linux only.
 */

/** proc_pid_stat(5) counts in clock ticks, of which there are 100 a second on every Linux that Deno runs on. */
const MS_PER_TICK = 10;

/** CPU time in ms, user and system together, from the text of /proc/PID/stat. */
export function cpuMsOf(stat: string): number {
  // The second field is the command in parentheses, which may hold spaces and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

/** CPU time in ms of the whole machine, from the text of /proc/stat: everything except idle and disk wait. */
export function busyMsOf(stat: string): number {
  // user nice system idle iowait irq softirq steal; the time of guests is part of user and nice.
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] =
    /^cpu +([\d ]+)/.exec(stat)?.[1]?.split(" ").map(Number) ?? [];
  return (user + nice + system + irq + softirq + steal) * MS_PER_TICK;
}

/** Resident memory in KiB from the text of /proc/PID/status; 0 when it names none. */
export function rssKibOf(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0);
}

/** User and system time in ms of the ended children, from what the shell's `times` prints. */
export function childCpuMsOf(times: string): number {
  const line = times.trimEnd().split("\n").at(-1) ?? "";
  let ms = 0;
  for (const [, minutes, seconds] of line.matchAll(/(\d+)m([\d.]+)s/g)) {
    ms += Number(minutes) * 60_000 + Number(seconds) * 1_000;
  }
  return ms;
}

/** The process and all that descend from it, children first, so that they can be ended in this order. */
export function processTree(pid: number): number[] {
  const children = readOrEmpty(`/proc/${pid}/task/${pid}/children`).split(" ").filter((text) => text !== "");
  return [...children.flatMap((child) => processTree(Number(child))), pid];
}

/** Total CPU time in ms of live processes; ended ones are not counted. */
export function cpuMs(pids: readonly number[]): number {
  return sumOver(pids, "stat", cpuMsOf);
}

/** CPU time in ms that all processes of the machine have used. */
export function machineBusyMs(): number {
  return busyMsOf(readOrEmpty("/proc/stat"));
}

/** Total resident memory in KiB of live processes. */
export function rssKib(pids: readonly number[]): number {
  return sumOver(pids, "status", rssKibOf);
}

function sumOver(pids: readonly number[], file: string, of: (text: string) => number): number {
  let sum = 0;
  for (const pid of pids) {
    const text = readOrEmpty(`/proc/${pid}/${file}`);
    if (text !== "") sum += of(text);
  }
  return sum;
}

function readOrEmpty(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
