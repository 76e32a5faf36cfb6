/**
 * Finds out which contenders can run on this machine, and how.
 */
import { isFile } from "../npm_cache.ts";
import type { ContenderName } from "../measure/result.ts";
import { BenchError, findProgram, type Processes } from "../processes.ts";
import type { Contender } from "./contender.ts";
import { direct } from "./direct.ts";
import { goProxyContender } from "./go_proxy.ts";
import { nginxContender } from "./nginx.ts";
import { oursContender, oursProgram, type Program } from "./ours.ts";
import { portkeyContender } from "./portkey.ts";
import { relayContender } from "./relay.ts";
import { relayFor } from "./relay_build.ts";

const BUILT = new URL("../../../dist/openai-api-route", import.meta.url).pathname;
const VERSION_LIMIT_MS = 30_000;

export interface ToolPrograms {
  /** Their paths; null: not installed. */
  readonly nginx: string | null;
  readonly go: string | null;
  readonly node: string | null;
  readonly npm: string | null;
}

export interface Wanted {
  readonly only: readonly ContenderName[];
  /** A compiled router, or `source`; null: the built one when there is one. */
  readonly ours: string | null;
  /** A compiled relay; null: what fits ours. */
  readonly relay: string | null;
}

export interface Chosen {
  readonly contenders: readonly Contender[];
  /** How to run openai-api-route, for scenarios that set it up themselves. */
  readonly ours: OursBuild;
  /** Which contenders are missing, and why. */
  readonly missing: readonly string[];
}

export interface OursBuild {
  readonly program: Program;
  /** What `--version` prints. */
  readonly version: string;
  /** null: from source. */
  readonly executable: string | null;
}

export async function chooseContenders(
  processes: Processes,
  { nginx, go, node, npm }: ToolPrograms,
  { only, ours: wantedOurs, relay }: Wanted,
): Promise<Chosen> {
  const executable = await executableOf(wantedOurs);
  const program = oursProgram(executable);
  const version = await firstLine(processes, program.command, [...program.args, "--version"]);
  const contenders: Contender[] = [direct];
  const missing: string[] = [];
  if (nginx === null) missing.push("nginx: not installed");
  else contenders.push(nginxContender(nginx, await nginxVersion(nginx)));
  if (only.includes("go-proxy")) {
    if (go === null) missing.push("go-proxy: Go is not installed");
    else contenders.push(await goProxyContender(go));
  }
  if (only.includes("portkey")) {
    if (node === null || npm === null) missing.push("portkey: Node and npm are not installed");
    else contenders.push(await portkeyContender(node, npm));
  }
  if (only.includes("relay")) {
    const ownDeno = /Deno ([\d.]+)/.exec(version)?.[1] ?? Deno.version.deno;
    const built = relay === null ? await relayFor(ownDeno) : { executable: relay, deno: "of the given file" };
    contenders.push(relayContender(built.executable, built.deno));
  }
  contenders.push(oursContender(program, version));
  if (only.includes("limited")) contenders.push(oursContender(program, version, { hasLimits: true }));
  return {
    // Needed to compute what the others add.
    contenders: contenders.filter(({ name }) => name === "direct" || only.includes(name)),
    ours: { program, version, executable },
    missing,
  };
}

async function executableOf(wanted: string | null): Promise<string | null> {
  if (wanted === "source") return null;
  const path = wanted ?? BUILT;
  if (await isFile(path)) return await Deno.realPath(path);
  if (wanted !== null) throw new BenchError(`there is no executable ${path}; build it: deno task build`);
  return null;
}

async function firstLine(processes: Processes, command: string, args: readonly string[]): Promise<string> {
  const { stdout } = await processes.run({ name: "version", command, args }, VERSION_LIMIT_MS);
  return stdout.split("\n")[0] ?? "";
}

async function nginxVersion(program: string): Promise<string> {
  const { stderr } = await new Deno.Command(program, { args: ["-v"] }).output();
  return /nginx\/(\S+)/.exec(new TextDecoder().decode(stderr))?.[1] ?? "of unknown version";
}

/** Where the tools of the benchmark are. */
export async function findTools(): Promise<ToolPrograms & { readonly wrk: string | null }> {
  const [nginx, go, node, npm, wrk] = await Promise.all(
    ["nginx", "go", "node", "npm", "wrk"].map(findProgram),
  );
  return { nginx: nginx ?? null, go: go ?? null, node: node ?? null, npm: npm ?? null, wrk: wrk ?? null };
}
