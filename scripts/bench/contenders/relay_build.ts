/**
 * Compiles the bare relay for the runtime of the tested executable when that differs from the current one.
 */
import { NPM_RUNTIME } from "../../build.ts";
import { systemTrust } from "../../build/system_trust.ts";
import { cacheFolder, isFile } from "../npm_cache.ts";
import { BenchError } from "../processes.ts";

const source = new URL("relay_server.ts", import.meta.url).pathname;
const runtimes = new URL("../../../dist/", import.meta.url).pathname;

export interface Relay {
  /** null: from source. */
  readonly executable: string | null;
  readonly deno: string;
}

/**
 * @param deno the version that the tested executable contains
 * @throws {BenchError} when the relay cannot be compiled
 */
export async function relayFor(deno: string): Promise<Relay> {
  const runtime = `${runtimes}denort-${deno}`;
  const isOther = deno !== Deno.version.deno && deno === NPM_RUNTIME.version;
  if (!isOther || !await isFile(runtime)) return { executable: null, deno: Deno.version.deno };
  const code = await crypto.subtle.digest("SHA-256", await Deno.readFile(source));
  const executable = `${cacheFolder()}/relay-${deno}-${new Uint8Array(code).toHex().slice(0, 8)}`;
  if (await isFile(executable)) return { executable, deno };
  await Deno.mkdir(cacheFolder(), { recursive: true });
  const { success, stderr } = await new Deno.Command("npx", {
    args: [
      ...["-y", `deno@${NPM_RUNTIME.compiler}`, "compile", "--quiet", "--no-check", "--no-config", "-A"],
      ...["--output", executable, source],
    ],
    env: { DENORT_BIN: runtime, ...systemTrust(Deno.env.toObject()) },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new BenchError(`the relay cannot be compiled: ${new TextDecoder().decode(stderr)}`);
  return { executable, deno };
}
