/**
 * The conventional `process_*` metrics.
 *
 * Owns what the operating system reports about this process. prom-client's default metrics are not used: they
 * start event-loop and garbage-collection observers that report nonsense under Deno, and three of their names
 * fail `promtool check metrics`.
 * Names: https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 */
import { cpuUsage } from "node:process";
import { Counter, Gauge, type Registry } from "./prometheus.ts";

/** What can be read about the process; null where the system does not tell. */
export interface ProcessReadings {
  cpuSeconds(): number;
  residentMemoryBytes(): number;
  /** Seconds since the Unix epoch. */
  readonly startTimeSeconds: number;
  openFds(): number | null;
  maxFds(): number | null;
}

/** Readings of this very process. Descriptors are known on Linux only. */
export function denoProcessReadings(): ProcessReadings {
  return {
    cpuSeconds: () => {
      const usage = cpuUsage();
      return (usage.user + usage.system) / 1e6;
    },
    residentMemoryBytes: () => Deno.memoryUsage().rss,
    startTimeSeconds: performance.timeOrigin / 1000,
    openFds: () => {
      let count = 0;
      for (const _ of Deno.readDirSync("/proc/self/fd")) count++;
      return count;
    },
    maxFds: () => {
      const match = /^Max open files\s+(\d+)/m.exec(Deno.readTextFileSync("/proc/self/limits"));
      return match === null ? null : Number(match[1]);
    },
  };
}

/** Registers the `process_*` metrics; one that cannot be read has no sample. */
export function registerProcessMetrics(registry: Registry, readings: ProcessReadings): void {
  const registers = [registry];
  new Counter({
    name: "process_cpu_seconds_total",
    help: "Total user and system CPU time spent in seconds.",
    registers,
    collect() {
      const seconds = read(readings.cpuSeconds);
      this.remove();
      if (seconds !== null) this.inc(seconds);
    },
  });
  const gauge = (name: string, help: string, reading: () => number | null) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        setOrRemove(this, read(reading));
      },
    });
  gauge(
    "process_resident_memory_bytes",
    "Resident memory size in bytes.",
    readings.residentMemoryBytes,
  );
  gauge(
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
    () => readings.startTimeSeconds,
  );
  gauge("process_open_fds", "Number of open file descriptors.", readings.openFds);
  gauge("process_max_fds", "Maximum number of open file descriptors.", readings.maxFds);
}

/** Calls a reading; null when it fails or is not a finite number, so that a scrape never fails. */
export function read(reading: () => number | null): number | null {
  try {
    const value = reading();
    return value !== null && Number.isFinite(value) ? value : null;
  } catch {
    return null;
  }
}

/** A gauge without a value has no sample: zero would be wrong. */
export function setOrRemove(gauge: Gauge, value: number | null): void {
  if (value === null) gauge.remove();
  else gauge.set(value);
}
