/**
 * Describes the machine that the figures were measured on.
 */
import { type Bench } from "../bench.ts";

export interface Environment {
  readonly processor: string;
  readonly cores: number;
  readonly memoryMib: number;
  readonly kernel: string;
  readonly deno: string;
  /** The file system that holds the records. */
  readonly fileSystem: string;
  readonly loadAverage: readonly number[];
  readonly rounds: number;
  readonly isQuick: boolean;
  readonly isPinned: boolean;
  /** Names of the load generator and the upstream. */
  readonly load: string;
  readonly contenders: Readonly<Record<string, string>>;
}

export async function environmentOf(bench: Bench): Promise<Environment> {
  const cpu = await Deno.readTextFile("/proc/cpuinfo").catch(() => "");
  return {
    processor: /^model name\s*: (.+)$/m.exec(cpu)?.[1] ?? "unknown",
    cores: navigator.hardwareConcurrency,
    memoryMib: Math.round(Deno.systemMemoryInfo().total / 2 ** 20),
    kernel: Deno.osRelease(),
    deno: Deno.version.deno,
    fileSystem: fileSystemOf(bench.directory, await Deno.readTextFile("/proc/mounts").catch(() => "")),
    loadAverage: Deno.loadavg(),
    rounds: bench.rounds,
    isQuick: bench.isQuick,
    isPinned: bench.proxyCore !== null,
    load: bench.loadNote,
    contenders: Object.fromEntries(bench.contenders.map(({ name, note }) => [name, note])),
  };
}

/** The type of the file system that a path is on, by the text of /proc/mounts. */
export function fileSystemOf(path: string, mounts: string): string {
  let best = { place: "", type: "unknown" };
  for (const line of mounts.split("\n")) {
    const [, place = "", type = ""] = line.split(" ");
    const isInside = path === place || path.startsWith(place.endsWith("/") ? place : `${place}/`);
    if (place !== "" && isInside && place.length >= best.place.length) best = { place, type };
  }
  return best.type;
}

export function environmentText(environment: Environment): string {
  const { processor, cores, memoryMib, kernel, deno, fileSystem, loadAverage, load, isPinned, contenders } =
    environment;
  const names = Object.entries(contenders).map(([name, note]) => `${name.padEnd(8)} ${note}`);
  return [
    `machine  ${cores} cores (${processor}), ${memoryMib} MiB, Linux ${kernel}, Deno ${deno}; records on ${fileSystem}; ` +
    `load before ${loadAverage.map((value) => value.toFixed(2)).join(" ")}`,
    `cores    ${
      isPinned
        ? "proxy on core 0, upstream and load on core 1"
        : "not pinned: the kernel places proxy, upstream and load"
    }`,
    `load     ${load}`,
    `rounds   ${environment.rounds}, in turns${environment.isQuick ? ", short" : ""}; figures are medians`,
    ...(fileSystem === "tmpfs" ? ["warning  records go to memory, not to a disk: choose --directory"] : []),
    ...names,
  ].join("\n");
}
