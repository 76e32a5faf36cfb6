/**
 * The reverse proxy of Go's standard library, built once by the Go that is installed.
 */
import { cacheFolder, isFile } from "../npm_cache.ts";
import { BenchError, freePort, isListening, untilReady } from "../processes.ts";
import type { Contender } from "./contender.ts";

const source = new URL("go_proxy/main.go", import.meta.url).pathname;

/**
 * @param go the program
 * @throws {BenchError} when it cannot be built
 */
export async function goProxyContender(go: string): Promise<Contender> {
  const version = await versionOf(go);
  const executable = await built(go, version);
  return {
    name: "go-proxy",
    note: `httputil.ReverseProxy, FlushInterval -1, ${version}: no record, no log`,
    async start({ processes, upstreamPort, core }) {
      const port = freePort();
      const service = processes.start({
        name: "go-proxy",
        command: executable,
        args: [String(port), String(upstreamPort)],
        core,
      });
      await untilReady(service, async () => await isListening(port) || null);
      return { name: "go-proxy", port, headers: {}, service };
    },
  };
}

async function versionOf(go: string): Promise<string> {
  const { stdout } = await new Deno.Command(go, { args: ["env", "GOVERSION"], stdin: "null" }).output();
  return new TextDecoder().decode(stdout).trim();
}

async function built(go: string, version: string): Promise<string> {
  const code = await crypto.subtle.digest("SHA-256", await Deno.readFile(source));
  const executable = `${cacheFolder()}/go-proxy-${version}-${new Uint8Array(code).toHex().slice(0, 8)}`;
  if (await isFile(executable)) return executable;
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const { success, stderr } = await new Deno.Command(go, {
    args: ["build", "-o", executable, source],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new BenchError(`go-proxy cannot be built: ${new TextDecoder().decode(stderr)}`);
  return executable;
}
