/**
 * The bare Deno relay, as source under the Deno that runs the benchmark, or compiled for the runtime of ours.
 */
import { freePort, isListening, untilReady } from "../processes.ts";
import type { Contender } from "./contender.ts";

const source = new URL("relay_server.ts", import.meta.url).pathname;

/** @param executable a compiled relay; null: from source */
export function relayContender(executable: string | null, deno: string): Contender {
  return {
    name: "relay",
    note: `Deno.serve and fetch under Deno ${deno}${
      executable === null ? "" : ", compiled"
    }: no record, no log`,
    async start({ processes, upstreamPort, core }) {
      const port = freePort();
      const own = [String(port), String(upstreamPort)];
      const service = processes.start({
        name: "relay",
        command: executable ?? Deno.execPath(),
        args: executable === null ? ["run", "-A", "--no-check", "--quiet", source, ...own] : own,
        core,
      });
      await untilReady(service, async () => await isListening(port) || null);
      return { name: "relay", port, headers: {}, service };
    },
  };
}
